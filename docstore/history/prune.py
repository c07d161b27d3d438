"""The past of a branch given up, up to a moment, at somebody's request.

Promise: what the branch says now, and said at any later moment, stays exactly what it was. Commits,
with their states, stay too. Rooms go on: what they load is not touched but by a compaction, and
only rows that were read are deleted, by number; what was not folded stays. The tables are
`documents`, `states`, `journal_segments`. The server's own work: who may is judged before, and
once more (`allowed`) before anything is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

import anyio.to_thread

from base import clock
from docstore import compaction, segments
from docstore.history import archive, branches, past, work, writers
from docstore.history.errors import TooLongAgo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx


class Pruned(NamedTuple):
    """What was given up, or would be."""

    begins: datetime
    """From then on it is known what the branch said."""
    rows: int
    """Rows of the journal."""
    bytes: int
    """Of those, as they were stored."""


# One statement sees one instant: a compaction beside us moves rows from the one to the other.
ROWS: LiteralString = """
    SELECT 0, id, NULL::uuid, body, body_bytes, NULL::timestamptz, rows FROM journal_segments
    WHERE document_id = %(id)s AND from_time <= %(before)s
    UNION ALL
    SELECT 1, seq, author, payload, NULL, created_at, NULL FROM journal
    WHERE document_id = %(id)s AND refused_at IS NULL AND created_at <= %(before)s
    ORDER BY 1, 2"""

# What a branch was made with stays: it is what a merge compares both sides with.
MOVE_ON: LiteralString = """
    UPDATE documents SET base_state_id = %s, base_at = %s,
        fork_state_id = CASE WHEN origin_id IS NOT NULL AND base_at <= created_at
                             THEN base_state_id ELSE fork_state_id END
    WHERE id = %s"""

DROP: LiteralString = "DELETE FROM journal_segments WHERE id = ANY(%s::bigint[])"

SHORTEN: LiteralString = """
    UPDATE journal_segments SET rows = %s, first_seq = %s, last_seq = %s, from_time = %s,
        to_time = %s, authors = %s, body = %s, body_bytes = %s
    WHERE id = %s"""


async def prune(
    database: Database,
    project_id: UUID,
    name: str,
    before: datetime,
    *,
    allowed: Callable[[], Awaitable[None]],
    record: Callable[[Tx, Pruned], Awaitable[None]] | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Give up what a branch said before a moment that has come.

    dry_run: only say what that comes to.

    record: writes down, in the same transaction, that it was done.
    Raises BranchNotFound, TooLongAgo for what was given up already, SnapshotDamaged,
    DocumentUnreadable, and what `allowed` raises.
    """
    now = clock.now()
    async with database.connection() as tx:
        found = await branches.get(tx, project_id, name)
    # What is in the journal itself may not be in the snapshot, and would be lost to rooms.
    await compaction.compact(database, found.document_id)
    async with writers.writing(database, project_id) as tx:
        found = await branches.get(tx, project_id, name)
        if before < past.begins(found):
            raise TooLongAgo
        base = None
        if found.base_state_id is not None:
            base = await archive.get(tx, project_id, found.base_state_id)
        rows = await _binary(tx, ROWS, {"id": found.document_id, "before": before})
        parts = {row[1]: segments.Packed(row[3], row[4]) for row in rows if row[0] == 0}
        tail = [segments.Row(row[1], row[2], row[3], row[5]) for row in rows if row[0] == 1]
        left = await work.forget(base, parts, tail, before)
        counts = {row[1]: row[6] for row in rows if row[0] == 0}
        shorter = {number: kept for number, kept in left.staying.items() if kept}
        packed = {
            number: await anyio.to_thread.run_sync(segments.pack, kept)
            for number, kept in shorter.items()
        }
        done = Pruned(
            before,
            sum(counts[number] - len(kept) for number, kept in left.staying.items()),
            sum(len(parts[number].body) for number in left.staying)
            - sum(len(each.body) for each in packed.values()),
        )
        if dry_run:
            return done
        await allowed()
        state_id = await archive.put(tx, project_id, left.state, now, lineage=found.lineage)
        await tx.execute(MOVE_ON, (state_id, before, found.document_id))
        await tx.execute(DROP, ([number for number, kept in left.staying.items() if not kept],))
        for number, kept in shorter.items():
            times = [row.created_at for row in kept]
            authors = sorted({row.author for row in kept if row.author is not None})
            noted = (len(kept), kept[0].seq, kept[-1].seq, min(times), max(times), authors)
            await tx.execute(SHORTEN, (*noted, *packed[number], number))
        if record is not None:
            await record(tx, done)
    return done


async def _binary(
    tx: Tx, statement: LiteralString, values: dict[str, object]
) -> list[tuple[Any, ...]]:
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()
