"""New passwords: for who knows the old one, and for who can read the account's mail.

A reset token has 256 bits, is kept as its hash, opens one account once for half an hour, and gives
way to a newer one. Keys in Redis: `reset:{sha256}`, `reset-of:{user}` and the counters of letters
that `verification.counters` names; behind `nobody:` for addresses without an account, which cost the
same work.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple
from uuid import UUID

from auth import accounts, attempts, audit, doors, identifiers, letters, verification
from auth.errors import EmailInvalid
from auth.passwords import judged
from base import redis
from base.errors import AppError

if TYPE_CHECKING:
    from datetime import datetime

    from auth.backoff import Backoff
    from auth.identity import Identities
    from auth.mail import Mail
    from auth.passwords import Passwords
    from base.db import Database

LIFE: Final = timedelta(minutes=30)

_ISSUE: Final = (
    verification.ASKED
    + """
local older = redis.call('GET', KEYS[4])
if older then redis.call('DEL', ARGV[2] .. older) end
redis.call('SET', KEYS[4], ARGV[3], 'EX', ARGV[5])
redis.call('SET', ARGV[2] .. ARGV[3], ARGV[4], 'EX', ARGV[5])
return 1"""
)

_FORGET: Final = """
local older = redis.call('GET', KEYS[1])
if older then redis.call('DEL', KEYS[1], 'reset:' .. older) end
return 0"""

CHANGE: LiteralString = """
    UPDATE users SET password_hash = %s, updated_at = %s WHERE id = %s AND password_hash = %s"""

RESET: LiteralString = """
    UPDATE users SET password_hash = %s, updated_at = %s WHERE id = %s AND disabled_at IS NULL"""


class ResetInvalid(AppError):
    """The link for a new password was used or is too old; ask for another one."""

    code = "reset_invalid"


class PasswordNotSet(AppError):
    """The account has no password yet; ask for a new one by mail."""

    code = "password_not_set"


class PasswordWrong(AppError):
    """The present password is another one."""

    code = "password_wrong"


class Done(NamedTuple):
    """What a reset changed, to be told when it is committed: projects entered, keys revoked."""

    user: accounts.User
    projects: list[UUID]
    keys: list[UUID]


class Resets:
    """Makes reset tokens and takes them back. Every method may raise RedisUnavailable."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store

    async def issue(self, address: str, user_id: UUID | None, *, ip: str) -> str | None:
        """A new token in place of an older one; None when enough letters went there lately.

        user_id None: nobody's; the same is done where it opens nothing. ip: who asks.
        """
        token = secrets.token_urlsafe(32)
        nobody = "nobody:" if user_id is None else ""
        keys = [
            *verification.counters(f"{nobody}reset", address, ip),
            f"{nobody}reset-of:{user_id or address}",
        ]
        seconds = int(LIFE.total_seconds())
        values = (0, f"{nobody}reset:", _digest(token), str(user_id), seconds)
        return token if await self._store.script(_ISSUE, keys, *values) else None

    async def find(self, token: str) -> UUID:
        """Whose token this is. Raises ResetInvalid."""
        with redis.translated():
            return _owner(await self._store.client.get(f"reset:{_digest(token)}"))

    async def redeem(self, token: str) -> UUID:
        """Use a token up: of many who bring it at once, one. Raises ResetInvalid."""
        with redis.translated():
            return _owner(await self._store.client.getdel(f"reset:{_digest(token)}"))

    async def forget(self, user_id: UUID) -> None:
        """Let no token of this account open anything."""
        await self._store.script(_FORGET, [f"reset-of:{user_id}"])


async def ask(
    database: Database,
    resets: Resets,
    mail: Mail,
    *,
    email: str,
    public_url: str | None,
    now: datetime,
    ip: str,
    agent: str,
) -> None:
    """Send the way to a new password to an address, if an account has it; tells nobody."""
    try:
        address = identifiers.email(email)
    except EmailInvalid:
        return
    async with database.transaction() as tx:
        user = await accounts.by_email(tx, address)
        user_id, kind = user.id if user else None, audit.Kind.RESET_ASKED
        await audit.record(tx, kind, at=now, user=user_id, ip=ip, agent=agent)
    open_to = user if user is not None and user.disabled_at is None else None
    token = await resets.issue(address, None if open_to is None else open_to.id, ip=ip)
    if open_to is not None and token is not None:
        url = f"{public_url.rstrip('/')}/#reset={token}" if public_url else token
        mail.post(letters.reset(address, url, LIFE.total_seconds() / 60))


