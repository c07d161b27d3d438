"""States at rest in the database: kept once each, as differences, found again by their number.

Promise: what comes out is what was put in, or SnapshotDamaged. A state that is there already is
not stored again. Nobody's own transaction may read states (migration 0005): the server does, after
it has judged. The table is `states`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import anyio.to_thread

from docstore.errors import SnapshotDamaged
from docstore.history import chain

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx

_LOCKS: Final = 0x5359_4E43_0005
"""The seed of the hash that makes a lock's number, so that nobody else's locks are ours."""

# One writer of a project at a time: numbers have no gaps, and of two equal states one is kept.
LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended(%s::text, %s))"

HOLD: LiteralString = "SELECT pg_advisory_lock(hashtextextended(%s::text, %s))"

LET_GO: LiteralString = "SELECT pg_advisory_unlock(hashtextextended(%s::text, %s))"

KNOWN: LiteralString = "SELECT id FROM states WHERE project_id = %s AND sha256 = %s"

NEXT: LiteralString = "SELECT coalesce(max(number) + 1, 0) FROM states WHERE project_id = %s"

# The nearest that is left of those that the number leads over.
BASE: LiteralString = """
    SELECT id, sha256 FROM states WHERE project_id = %s AND number = ANY(%s::integer[])
    ORDER BY number DESC LIMIT 1"""

# Follows what was stored, not the numbers: a chain begins with what is whole, wherever that is.
CHAIN: LiteralString = """
    WITH RECURSIVE steps AS (
        SELECT base_id, body, state_bytes, sha256, 0 AS step
        FROM states WHERE project_id = %(project)s AND id = %(id)s
        UNION ALL
        SELECT s.base_id, s.body, s.state_bytes, s.sha256, step + 1
        FROM steps JOIN states s ON s.id = steps.base_id AND s.project_id = %(project)s)
    SELECT body, state_bytes, sha256, base_id IS NULL FROM steps ORDER BY step DESC"""

INSERT: LiteralString = """
    INSERT INTO states (project_id, number, base_id, body, state_bytes, sha256, created_at, lineage)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (project_id, sha256) DO NOTHING RETURNING id"""


class Place(NamedTuple):
    """Where the next state of a project will be, as long as its lock is held."""

    number: int
    base_id: int | None
    """What it is to be stored against; None: it is stored whole."""
    base_sha256: bytes | None


async def lock(tx: Tx, project_id: UUID) -> None:
    """Keep everybody else from writing this project's history until the transaction ends."""
    await tx.execute(LOCK, (project_id, _LOCKS))


async def hold(connection: Tx, project_id: UUID) -> None:
    """The same until `let_go`, through several transactions of one connection."""
    await connection.execute(HOLD, (project_id, _LOCKS))


async def let_go(connection: Tx, project_id: UUID) -> None:
    """End what `hold` began."""
    await connection.execute(LET_GO, (project_id, _LOCKS))


async def put(tx: Tx, project_id: UUID, state: bytes, now: datetime, *, lineage: int) -> int:
    """Store a state; the id by which it is found again. Raises SnapshotDamaged.

    lineage: of the document that it is of. A state that is there keeps the one that it has.
    """
    await lock(tx, project_id)
    sha256 = await anyio.to_thread.run_sync(_sha256, state)
    known = await _number(tx, KNOWN, project_id, sha256)
    if known is not None:
        return known
    where = await place(tx, project_id)
    base = None if where.base_id is None else await get(tx, project_id, where.base_id)
    packed = await anyio.to_thread.run_sync(chain.pack, state, base)
    return await keep(tx, project_id, packed, where, now, lineage=lineage)


async def place(tx: Tx, project_id: UUID) -> Place:
    """Where the next state goes. For who holds the lock."""
    number = await _number(tx, NEXT, project_id)
    assert number is not None, "an aggregate answers"
    cursor = await tx.execute(BASE, (project_id, chain.path_to(number)[:-1]))
    base_id, sha256 = await cursor.fetchone() or (None, None)
    return Place(number, base_id, sha256)


async def keep(
    tx: Tx, project_id: UUID, packed: chain.Packed, where: Place, now: datetime, *, lineage: int
) -> int:
    """Store what was packed for a place that `place` gave, unless it is there; its id."""
    against = None if packed.whole else where.base_id
    stored = (where.number, against, packed.body, packed.size, packed.sha256, now)
    state_id = await _number(tx, INSERT, project_id, *stored, lineage)
    if state_id is None:
        state_id = await _number(tx, KNOWN, project_id, packed.sha256)
    assert state_id is not None, "it is there, or was before"
    return state_id


async def get(tx: Tx, project_id: UUID, state_id: int) -> bytes:
    """A state that was stored. Raises SnapshotDamaged."""
    return await anyio.to_thread.run_sync(chain.unpack, await steps(tx, project_id, state_id))


async def steps(tx: Tx, project_id: UUID, state_id: int) -> list[chain.Packed]:
    """The same as it is stored: what `chain.unpack` takes. Raises SnapshotDamaged."""
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(CHAIN, {"project": project_id, "id": state_id})
        found = [chain.Packed(*row) for row in await cursor.fetchall()]
    if not found:
        raise SnapshotDamaged
    return found


def _sha256(state: bytes) -> bytes:
    return hashlib.sha256(state).digest()


async def _number(tx: Tx, statement: LiteralString, *values: object) -> int | None:
    row = await (await tx.execute(statement, values)).fetchone()
    return None if row is None else int(row[0])
