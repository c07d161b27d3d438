"""Sessions over REST: sign in, stay signed in, see where, sign out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.responses import Response

from api import cookies
from api.shapes import sessions as shapes
from auth import accounts, attempts, audit
from auth.cookies import ACCESS, REFRESH
from auth.errors import (
    CsrfFailed,
    InvalidCredentials,
    SessionEnded,
    SessionNotFound,
    TokenMissing,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from api.requests import Call


async def login(call: Call) -> Response:
    """Prove a password, get tokens: in the body, or in cookies.

    Unknown names and wrong passwords get one answer, after the same time. Who guesses waits longer
    each time (`too_many_attempts`), whether there is such an account or not.
    """
    given = call.body(shapes.Login)
    if given.cookie and not cookies.is_from_our_page(call):
        raise CsrfFailed
    parts, (ip, agent) = call.services, call.client
    since = parts.now()
    trying = attempts.attempt(
        parts.database,
        parts.backoff,
        name=given.name,
        door="password",
        now=since,
        ip=ip,
        agent=agent,
    )
    async with trying:
        account = await accounts.login(
            parts.database,
            parts.passwords,
            name=given.name,
            password=given.password,
            now=parts.now(),
            grace=timedelta(days=parts.settings.grace_days),
        )
    # Always another session than before, so that nobody can have planted this one.
    former = cookies.held(call, REFRESH) if given.cookie else None
    try:
        signed = await parts.identities.sign_in(
            account.id, account.username, ip=ip, agent=agent, since=since
        )
    except SessionEnded as meanwhile:  # the password was changed while we looked at the old one
        raise InvalidCredentials from meanwhile
    if former is not None:
        await parts.identities.end_of(former)
    async with parts.database.transaction() as tx:
        await audit.record(
            tx,
            audit.Kind.LOGIN,
            at=parts.now(),
            user=account.id,
            actor=account.id,
            ip=ip,
            agent=agent,
            session=str(signed.session_id),
        )
    return cookies.signed_in(call, signed, account, cookie=given.cookie)


async def refresh(call: Call) -> Response:
    """New tokens for the refresh token, which is replaced.

    The same one again within some seconds gets the same answer, since the first may have been lost.
    Later it can only be a copy: the session ends, for both who hold it (`token_reused`).
    """
    token = call.body(shapes.Refresh).refresh_token
    cookie = token is None
    if token is None:
        token = cookies.held(call, REFRESH)
        if token is None:
            raise TokenMissing
        cookies.check_csrf(call, call.services.identities.session_of(token))
    ip, agent = call.client
    signed = await call.services.identities.refresh(token, ip=ip, agent=agent)
    return cookies.renewed(call, signed, cookie=cookie)


async def logout(call: Call) -> Response:
    """End the session that asks: its tokens, cookies and sockets."""
    await call.services.identities.sign_out(call.user)
    await _noted(call, audit.Kind.LOGOUT, [call.user.credential])
    response = Response(status_code=204)
    if cookies.held(call, ACCESS) or cookies.held(call, REFRESH):
        cookies.clear(response, call)
    return response


async def index(call: Call) -> shapes.Sessions:
    """Where you are signed in."""
    found = await call.services.identities.sessions_of(call.user.user_id)
    return shapes.Sessions([shapes.Session.of(each, call.user) for each in found])


async def end(call: Call) -> None:
    """End one of your sessions, here or elsewhere: sockets that it opened are closed with 4401."""
    session_id = call.path_id("session_id", SessionNotFound)
    if not await call.services.identities.end(call.user.user_id, session_id):
        raise SessionNotFound
    await _noted(call, audit.Kind.SESSION_REVOKED, [session_id])


async def end_others(call: Call) -> None:
    """End all of your sessions but the one that asks."""
    identities, who = call.services.identities, call.user
    ended = await identities.end_all(who.user_id, but=who.credential)
    if ended:
        await _noted(call, audit.Kind.SESSION_REVOKED, ended)


async def _noted(call: Call, kind: audit.Kind, ended: Iterable[UUID]) -> None:
    who = call.user.user_id
    async with call.acting() as tx:
        await audit.record(
            tx,
            kind,
            at=call.services.now(),
            user=who,
            actor=who,
            ip=call.client.ip,
            agent=call.client.agent,
            sessions=[str(each) for each in ended],
        )