async def reset(
    database: Database,
    passwords: Passwords,
    resets: Resets,
    identities: Identities,
    mail: Mail,
    *,
    token: str,
    password: str,
    now: datetime,
    ip: str,
    agent: str,
) -> Done:
    """Set a password by a token, which proves the address too; every session and API key ends.

    So does a provider's sign-in that did not prove the address: who knew the old password may have
    left it there.

    The token is used up only by a password that is kept. Raises ResetInvalid,
    PasswordTooShort, PasswordTooLong, PasswordsBusy.
    """
    judged(password)
    user_id = await resets.find(token)
    hashed = await passwords.hash(password)
    async with database.transaction() as tx:
        user = await accounts.find(tx, user_id)
        changed = await tx.execute(RESET, (hashed, now, user_id))
        if user is None or changed.rowcount == 0:
            raise ResetInvalid
        keys = await doors.shut(tx, user_id, now=now, ip=ip, agent=agent)
        projects = await verification.prove(tx, user, now=now, ip=ip, agent=agent)
        kind = audit.Kind.PASSWORD_RESET
        await audit.record(tx, kind, at=now, user=user_id, actor=user_id, ip=ip, agent=agent)
        # While the row is locked: who signs in with the old password meanwhile waits, and fails.
        # And who brings the same token has waited, and must end nothing.
        await resets.find(token)
        await identities.end_all(user_id)
        # Last: what fails before leaves the token good, and what fails here changes nothing.
        await resets.redeem(token)
    mail.post(letters.password_changed(user.email, keys_revoked=True))
    return Done(user, projects, keys)


async def change(
    database: Database,
    passwords: Passwords,
    resets: Resets,
    identities: Identities,
    backoff: Backoff,
    mail: Mail,
    *,
    user_id: UUID,
    session_id: UUID,
    current: str,
    new: str,
    now: datetime,
    ip: str,
    agent: str,
) -> None:
    """Set another password, for who is signed in and knows the present one; other sessions end.

    Raises PasswordNotSet, PasswordWrong, PasswordTooShort, PasswordTooLong, PasswordsBusy,
    TooManyAttempts.
    """
    judged(new, path="$.new")
    known = await confirm(
        database,
        passwords,
        backoff,
        user_id=user_id,
        password=current,
        now=now,
        ip=ip,
        agent=agent,
    )
    if known is None:
        raise PasswordNotSet
    hashed = await passwords.hash(new)
    async with database.transaction() as tx:
        changed = await tx.execute(CHANGE, (hashed, now, user_id, known))
        if changed.rowcount == 0:
            raise PasswordWrong  # changed by another request since we compared
        user = await accounts.find(tx, user_id)
        kind = audit.Kind.PASSWORD_CHANGED
        await audit.record(tx, kind, at=now, user=user_id, actor=user_id, ip=ip, agent=agent)
        await resets.forget(user_id)
        await identities.end_all(user_id, but=session_id)
    if user is not None:
        mail.post(letters.password_changed(user.email))


async def confirm(
    database: Database,
    passwords: Passwords,
    backoff: Backoff,
    *,
    user_id: UUID,
    password: str,
    now: datetime,
    ip: str,
    agent: str,
) -> str | None:
    """The hash of an account's password, if this is it; None: the account has none.

    For somebody signed in: a session that was stolen must not be able to guess on, and whoever
    stole it does not keep the owner from signing in. Raises PasswordWrong, PasswordsBusy,
    TooManyAttempts.
    """
    try:
        async with backoff.attempt("login", f"user:{user_id}", wrong=PasswordWrong):
            async with database.connection() as tx:
                hashed = await accounts.hash_of(tx, user_id)
            if hashed is not None and not await passwords.matches(password, hashed):
                raise PasswordWrong
    except PasswordWrong:
        await attempts.note(database, user_id, "confirm", now=now, ip=ip, agent=agent)
        raise
    return hashed


def _owner(found: object) -> UUID:
    if not isinstance(found, bytes):
        raise ResetInvalid
    return UUID(found.decode())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
