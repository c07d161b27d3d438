"""Branches are made, renamed, protected and deleted here. Tables: `documents`, `snapshots`.

Promise: a branch begins with the operations of what it came from, as they are, so that merging it
back doubles nothing; and with all of them, so that its past can be told from its first moment on.
Only one from before a squash begins with the same content in operations of its own (`lineage`).
A deleted branch is found by nobody, gives its name back and keeps what it holds.

All of it is the server's own work, in a transaction that holds `archive.lock`; who may do what is
not decided here. Finding: `branches`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import anyio.to_thread

from docstore import snapshots
from docstore.history import archive, branches, commits, lineage, work
from docstore.history.apart import Counting
from docstore.history.errors import (
    BranchesFull,
    BranchProtected,
    BranchStays,
    BranchTaken,
    BranchUnmerged,
)
from docstore.projects import MAIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx
    from docstore.history.apart import Apart
    from docstore.history.branches import Branch
    from docstore.history.commits import Commit

MOST: Final = 100
"""Branches of a project, `main` among them."""


_PAGE: Final = 500
"""Commits that are read at once."""


class Source(NamedTuple):
    """What a branch begins with."""

    state: bytes
    """One full update."""
    head: UUID | None
    """The commit that its first one will follow."""
    lineage: int
    """Whose operations these are."""
    document_id: int | None = None
    """Whose live state it is."""
    commit_id: UUID | None = None
    """The commit that says the same."""


LINEAGE: LiteralString = "SELECT lineage FROM states WHERE project_id = %s AND id = %s"

COUNT: LiteralString = """
    SELECT count(*) FROM documents WHERE project_id = %s AND deleted_at IS NULL"""

# The epoch of a project's branches is one: whoever was told to begin anew begins anew in all.
INSERT: LiteralString = """
    INSERT INTO documents (project_id, branch, epoch, head, created_by, created_at,
                           base_state_id, base_at, origin_id, origin_commit, lineage)
    SELECT project_id, %s, epoch, %s, %s, %s, %s, %s, %s, %s, %s FROM documents
    WHERE project_id = %s AND branch = 'main' AND deleted_at IS NULL
    ON CONFLICT (project_id, branch) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id, epoch"""

INSERT_SNAPSHOT: LiteralString = """
    INSERT INTO snapshots (document_id, epoch, state, state_bytes, sha256, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)"""

RENAME: LiteralString = "UPDATE documents SET branch = %s WHERE id = %s"

OTHERS: LiteralString = """
    SELECT branch FROM documents
    WHERE project_id = %s AND deleted_at IS NULL AND id IS DISTINCT FROM %s"""

PROTECT: LiteralString = "UPDATE documents SET protected = %s WHERE id = %s"

DELETE: LiteralString = "UPDATE documents SET deleted_at = %s WHERE id = %s"

GRAPH: LiteralString = """
    SELECT c.id, ARRAY(SELECT p.parent_id FROM commit_parents p
                       WHERE p.commit_id = c.id ORDER BY p.position)
    FROM commits c WHERE c.project_id = %s"""

NEWEST: LiteralString = """
    SELECT c.id, ARRAY(SELECT p.parent_id FROM commit_parents p WHERE p.commit_id = c.id)
    FROM commits c
    WHERE c.project_id = %(project)s AND (%(after)s::uuid IS NULL OR c.id < %(after)s)
    ORDER BY c.id DESC LIMIT %(limit)s"""

# Parents are older than their children: what is older than the one that is looked for leads nowhere.
HELD: LiteralString = """
    WITH RECURSIVE held AS (
        (SELECT head AS id FROM documents
         WHERE project_id = %(project)s AND id <> %(branch)s AND deleted_at IS NULL
         UNION SELECT commit_id FROM tags WHERE project_id = %(project)s)
        UNION
        SELECT p.parent_id FROM held JOIN commit_parents p ON p.commit_id = held.id
        WHERE p.parent_id >= %(head)s)
    SELECT EXISTS (SELECT FROM held WHERE id = %(head)s)"""


# ---------------------------------------------------------------- making


async def of_commit(tx: Tx, commit: Commit) -> Source:
    """What a branch from a commit begins with.

    A commit from before a squash is told in operations of its own, of a lineage of its own.
    tx: holds `archive.lock`.
    Raises SnapshotDamaged; then also DocumentUnreadable, DocumentTooDeep, ContentUnreachable.
    """
    found = await stored(tx, commit)
    state, number = await lineage.usable(tx, commit.project_id, *found)
    return Source(state, commit.id, number, commit_id=commit.id)


async def stored(tx: Tx, commit: Commit) -> lineage.Usable:
    """A commit's state, and the lineage that it is of. Raises SnapshotDamaged."""
    state = await commits.state_of(tx, commit)
    row = await (await tx.execute(LINEAGE, (commit.project_id, commit.state_id))).fetchone()
    assert row is not None, "a commit's state is there as long as the commit"
    return lineage.Usable(state, int(row[0]))


