"""Whoever holds a connection for long: in turn, and never so many that others starve.

Who writes a project's history holds one, with `archive.lock`, for as long as it works, and borrows
a second one now and then: to judge once more who may, or for a room that has to be opened. Rooms
and requests need connections too. So of all that one database lends, these may hold a third (at
least one), and with what they borrow two thirds at the worst. Compactions, which borrow none, may
hold no more than there is left beside them and one more for everybody else: `folding`.

Of one project only one writes at a time, and the others wait here without a connection: what waits
for the lock in the database is at most one of each project in each process. Askers take turns, one
piece of each at a time, so that nobody's many projects keep everybody else from theirs.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

import anyio
import psycopg

from base.places import Turns, asking
from docstore.history import archive

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from uuid import UUID

    from base.db import Database, Tx

SHARE: Final = 3
"""One of so many connections is for who holds it for long."""

FOLDING_SHARE: Final = 4
"""One of so many connections is for compactions."""

MOST_FOLDING: Final = 2
"""Compactions at once, however many connections there are."""

MOST: Final = 4
"""Writers at once, however many connections there are: each may hold whole documents."""


class _Writers:
    """The places and the turns at one database."""

    def __init__(self, connections: int) -> None:
        places = at_once(connections)
        self.places = Turns(places)
        # One place is left for those that are done soon, if there are several.
        self.long = Turns(max(1, places - 1))
        self.folding = anyio.CapacityLimiter(folding_at_once(connections))
        self._turns: WeakValueDictionary[UUID, anyio.Lock] = WeakValueDictionary()

    def turn(self, project_id: UUID) -> anyio.Lock:
        """The queue of a project; there as long as anybody holds it."""
        found = self._turns.get(project_id)
        if found is None:
            found = self._turns[project_id] = anyio.Lock()
        return found


_at: Final[WeakKeyDictionary[Database, _Writers]] = WeakKeyDictionary()


def at_once(connections: int) -> int:
    """How many may write at a time where so many connections are lent."""
    return max(1, min(MOST, connections // SHARE))


def folding_at_once(connections: int) -> int:
    """How many compactions there may be where so many connections are lent."""
    return max(1, min(MOST_FOLDING, connections // FOLDING_SHARE))


@contextlib.asynccontextmanager
async def writing(
    database: Database, project_id: UUID, *, brief: bool = False
) -> AsyncGenerator[Tx]:
    """A transaction that holds `archive.lock` of a project. Not within another transaction.

    brief: it takes milliseconds as a rule, and need not wait for others that take long.
    Raises DatabaseUnavailable.
    """
    here = _of(database)
    async with here.turn(project_id), _place(here, brief=brief), database.transaction() as tx:
        await archive.lock(tx, project_id)
        yield tx


@contextlib.asynccontextmanager
async def in_steps(database: Database, project_id: UUID) -> AsyncGenerator[Tx]:
    """The same for who has to be sure of one thing before the next: a connection with the lock.

    What is done in a transaction upon it is there for good once that ends. So is each statement
    outside of one. Raises DatabaseUnavailable.
    """
    here = _of(database)
    async with here.turn(project_id), _place(here, brief=False), database.connection() as kept:
        try:
            await archive.hold(kept, project_id)
            yield kept
        finally:
            with anyio.CancelScope(shield=True):
                await _let_go(kept, project_id)


async def _let_go(kept: Tx, project_id: UUID) -> None:
    """Give the lock back, or the connection with it."""
    try:
        await archive.let_go(kept, project_id)
    except psycopg.Error:
        await kept.close()


@contextlib.asynccontextmanager
async def reading(database: Database, *, brief: bool = False) -> AsyncGenerator[Tx]:
    """A transaction for who reads much in one, in the same places; no lock, and no turn."""
    async with _place(_of(database), brief=brief), database.transaction() as tx:
        yield tx


@contextlib.asynccontextmanager
async def folding(database: Database) -> AsyncGenerator[Tx]:
    """A transaction for a compaction."""
    async with _of(database).folding, database.transaction() as tx:
        yield tx


@contextlib.asynccontextmanager
async def _place(here: _Writers, *, brief: bool) -> AsyncGenerator[None]:
    async with contextlib.AsyncExitStack() as held:
        asker = asking.get()
        if not brief:
            await held.enter_async_context(here.long.place(asker))
        # What is done soon does not wait for what the same asker does at length.
        await held.enter_async_context(here.places.place((asker, brief)))
        yield


def _of(database: Database) -> _Writers:
    found = _at.get(database)
    if found is None:
        found = _at[database] = _Writers(database.size)
    return found
