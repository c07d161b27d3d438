"""What the operator does to accounts from the command line: `syncsphere user …`.

Works beside a running server: what is locked ends in its rooms within a second. Each function gives
an action for `run`, which opens the databases for it. Prints nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from auth import accounts, links
from auth.changes import AccountBarred, Changes, ProjectChanged
from auth.identity import Identities
from auth.passwords import Passwords
from base import clock, db, redis, settings
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from base.db import Tx

T = TypeVar("T")

_PAGE: Final = 500


class NoSuchAccount(AppError):
    """No account has this name or address; `syncsphere user list` shows all."""

    code = "no_such_account"


class Operation(NamedTuple):
    """What an action works with."""

    database: db.Database
    identities: Identities
    changes: Changes
    passwords: Passwords


async def run(
    config: settings.Settings,
    database_url: str,
    redis_url: str,
    action: Callable[[Operation], Awaitable[T]],
) -> T:
    """Open what an action needs, do it, close. Raises DatabaseUnavailable, RedisUnavailable."""
    database = await db.Database.open(database_url, size=2)
    try:
        store = await redis.Redis.connect(redis_url)
        try:
            changes = Changes(store)
            identities = Identities.assemble(
                config,
                database=database,
                redis=store,
                changes=changes,
                secret=settings.signing_key(config),
            )
            passwords = Passwords(cost=config.bcrypt_cost)
            return await action(Operation(database, identities, changes, passwords))
        finally:
            await store.close()
    finally:
        await database.close()


def create(
    username: str, email: str, password: str, *, admin: bool
) -> Callable[[Operation], Awaitable[str]]:
    """Make an account whose address needs no proof; its name. Raises what registering raises."""

    async def action(on: Operation) -> str:
        made = await accounts.create(
            on.database,
            on.passwords,
            email=email,
            username=username,
            password=password,
            now=clock.now(),
            admin=admin,
        )
        return made.username

    return action


def set_admin(name: str, *, yes: bool) -> Callable[[Operation], Awaitable[str]]:
    """Make somebody an administrator, or no longer one; their user name. Raises NoSuchAccount."""

    async def action(on: Operation) -> str:
        async with on.database.transaction() as tx:
            found = await _find(tx, name)
            await accounts.set_admin(tx, found.id, yes, clock.now())
        return found.username

    return action


def disable(name: str) -> Callable[[Operation], Awaitable[str]]:
    """Lock an account and end all that it opened; its user name. Raises NoSuchAccount."""

    async def action(on: Operation) -> str:
        async with on.database.transaction() as tx:
            found = await _find(tx, name)
            await accounts.disable(tx, found.id, clock.now())
            linked = await links.opened_by(tx, found.id)
        # Also for one that was locked before: perhaps Redis was away then.
        await on.identities.end_all(found.id)
        await on.changes.tell(AccountBarred(found.id), *map(ProjectChanged, linked))
        return found.username

    return action


def enable(name: str) -> Callable[[Operation], Awaitable[str]]:
    """Unlock an account; its user name. Raises NoSuchAccount."""

    async def action(on: Operation) -> str:
        async with on.database.transaction() as tx:
            found = await _find(tx, name)
            await accounts.enable(tx, found.id, clock.now())
        return found.username

    return action


def listing() -> Callable[[Operation], Awaitable[list[str]]]:
    """Every account as a line, oldest first."""

    async def action(on: Operation) -> list[str]:
        lines: list[str] = []
        last: UUID | None = None
        async with on.database.connection() as tx:
            while page := await accounts.listing(tx, after=last, limit=_PAGE):
                lines += [line(user) for user in page]
                last = page[-1].id
        return lines

    return action


def line(user: accounts.User) -> str:
    """One account, for a person to read."""
    facts = [
        ("administrator", user.is_admin),
        ("address not proven", user.email_verified_at is None),
        ("disabled", user.disabled_at is not None),
        ("closed", user.closed_at is not None),
    ]
    said = ", ".join(fact for fact, holds in facts if holds)
    last = f"{user.last_login_at:%Y-%m-%d}" if user.last_login_at else "never"
    return f"{user.username} <{user.email}>  last sign-in {last}" + (f"  ({said})" if said else "")


async def _find(tx: Tx, name: str) -> accounts.User:
    found = await accounts.by_name(tx, name)
    if found is None:
        raise NoSuchAccount
    return found
