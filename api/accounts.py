"""Accounts over REST: register, sign in, sign out, who am I."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.shapes import accounts as shapes
from auth import accounts
from auth.errors import SessionEnded

if TYPE_CHECKING:
    from api.requests import Call


async def register(call: Call) -> shapes.UserAnswer:
    """Create an account."""
    wanted = call.body(shapes.Register)
    account = await accounts.register(
        call.services.database,
        call.services.passwords,
        email=wanted.email,
        username=wanted.username,
        password=wanted.password,
        now=call.services.now(),
    )
    return shapes.UserAnswer(shapes.User.of(account))


async def login(call: Call) -> shapes.SignedIn:
    """Prove a password, get a token."""
    given = call.body(shapes.Login)
    account = await accounts.login(
        call.services.database,
        call.services.passwords,
        email=given.email,
        password=given.password,
        now=call.services.now(),
    )
    minted = await call.services.identities.sign_in(account.id, account.username)
    return shapes.SignedIn(minted.token, minted.expires_at, shapes.User.of(account))


async def logout(call: Call) -> None:
    """End the session of the token that was sent."""
    await call.services.identities.sign_out(call.user)


async def me(call: Call) -> shapes.UserAnswer:
    """The account that the token belongs to."""
    async with call.services.database.connection() as tx:
        account = await accounts.find(tx, call.user.user_id)
    if account is None:
        raise SessionEnded
    return shapes.UserAnswer(shapes.User.of(account))
