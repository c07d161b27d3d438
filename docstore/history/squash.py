"""All branches of a project begun anew: what they say stays, how they came to say it goes.

Promise: all or nothing, in one transaction; whatever ends it, the old or the new is there. Commits,
their states and tags stay: what was not committed is committed first. The caller holds the rooms
of these documents meanwhile, with everything that they took durable, and then lets them go. What
waited for others that never came is given up. The tables are `documents`, `journal`,
`journal_segments`, `snapshots`, `states`, `projects`, `squashes`. The server's own work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

import anyio.to_thread

from docstore import compaction, snapshots
from docstore.history import archive, commits, stored, work
from docstore.history import lineage as lineages
from docstore.history.errors import NothingToCommit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx
    from docstore.history.anew import Opened
    from docstore.history.branches import Branch


class Squashed(NamedTuple):
    """What a squash did."""

    lineage: int
    """The first of those that the branches have now, each one of its own."""
    branches: int
    bytes_before: int
    """Of the states of all branches, as updates."""
    bytes_after: int
    clients: int
    """Yjs clients that are recognised from now on."""


EVERY: LiteralString = "SELECT id FROM documents WHERE project_id = %s ORDER BY id"

OWN_CLIENTS: LiteralString = """
    SELECT s.client_ids FROM journal_segments s JOIN documents d ON d.id = s.document_id
    WHERE d.project_id = %s"""

SQUASH: LiteralString = """
    INSERT INTO squashes (project_id, lineage, client_ids, created_by, created_at)
    VALUES (%s, %s, %s, %s, %s)"""

# What a branch was made with is what a merge compares with: it is kept, unless it was pruned.
BEGIN: LiteralString = """
    UPDATE documents SET epoch = epoch + 1, lineage = %s,
        fork_state_id = CASE WHEN origin_id IS NOT NULL AND base_at <= created_at
                             THEN base_state_id ELSE fork_state_id END,
        base_state_id = %s, base_at = %s
    WHERE id = %s RETURNING epoch"""

CLEAR: tuple[LiteralString, ...] = (
    "DELETE FROM journal WHERE document_id = %s",
    "DELETE FROM journal_segments WHERE document_id = %s",
    "DELETE FROM snapshots WHERE document_id = %s",
)

SNAPSHOT: LiteralString = """
    INSERT INTO snapshots (document_id, epoch, state, state_bytes, sha256, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)"""


async def squash(
    tx: Tx,
    project_id: UUID,
    lines: Sequence[Branch],
    *,
    author: UUID,
    message: str,
    now: datetime,
) -> Squashed:
    """Begin these branches, all of the project's that are not deleted, anew; main comes first.

    tx: holds `archive.lock`. message: of the commits of what was not committed.
    Raises DocumentUnreadable, DocumentTooDeep, ContentUnreachable, SnapshotDamaged.
    """
    old: list[Opened] = []
    for line in lines:
        # A compaction that has begun ends before; the next one sees what is there then.
        await compaction.exclude(tx, line.document_id)
        old.append(await stored.opened(tx, line.document_id))
    for line, found in zip(lines, old, strict=True):
        await _committed(tx, line, found.state, author, message, now)
    clients = await _clients(tx, project_id, lines, old)
    fresh = await lineages.fresh_clients(tx, project_id, len(lines), clients)
    states = [
        await work.begin_anew(found.state, client) for found, client in zip(old, fresh, strict=True)
    ]
    numbers = await lineages.begin(tx, project_id, len(lines))
    retired = sorted(clients)
    await tx.execute(SQUASH, (project_id, numbers[0], retired, author, now))
    for line, number, state in zip(lines, numbers, states, strict=True):
        state_id = await archive.put(tx, project_id, state, now, lineage=number)
        await _replace(tx, line.document_id, number, state_id, state, now)
    return Squashed(
        numbers[0],
        len(lines),
        sum(len(each.state) for each in old),
        sum(map(len, states)),
        len(retired),
    )


async def _committed(
    tx: Tx, line: Branch, state: bytes, author: UUID, message: str, now: datetime
) -> None:
    try:
        await commits.make_within(
            tx,
            project_id=line.project_id,
            document_id=line.document_id,
            branch=line.name,
            state=state,
            author=author,
            message=message,
            now=now,
        )
    except NothingToCommit:
        return  # its head says it


async def _clients(
    tx: Tx, project_id: UUID, lines: Sequence[Branch], old: Sequence[Opened]
) -> set[int]:
    """Every client that ever wrote, also to branches that were deleted."""
    clients = {client for found in old for client in found.clients}
    for (ids,) in await _rows(tx, OWN_CLIENTS, project_id):
        clients.update(ids)
    known = {line.document_id for line in lines}
    for (document_id,) in await _rows(tx, EVERY, project_id):
        if document_id not in known:
            clients.update((await stored.opened(tx, document_id)).clients)
    return clients


async def _replace(
    tx: Tx, document_id: int, lineage: int, state_id: int, state: bytes, now: datetime
) -> None:
    for statement in CLEAR:
        await tx.execute(statement, (document_id,))
    ((epoch,),) = await _rows(tx, BEGIN, lineage, state_id, now, document_id)
    packed = await anyio.to_thread.run_sync(snapshots.pack, state)
    await tx.execute(SNAPSHOT, (document_id, epoch, *packed, now))


async def _rows(tx: Tx, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    return await (await tx.execute(statement, values)).fetchall()