async def of_live(tx: Tx, branch: Branch, state: bytes) -> Source:
    """What a branch from another one, which says `state` now, begins with.

    Raises DocumentUnreadable, DocumentTooDeep.
    """
    head = await _head(tx, branch)
    same = head is not None and await work.digest(state) == head.content_sha256
    commit_id = branch.head if same else None
    return Source(state, branch.head, branch.lineage, branch.document_id, commit_id)


async def create(
    tx: Tx, project_id: UUID, *, name: str, source: Source, created_by: UUID, now: datetime
) -> Branch:
    """A new branch. Raises BranchNameInvalid, BranchTaken, BranchesFull, SnapshotDamaged."""
    name = branches.named(name)
    await check_room(tx, project_id)
    await _check_free(tx, project_id, name)
    state_id = await archive.put(tx, project_id, source.state, now, lineage=source.lineage)
    values = (name, source.head, created_by, now, state_id, now)
    origin = (source.document_id, source.commit_id, source.lineage)
    made = await (await tx.execute(INSERT, (*values, *origin, project_id))).fetchone()
    if made is None:
        raise BranchTaken(branch=name)
    document_id, epoch = int(made[0]), int(made[1])
    packed = await anyio.to_thread.run_sync(snapshots.pack, source.state)
    await tx.execute(
        INSERT_SNAPSHOT, (document_id, epoch, packed.body, packed.size, packed.sha256, now)
    )
    return await branches.get(tx, project_id, name)


async def check_room(tx: Tx, project_id: UUID) -> None:
    """Whether there is room for one more. Raises BranchesFull."""
    row = await (await tx.execute(COUNT, (project_id,))).fetchone()
    if row is not None and row[0] >= MOST:
        raise BranchesFull(limit=MOST)


# ---------------------------------------------------------------- changing


async def rename(tx: Tx, branch: Branch, name: str) -> Branch:
    """Call a branch otherwise; its commits keep the name that it had.

    Raises BranchNameInvalid, BranchStays, BranchTaken.
    """
    name = branches.named(name)
    if name == branch.name:
        return branch
    if branch.name == MAIN:
        raise BranchStays
    await _check_free(tx, branch.project_id, name, branch.document_id)
    await tx.execute(RENAME, (name, branch.document_id))
    return branch._replace(name=name)


async def _check_free(tx: Tx, project_id: UUID, name: str, but: int | None = None) -> None:
    """Whether no branch but this one has the name, in large or small letters. Raises BranchTaken.

    tx: holds `archive.lock`.
    """
    for (other,) in await (await tx.execute(OTHERS, (project_id, but))).fetchall():
        if other.casefold() == name.casefold():
            raise BranchTaken(branch=other)


async def protect(tx: Tx, branch: Branch, *, protected: bool) -> Branch:
    """Protect a branch, or take that back."""
    await tx.execute(PROTECT, (protected, branch.document_id))
    return branch._replace(protected=protected)


def check_deletable(branch: Branch) -> None:
    """Whether a branch may ever be deleted. Raises BranchStays, BranchProtected."""
    if branch.name == MAIN:
        raise BranchStays
    if branch.protected:
        raise BranchProtected("The branch is protected; it can be deleted once it is not.")


async def check_merged(tx: Tx, branch: Branch, state: bytes) -> None:
    """Whether all that a branch holds is somewhere else too. state: what it says now.

    Raises BranchUnmerged, DocumentUnreadable, DocumentTooDeep.
    """
    head = await _head(tx, branch)
    if await work.digest(state) != commits.said(head):
        raise BranchUnmerged("The branch says what no commit of it says.")
    if head is None:
        return
    asked = {"project": branch.project_id, "branch": branch.document_id, "head": head.id}
    row = await (await tx.execute(HELD, asked)).fetchone()
    if row is None or not row[0]:
        raise BranchUnmerged("No other branch and no tag leads to the branch's newest commit.")


async def delete(tx: Tx, branch: Branch, now: datetime) -> None:
    """Take a branch out of sight. Raises BranchStays, BranchProtected."""
    check_deletable(branch)
    await tx.execute(DELETE, (now, branch.document_id))


# ---------------------------------------------------------------- beside one another


async def graph(tx: Tx, project_id: UUID) -> dict[UUID, Sequence[UUID]]:
    """Every commit of a project, and its parents, as `dag` has them."""
    rows = await (await tx.execute(GRAPH, (project_id,))).fetchall()
    return dict(rows)


async def beside(tx: Tx, project_id: UUID, some: Sequence[Branch], main: Branch) -> list[Apart]:
    """How far each of these is from main. Reads the history only as far back as they are apart."""
    counting = Counting(main.head, [each.head for each in some])
    last: UUID | None = None
    while not counting.done:
        asked = {"project": project_id, "after": last, "limit": _PAGE}
        rows = await (await tx.execute(NEWEST, asked)).fetchall()
        counting.tell(rows)
        if len(rows) < _PAGE:
            break
        last = rows[-1][0]
    return counting.result()


async def _head(tx: Tx, branch: Branch) -> Commit | None:
    return None if branch.head is None else await commits.get(tx, branch.project_id, branch.head)
