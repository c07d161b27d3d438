"""Compaction: a document's journal tail folded into a newer snapshot, in one transaction.

Promise: no row is lost. Rows get their numbers before they are committed and become visible out of
order, so exactly the rows that were read are taken out of the journal, by number, never a range.
A row that still waits for others (a gap in what a client sent) is not in the snapshot and stays,
and so does one that cannot be applied: it must not keep the rest from being folded.
What is taken out is kept, row by row, in a segment: history loses nothing either.

Two compactions of one document exclude each other; readers and writers are not held up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import anyio.to_thread

from base import clock, log, metrics
from docstore import aside, folding, segments, snapshots
from docstore.history import writers

if TYPE_CHECKING:
    from base.db import Database, Tx

_log = log.get(__name__)

ASIDE_BYTES: Final = 256 * 1024
"""From here on a process of its own does the folding: 256 kB take about 15 ms of interpreter."""

_LOCKS: Final = 0x5359 << 48
"""Added to the document's id, so that nobody else's advisory locks are ours."""

LOCK: LiteralString = "SELECT pg_try_advisory_xact_lock(%s)"

EXCLUDE: LiteralString = "SELECT pg_advisory_xact_lock(%s)"

SNAPSHOT: LiteralString = """
    SELECT d.epoch, s.id, s.state, s.state_bytes, s.sha256
    FROM documents d LEFT JOIN snapshots s ON s.document_id = d.id
    WHERE d.id = %s ORDER BY s.id DESC LIMIT 1"""

ROWS: LiteralString = """
    SELECT seq, author, payload, created_at, waiting FROM journal
    WHERE document_id = %s AND refused_at IS NULL ORDER BY seq"""

INSERT_SNAPSHOT: LiteralString = """
    INSERT INTO snapshots (document_id, epoch, state, state_bytes, sha256, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)"""

INSERT_SEGMENT: LiteralString = """
    INSERT INTO journal_segments (document_id, rows, first_seq, last_seq, from_time, to_time,
                                  authors, client_ids, body, body_bytes, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""

DELETE_ROWS: LiteralString = """
    DELETE FROM journal WHERE document_id = %s AND seq = ANY(%s::bigint[])"""

DELETE_SNAPSHOT: LiteralString = "DELETE FROM snapshots WHERE id = %s"


class Compaction(NamedTuple):
    """What a compaction did. Sizes in bytes."""

    document_id: int
    rows: int
    """Rows folded into the snapshot and moved to a segment."""
    staying: int
    """Rows that stayed, because they wait for others or cannot be applied."""
    bytes_before: int
    """The old state and the rows, as updates."""
    bytes_after: int
    """The new state, as an update."""
    stored: int
    """The new snapshot and the segment, compressed."""
    seconds: float


class _Read(NamedTuple):
    epoch: int
    snapshot_id: int | None
    snapshot: snapshots.Packed | None
    rows: list[segments.Row]
    waiting: list[bool]
    """Of each row, whether it waited for others when it was stored."""


async def compact(database: Database, document_id: int) -> Compaction | None:
    """Fold what the journal holds of a document.

    None when there is nothing to fold, the document is gone, or another compaction is at it.
    Raises DatabaseUnavailable; SnapshotDamaged, MalformedUpdate or PoisonUpdate when what is
    stored cannot be read, and then nothing has been changed.
    """
    async with writers.folding(database) as tx:
        started = clock.monotonic()
        if not await _alone(tx, document_id):
            return None
        read = await _read(tx, document_id)
        if read is None or not read.rows:
            return None
        size = sum(len(row.payload) for row in read.rows)
        before = size + (read.snapshot.size if read.snapshot is not None else 0)
        folded = await _fold(read, before)
        if len(folded.staying) == len(read.rows):
            return None
        stored = await _write(tx, document_id, read, folded)
    metrics.compactions_total.inc()
    staying = len(folded.staying)
    done = Compaction(
        document_id,
        len(read.rows) - staying,
        staying,
        before,
        folded.snapshot.size,
        stored,
        clock.monotonic() - started,
    )
    _log.info("compacted", **done._asdict())
    return done


async def exclude(tx: Tx, document_id: int) -> None:
    """Until the transaction ends, no compaction of a document; one under way is waited for."""
    await tx.execute(EXCLUDE, (_LOCKS + document_id,))


async def _alone(tx: Tx, document_id: int) -> bool:
    cursor = await tx.execute(LOCK, (_LOCKS + document_id,))
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def _read(tx: Tx, document_id: int) -> _Read | None:
    """The newest snapshot and the rows that are visible now.

    Two statements: a row committed between them belongs to the snapshot's future either way,
    since only a compaction takes rows away, and this is the only one.
    """
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(SNAPSHOT, (document_id,))
        found = await cursor.fetchone()
        if found is None:
            return None
        epoch, snapshot_id, state, size, sha256 = found
        await cursor.execute(ROWS, (document_id,))
        found = await cursor.fetchall()
    rows = [segments.Row(*row[:4]) for row in found]
    snapshot = None if snapshot_id is None else snapshots.Packed(state, size, sha256)
    return _Read(epoch, snapshot_id, snapshot, rows, [row[4] for row in found])


async def _fold(read: _Read, size: int) -> folding.Folded:
    updates = [
        folding.Update(row.payload, waits)
        for row, waits in zip(read.rows, read.waiting, strict=True)
    ]
    if size < ASIDE_BYTES:
        return await anyio.to_thread.run_sync(folding.fold, read.snapshot, updates)
    return await aside.fold(read.snapshot, updates)


async def _write(tx: Tx, document_id: int, read: _Read, folded: folding.Folded) -> int:
    """Put the new snapshot and the segment in the place of what was read; bytes stored."""
    staying = set(folded.staying)
    rows = [row for index, row in enumerate(read.rows) if index not in staying]
    segment = await anyio.to_thread.run_sync(segments.pack, rows)
    now = clock.now()
    state = folded.snapshot
    await tx.execute(
        INSERT_SNAPSHOT, (document_id, read.epoch, state.body, state.size, state.sha256, now)
    )
    await tx.execute(
        INSERT_SEGMENT,
        (
            document_id,
            len(rows),
            rows[0].seq,
            rows[-1].seq,
            min(row.created_at for row in rows),
            max(row.created_at for row in rows),
            sorted({row.author for row in rows if row.author is not None}),
            list(folded.client_ids),
            segment.body,
            segment.size,
            now,
        ),
    )
    cursor = await tx.execute(DELETE_ROWS, (document_id, [row.seq for row in rows]))
    if cursor.rowcount != len(rows):
        # Somebody took rows away beside the lock; leave everything as it was.
        raise RuntimeError(f"{len(rows)} journal rows were read, {cursor.rowcount} were there")
    if read.snapshot_id is not None:
        await tx.execute(DELETE_SNAPSHOT, (read.snapshot_id,))
    return len(state.body) + len(segment.body)
