"""The states of a document that a command means, read from the database.

Beside a server that may be running: what is live is what is stored, and what a room holds but has
not stored yet (some milliseconds of it) is not in it.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import anyio.to_thread
import pycrdt

from base.errors import AppError
from docstore import crdt, documents, loading
from docstore.errors import DocumentUnreadable
from docstore.history import branches, past, render
from docstore.history import commits as store
from docstore.history import tags as labels
from docstore.history.errors import CommitNotFound
from syncserver import points

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history.branches import Branch
    from syncserver.points import Point


MOST_CANDIDATES: Final = 20
"""Commits that are listed where one was meant."""

BEGINNING: LiteralString = """
    SELECT id, created_at, message FROM commits
    WHERE project_id = %s AND id BETWEEN %s AND %s ORDER BY id DESC LIMIT %s"""


class CommitAmbiguous(AppError):
    """Several commits have an id that begins so; give more of it."""

    code = "commit_ambiguous"


class Place(NamedTuple):
    """A state that there is. commit: None for a moment, and for what is live."""

    branch: Branch
    commit: store.Commit | None = None
    time: datetime | None = None


async def find(tx: Tx, project_id: UUID, wanted: Point, branch: str) -> Place:
    """What a point means. branch: whose `live` and whose moments, where the point names none.

    Raises CommitNotFound, CommitAmbiguous, TagNotFound, BranchNotFound.
    """
    line = await branches.get(tx, project_id, wanted.branch or branch)
    if wanted.tag is not None:
        return Place(line, await labels.by_tag(tx, project_id, wanted.tag))
    if wanted.commit is not None:
        return Place(line, await store.get(tx, project_id, wanted.commit))
    if wanted.begins is not None:
        return Place(line, await _beginning(tx, project_id, wanted.begins))
    return Place(line, time=wanted.time)


async def _beginning(tx: Tx, project_id: UUID, begins: str) -> store.Commit:
    """The only commit whose id begins so. Raises CommitNotFound, CommitAmbiguous."""
    asked = (project_id, *points.within(begins), MOST_CANDIDATES + 1)
    rows = await (await tx.execute(BEGINNING, asked)).fetchall()
    if not rows:
        raise CommitNotFound
    if len(rows) > 1:
        lines = [
            f"  {row[0]}  {row[1].astimezone(UTC):%Y-%m-%d %H:%M:%S}  {render.clean(row[2])}"
            for row in rows[:MOST_CANDIDATES]
        ]
        if len(rows) > MOST_CANDIDATES:
            lines.append("  …")
        said = f"Several commits have an id that begins with {begins}; give more of it:"
        raise CommitAmbiguous("\n".join([said, *lines]))
    return await store.get(tx, project_id, rows[0][0])


async def state(database: Database, place: Place) -> bytes:
    """The state there, as one full update.

    Raises SnapshotDamaged, TooLongAgo, DocumentUnreadable.
    """
    if place.time is not None:
        return await past.state_at(database, place.branch, place.time)
    async with database.connection() as tx:
        if place.commit is not None:
            return await store.state_of(tx, place.commit)
        return await stored(tx, place.branch)


async def stored(tx: Tx, branch: Branch) -> bytes:
    """What is live of a branch, as far as it is stored. Raises SnapshotDamaged, DocumentUnreadable."""
    loaded = await documents.load(tx, branch.document_id)
    return await anyio.to_thread.run_sync(_built, loaded.snapshot, loaded.tail)


def _built(snapshot: bytes | None, tail: list[bytes]) -> bytes:
    try:
        doc = loading.build(pycrdt.Doc, loading.prepare(snapshot, tail, ())).doc
        with crdt.guarded():
            return doc.get_update()
    except (crdt.MalformedUpdate, crdt.PoisonUpdate) as wrong:
        raise DocumentUnreadable from wrong
