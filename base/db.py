"""PostgreSQL for everything but the journal: a pool, transactions, and one translated error.

Functions that hold SQL take the transaction as their first argument (`Tx`) and never see the pool.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, LiteralString, TypeAlias

import psycopg
import psycopg_pool
from psycopg.rows import TupleRow

from base import settings
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from uuid import UUID

Tx: TypeAlias = psycopg.AsyncConnection[TupleRow]

CONNECT_SECONDS = 10.0

ACTING: LiteralString = """
    SELECT set_config('role', 'syncsphere_member', true), set_config('syncsphere.user', %s, true),
        set_config('syncsphere.link', %s, true)"""
"""Until the end of the transaction; see migration 0004."""

_AWAY = frozenset({"57P01", "57P02", "57P03", "57P05", "53300"})
"""Shut down by an administrator, by a crash, starting up, idle too long, too many connections."""


class DatabaseUnavailable(AppError):
    """The database cannot be reached right now; try again in a moment."""

    code = "database_unavailable"


def unreachable(url: str, error: Exception) -> DatabaseUnavailable:
    """What to say at the start, to whoever can mend it: where, why, and which setting."""
    # The first line; libpq goes on with guesses, and with every address that the name has.
    why = str(error).partition("\n")[0].strip() or type(error).__name__
    return DatabaseUnavailable(
        f"cannot reach PostgreSQL at {settings.mask_url(url)} ({why}); "
        f"start it, or correct {settings.variable('database_url')}"
    )


def is_away(error: BaseException) -> bool:
    """Whether this error says "nobody is there" rather than "your statement is wrong"."""
    if isinstance(error, psycopg_pool.PoolTimeout | psycopg_pool.PoolClosed):
        return True
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    state = error.sqlstate
    return state is None or state.startswith("08") or state in _AWAY


@contextlib.contextmanager
def translated() -> Generator[None]:
    """Turn the driver's errors that mean "away" into DatabaseUnavailable; let others pass."""
    try:
        yield
    except psycopg.Error as error:
        if is_away(error):
            raise DatabaseUnavailable() from error
        raise


async def one_instant(tx: Tx) -> None:
    """Let a transaction that has just begun see one instant, and change nothing."""
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, url: str, pool: psycopg_pool.AsyncConnectionPool[Tx]) -> None:
        self.url = url
        self._pool = pool

    @property
    def size(self) -> int:
        """The most connections held at a time."""
        return self._pool.max_size

    @classmethod
    async def open(cls, url: str, *, size: int) -> Database:
        """Connect at least once, so that a wrong URL shows at the start.

        `size` is the most connections held at a time. Raises DatabaseUnavailable.
        """
        pool: psycopg_pool.AsyncConnectionPool[Tx] = psycopg_pool.AsyncConnectionPool(
            url,
            min_size=1,
            max_size=size,
            open=False,
            timeout=CONNECT_SECONDS,
            # One empty round trip per use; a connection that PostgreSQL's restart killed is
            # replaced instead of handed out.
            check=psycopg_pool.AsyncConnectionPool.check_connection,
            kwargs={"autocommit": True},
            name="syncsphere",
        )
        try:
            await pool.open(wait=True, timeout=CONNECT_SECONDS)
        except BaseException as error:
            await pool.close()
            if is_away(error) and isinstance(error, Exception):
                raise unreachable(url, error) from error
            raise
        return cls(url, pool)

    async def close(self) -> None:
        """Close every connection; those in use are waited for, within the pool's own bound."""
        await self._pool.close()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[Tx]:
        """A connection in autocommit: each statement is its own transaction."""
        with translated():
            async with self._pool.connection() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Tx]:
        """A connection inside one transaction: committed at the end, rolled back on any error."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @contextlib.asynccontextmanager
    async def acting(self, user: UUID | None, *, link_to: UUID | None = None) -> AsyncGenerator[Tx]:
        """A transaction in somebody's name: row-level security shows and takes only what is theirs.

        user: None for somebody without an account. link_to: the project that a share link opens.
        It mends a forgotten condition, not an injection: SQL of an attacker's own could say
        RESET ROLE. Against that, statements are constants and values are parameters.
        """
        async with self.transaction() as tx:
            await tx.execute(ACTING, (str(user or ""), str(link_to or "")))
            yield tx
