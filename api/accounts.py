"""Accounts over REST: register, prove an address, mend a password, come back, who am I."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.responses import Response

from api.shapes import accounts as shapes
from auth import accounts, attempts, closing, profiles, resets, verification
from auth.changes import KeyRevoked, ProjectChanged
from auth.credentials import Identity, Kind
from base import log
from base.redis import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from api.requests import Call
    from auth.changes import Change

_log = log.get(__name__)


async def register(call: Call) -> shapes.UserAnswer:
    """Create an account; a code that proves its address is on its way."""
    wanted, parts = call.body(shapes.Register), call.services
    account = await accounts.register(
        parts.database,
        parts.passwords,
        email=wanted.email,
        username=wanted.username,
        password=wanted.password,
        now=parts.now(),
        verified=not parts.settings.verify_email,
        ip=call.client.ip,
        agent=call.client.agent,
    )
    if account.email_verified_at is None:
        try:
            # Made here, proven here: what strangers do elsewhere does not slow that down.
            await parts.backoff.learn(str(account.id), call.client.ip)
            await verification.send(
                parts.database,
                parts.codes,
                parts.mail,
                account.email,
                ip=call.client.ip,
                first=True,
            )
        except RedisUnavailable:
            # The account is made, and another code is soon asked for.
            _log.warning("code_not_sent", user=str(account.id))
    return shapes.UserAnswer(shapes.User.of(account))


async def verify_email(call: Call) -> None:
    """Prove an address by the code that was sent to it; waiting invitations are accepted.

    Without a session of the account its API keys are revoked, and a provider's sign-in is unlinked.
    """
    given, parts, who = call.body(shapes.VerifyEmail), call.services, call.identity
    signed_in = who if isinstance(who, Identity) and who.kind is Kind.SESSION else None
    proven = await verification.verify(
        parts.database,
        parts.codes,
        parts.backoff,
        email=given.email,
        code=given.code,
        asker=signed_in.user_id if signed_in else None,
        now=parts.now(),
        ip=call.client.ip,
        agent=call.client.agent,
    )
    await parts.changes.tell(*_opened(proven.projects, proven.keys))


async def resend_code(call: Call) -> Response:
    """Send another code, if an account with this address waits for one; nobody learns whether."""
    email, parts = call.body(shapes.Address).email, call.services
    await verification.send(parts.database, parts.codes, parts.mail, email, ip=call.client.ip)
    return Response(status_code=202)


async def forgot_password(call: Call) -> Response:
    """Send the way to a new password, if an account has this address; nobody learns whether."""
    parts = call.services
    await resets.ask(
        parts.database,
        parts.resets,
        parts.mail,
        email=call.body(shapes.Address).email,
        public_url=parts.settings.public_url,
        now=parts.now(),
        ip=call.client.ip,
        agent=call.client.agent,
    )
    return Response(status_code=202)


async def reset_password(call: Call) -> None:
    """Set a password by the token of a letter; every session and API key of the account ends."""
    given, parts = call.body(shapes.ResetPassword), call.services
    done = await resets.reset(
        parts.database,
        parts.passwords,
        parts.resets,
        parts.identities,
        parts.mail,
        token=given.token,
        password=given.password,
        now=parts.now(),
        ip=call.client.ip,
        agent=call.client.agent,
    )
    await parts.changes.tell(*_opened(done.projects, done.keys))


async def change_password(call: Call) -> None:
    """Set another password; every other session of the account ends."""
    given, parts = call.body(shapes.ChangePassword), call.services
    await resets.change(
        parts.database,
        parts.passwords,
        parts.resets,
        parts.identities,
        parts.backoff,
        parts.mail,
        user_id=call.user.user_id,
        session_id=call.user.credential,
        current=given.current,
        new=given.new,
        now=parts.now(),
        ip=call.client.ip,
        agent=call.client.agent,
    )


async def reopen(call: Call) -> None:
    """Open a closed account again; sign in afterwards."""
    given, parts = call.body(shapes.Reopen), call.services
    now, (ip, agent) = parts.now(), call.client
    trying = attempts.attempt(
        parts.database,
        parts.backoff,
        name=given.name,
        door="reopen",
        now=now,
        ip=ip,
        agent=agent,
    )
    async with trying:
        await closing.reopen(
            parts.database,
            parts.passwords,
            name=given.name,
            password=given.password,
            now=now,
            grace=timedelta(days=parts.settings.grace_days),
            ip=ip,
            agent=agent,
        )


async def me(call: Call) -> shapes.UserAnswer:
    """The account that the token belongs to."""
    async with call.acting() as tx:
        account = await profiles.show(tx, call.user.user_id)
    return shapes.UserAnswer(shapes.User.of(account))


def _opened(projects: Iterable[UUID], keys: Iterable[UUID]) -> list[Change]:
    """What everybody has to hear when a mailbox was proven: what it entered, and keys that went."""
    return [*map(KeyRevoked, keys), *map(ProjectChanged, projects)]
