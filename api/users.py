"""Your own account over REST: what you say about yourself, how you like things, how it ends."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import UNSET

from api.shapes import accounts
from api.shapes import users as shapes
from auth import audit, closing, letters, profiles

if TYPE_CHECKING:
    from api.requests import Call


async def me(call: Call) -> accounts.User:
    """Your account."""
    async with call.acting() as tx:
        account = await profiles.show(tx, call.user.user_id)
    return accounts.User.of(account)


async def change(call: Call) -> accounts.User:
    """Change what the body names."""
    wanted = call.body(shapes.ProfileChanges)
    now = call.services.now()
    async with call.acting() as tx:
        before = await profiles.show(tx, call.user.user_id)
        account = await profiles.change(
            tx,
            call.user.user_id,
            username=None if wanted.username is UNSET else wanted.username,
            display_name=None if wanted.display_name is UNSET else wanted.display_name,
            avatar_url=None if wanted.avatar_url is UNSET else wanted.avatar_url or "",
            bio=None if wanted.bio is UNSET else wanted.bio,
            now=now,
        )
        if account.username != before.username:
            await audit.record(
                tx,
                audit.Kind.USERNAME_CHANGED,
                at=now,
                user=account.id,
                actor=account.id,
                ip=call.client.ip,
                agent=call.client.agent,
            )
        if wanted.username is not UNSET:
            # Before the commit: without Redis nothing is changed, as the answer says.
            await call.services.identities.renamed(account.id, account.username)
    return accounts.User.of(account)


async def close(call: Call) -> None:
    """Close your account: every session ends, and after the grace it is erased."""
    given, parts, now = call.body(shapes.Closing), call.services, call.services.now()
    closed = await closing.close(
        parts.database,
        parts.passwords,
        parts.identities,
        parts.backoff,
        parts.changes,
        user_id=call.user.user_id,
        session_id=call.user.credential,
        password=given.password,
        now=now,
        ip=call.client.ip,
        agent=call.client.agent,
    )
    if closed is not None:
        grace = timedelta(days=parts.settings.grace_days)
        parts.mail.post(letters.closed(closed.email, now + grace))


async def preferences(call: Call) -> shapes.Preferences:
    """How you like things."""
    async with call.acting() as tx:
        chosen = await profiles.preferences(tx, call.user.user_id)
    return shapes.Preferences.of(chosen)


async def choose(call: Call) -> shapes.Preferences:
    """Choose what the body names."""
    wanted = call.body(shapes.PreferenceChanges).chosen()
    async with call.acting() as tx:
        chosen = await profiles.choose(tx, call.user.user_id, wanted, call.services.now())
    return shapes.Preferences.of(chosen)
