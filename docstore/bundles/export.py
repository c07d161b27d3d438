"""A project written down: what a document says, and the history that leads there.

Read in one instant, in the server's own name, after whoever asks was judged. What a branch says
now brings all of the project's history; a commit brings what it descends from. States are copied
as they are stored. Tables read: `commits`, `commit_parents`, `states`, `tags`, `documents`,
`squashes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import anyio.to_thread
import msgspec
from psycopg.rows import class_row

from base.db import one_instant
from docstore.bundles import layout, packing, scratch, store
from docstore.bundles.errors import BundleTooLarge
from docstore.errors import SnapshotDamaged
from docstore.history import branches, chain, dag, writers
from docstore.projects import MAIN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history.branches import Branch
    from docstore.projects import Project

SECONDS: Final = 600.0
"""How long packing may take; a gigabyte takes two minutes."""

COMMITS: LiteralString = """
    SELECT c.id, c.branch, c.author, c.message, c.created_at, c.content_sha256,
        ARRAY(SELECT p.parent_id FROM commit_parents p
              WHERE p.commit_id = c.id ORDER BY p.position) AS parents,
        c.changes, s.number
    FROM commits c JOIN states s ON s.id = c.state_id
    WHERE c.project_id = %s ORDER BY c.id"""

# What these are stored against comes with them.
STATES: LiteralString = """
    WITH RECURSIVE wanted AS (
        SELECT id, base_id FROM states WHERE project_id = %(project)s AND number = ANY(%(numbers)s)
        UNION
        SELECT s.id, s.base_id FROM wanted
            JOIN states s ON s.id = wanted.base_id AND s.project_id = %(project)s)
    SELECT s.id, s.number, b.number, s.lineage, s.state_bytes, s.sha256
    FROM wanted JOIN states s USING (id) LEFT JOIN states b ON b.id = s.base_id
    ORDER BY s.number"""

BODY: LiteralString = "SELECT body FROM states WHERE id = %s"

AUTHORS: LiteralString = "SELECT DISTINCT author FROM commits WHERE project_id = %s"

TAGS: LiteralString = """
    SELECT name, commit_id, created_at FROM tags WHERE project_id = %s ORDER BY created_at, name"""

LINEAGE: LiteralString = "SELECT lineage FROM projects WHERE id = %s"

SQUASHES: LiteralString = """
    SELECT lineage FROM squashes WHERE project_id = %s ORDER BY lineage"""

OF_COMMITS: LiteralString = """
    SELECT c.id, s.lineage FROM commits c JOIN states s ON s.id = c.state_id
    WHERE c.project_id = %s AND c.id = ANY(%s::uuid[])"""


class Subject(NamedTuple):
    """What to write down."""

    project: Project
    branch: Branch
    commit: UUID | None
    """None: what the branch says now."""
    state: bytes
    """That, as one full update."""
    names: Mapping[UUID, str] | None
    """Of the authors, by their ids; None: they are not to be told."""


class _Row(NamedTuple):
    id: UUID
    branch: str
    author: UUID
    message: str
    created_at: datetime
    content_sha256: bytes
    parents: list[UUID]
    changes: dict[str, object]
    number: int


async def write(
    database: Database,
    home: Path,
    subject: Subject,
    *,
    kind: layout.Kind,
    limit: int,
    now: datetime,
) -> store.Made:
    """Write a bundle into a folder of `scratch`. limit: bytes of the file.

    Raises BundleTooLarge, BundleUnwritable, SnapshotDamaged, DocumentUnreadable, DocumentTooDeep.
    """
    if len(subject.state) > limit * _MOST_SHRUNK:
        raise BundleTooLarge(limit_bytes=limit)
    await anyio.to_thread.run_sync((home / layout.STATE).write_bytes, subject.state)
    async with writers.reading(database) as tx:
        await one_instant(tx)
        history = await _history(tx, subject, now)
        encoded = await anyio.to_thread.run_sync(msgspec.json.encode, history)
        if len(encoded) > layout.HISTORY_BYTES or len(history.commits) > layout.MOST_COMMITS:
            raise BundleTooLarge("The project has more history than a bundle can hold.")
        await anyio.to_thread.run_sync((home / layout.HISTORY).write_bytes, encoded)
        numbers = {commit.state for commit in history.commits}
        await _states(tx, home, subject.project.id, numbers, limit)
    if kind == "odb":
        meta = msgspec.json.encode(_meta(subject.project))
        await anyio.to_thread.run_sync((home / layout.ODB_META).write_bytes, meta)
    size, sha256, content_sha256 = await scratch.elsewhere(
        SECONDS, packing.pack, str(home), kind, subject.project.id.bytes, limit
    )
    return store.Made(home / packing.FILE, size, sha256, content_sha256)


_MOST_SHRUNK: Final = 100
"""No document shrinks further than to a hundredth, hardly any to a tenth."""


async def authors(tx: Tx, project_id: UUID) -> list[UUID]:
    """Who made the commits of a project."""
    return [row[0] for row in await (await tx.execute(AUTHORS, (project_id,))).fetchall()]


async def _history(tx: Tx, subject: Subject, now: datetime) -> layout.History:
    project = subject.project
    ((lineage,),) = await (await tx.execute(LINEAGE, (project.id,))).fetchall()
    async with tx.cursor(row_factory=class_row(_Row)) as cursor:
        await cursor.execute(COMMITS, (project.id,))
        rows = await cursor.fetchall()
    graph = {row.id: row.parents for row in rows}
    if subject.commit is None:
        lines = await _lines(tx, subject)
    else:
        held = dag.ancestors(graph, [subject.commit])
        rows = [row for row in rows if row.id in held]
        shared = await _of_commits(tx, project.id, [subject.commit])
        lines = [layout.Branch(MAIN, subject.commit, lineage=shared[subject.commit])]
    kept = {row.id for row in rows}
    labels = await (await tx.execute(TAGS, (project.id,))).fetchall()
    squashes = await (await tx.execute(SQUASHES, (project.id,))).fetchall()
    return layout.History(
        layout.Facts(project.id, project.name, project.kind, project.description, lineage),
        subject.branch.name if subject.commit is None else MAIN,
        subject.commit,
        now,
        lines,
        [_commit(row, subject.names) for row in rows],
        [layout.Tag(*label) for label in labels if label[1] in kept],
        [layout.Squash(*squash) for squash in squashes],
    )


async def _lines(tx: Tx, subject: Subject) -> list[layout.Branch]:
    """All branches. Those that the bundle is not of come back as they were at their heads."""
    listed = await branches.listing(tx, subject.project.id)
    heads = [each.head for each in listed if each.head is not None]
    shared = await _of_commits(tx, subject.project.id, heads)
    lines: list[layout.Branch] = []
    for each in listed:
        lineage = each.lineage
        if each.head is not None and each.name != subject.branch.name:
            lineage = shared[each.head]
        lines.append(layout.Branch(each.name, each.head, each.protected, lineage))
    return lines


async def _of_commits(tx: Tx, project_id: UUID, some: Collection[UUID]) -> dict[UUID, int]:
    """The lineages that the states of commits are of."""
    return dict(await (await tx.execute(OF_COMMITS, (project_id, list(some)))).fetchall())


def _commit(row: _Row, names: Mapping[UUID, str] | None) -> layout.Commit:
    # Who made what came in a bundle is not who brought it.
    brought = row.changes.get(layout.AUTHOR)
    name = None if names is None else names.get(row.author)
    return layout.Commit(
        row.id,
        row.branch,
        row.parents,
        row.message,
        row.created_at,
        brought if names is not None and isinstance(brought, str) else name,
        row.content_sha256.hex(),
        row.number,
        {key: value for key, value in row.changes.items() if key != layout.AUTHOR},
    )


async def _states(
    tx: Tx, home: Path, project_id: UUID, numbers: Collection[int], limit: int
) -> None:
    asked = {"project": project_id, "numbers": list(numbers)}
    rows = await (await tx.execute(STATES, asked)).fetchall()
    with await anyio.to_thread.run_sync((home / layout.STATES).open, "wb") as file:
        for state_id, number, base, lineage, size, sha256 in rows:
            async with tx.cursor(binary=True) as cursor:
                await cursor.execute(BODY, (state_id,))
                row = await cursor.fetchone()
            if row is None:
                raise SnapshotDamaged
            packed = chain.Packed(row[0], size, bytes(sha256), base is None)
            state = layout.State(number, base, lineage, packed)
            await anyio.to_thread.run_sync(layout.write_state, file, state)
            if file.tell() > limit:
                raise BundleTooLarge(limit_bytes=limit)


def _meta(project: Project) -> dict[str, object]:
    """As openDAW has it."""
    return {
        "artist": "",
        "name": project.name,
        "description": project.description,
        "tags": [],
        "created": project.created_at,
        "modified": project.updated_at,
    }
