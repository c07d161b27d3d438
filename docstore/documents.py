"""Documents: what a room needs to open one. The tables are `documents`, `snapshots`, `journal`.

Promise: snapshot and tail are of one instant, so that a compaction beside us can neither hide a
row from us nor show it twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString, NamedTuple
from uuid import UUID

from docstore import snapshots
from docstore.errors import DocumentNotFound

if TYPE_CHECKING:
    from datetime import datetime

    from base.db import Tx


class WaitingRow(NamedTuple):
    """A row of the journal that waits for others."""

    seq: int
    author: UUID | None
    payload: bytes


class LoadedDocument(NamedTuple):
    """Everything that is kept of a document's present."""

    document_id: int
    epoch: int
    snapshot: bytes | None
    """A full state as one v1 update, uncompressed; None before the first compaction."""
    tail: list[bytes]
    """Updates applied and journaled since, in the order of their numbers."""
    waiting: list[WaitingRow]
    """Updates that were kept because they wait for others."""
    stored_bytes: int
    """Of both, in the journal."""


# One statement sees one instant, whatever the transaction's isolation. The tail comes as one row
# per update beside the snapshot's single row, told apart by their number.
LOAD: LiteralString = """
    SELECT epoch, NULL::bigint AS seq, NULL::bytea AS body, NULL::bytea AS sha256, 0 AS part,
           NULL::uuid AS author
    FROM documents WHERE id = %(id)s
    UNION ALL
    (SELECT state_bytes, id, state, sha256, 1, NULL FROM snapshots
     WHERE document_id = %(id)s ORDER BY id DESC LIMIT 1)
    UNION ALL
    (SELECT 0, seq, payload, NULL, CASE WHEN waiting THEN 3 ELSE 2 END, author FROM journal
     WHERE document_id = %(id)s AND refused_at IS NULL)
    ORDER BY part, seq"""

REFUSE: LiteralString = """
    UPDATE journal SET refused_at = %s WHERE document_id = %s AND seq = ANY(%s::bigint[])"""

PROJECT_OF: LiteralString = """
    SELECT p.id FROM documents d JOIN projects p ON p.id = d.project_id
    WHERE d.id = %s AND p.deleted_at IS NULL AND d.deleted_at IS NULL"""


async def load(tx: Tx, document_id: int) -> LoadedDocument:
    """Snapshot and tail. Raises DocumentNotFound, SnapshotDamaged."""
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(LOAD, {"id": document_id})
        rows = await cursor.fetchall()
    if not rows or rows[0][4] != 0:
        raise DocumentNotFound(document_id=document_id)
    epoch = int(rows[0][0])
    snapshot = None
    start = 1
    if len(rows) > 1 and rows[1][4] == 1:
        state_bytes, _, packed, sha256, _, _ = rows[1]
        snapshot = await snapshots.unpack_off_loop(packed, int(state_bytes), sha256)
        start = 2
    tail: list[bytes] = []
    waiting: list[WaitingRow] = []
    for _, seq, payload, _, part, author in rows[start:]:
        if part == 2:
            tail.append(payload)
        else:
            waiting.append(WaitingRow(seq, author, payload))
    stored = sum(map(len, tail)) + sum(len(row.payload) for row in waiting)
    return LoadedDocument(document_id, epoch, snapshot, tail, waiting, stored)


async def refuse(tx: Tx, document_id: int, seqs: list[int], now: datetime) -> None:
    """Load these rows no more: they waited, and then could not be applied. They stay stored."""
    await tx.execute(REFUSE, (now, document_id, seqs))


async def project_of(tx: Tx, document_id: int) -> UUID:
    """The project that a document belongs to. Raises DocumentNotFound, also when it is deleted."""
    cursor = await tx.execute(PROJECT_OF, (document_id,))
    row = await cursor.fetchone()
    if row is None:
        raise DocumentNotFound(document_id=document_id)
    found = row[0]
    assert isinstance(found, UUID)
    return found
