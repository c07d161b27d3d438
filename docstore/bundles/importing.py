"""What came in a bundle, made into a project with its history, or into a branch of one.

A new project gets everything: commits, tags, branches, the states as they came. Whoever brings it
is the author of all of it here, since names prove nothing; a commit keeps the name that came with
it in its `changes`. Times stay, ids are new: others could be taken, or lie ahead of the clock.

A branch gets the content only. It begins with the newest commit that both sides know, or with the
project's first, and goes to the content by ordinary operations, so that merging doubles nothing.

All of it is the server's own work, after it has judged. Tables: `projects`, `documents`, `commits`,
`commit_parents`, `tags`, `states`, `squashes`, `snapshots`, `journal`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import anyio.to_thread
import msgspec

from base import ids
from docstore import crdt, projects, snapshots
from docstore.bundles import layout, reading, scratch
from docstore.bundles.errors import BundleDamaged
from docstore.errors import DocumentUnreadable
from docstore.history import archive, branches, branching, commits, tags, work
from docstore.projects import MAIN

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from base.db import Tx
    from docstore.history.branches import Branch
    from docstore.projects import Project

SECONDS: Final = 900.0
"""How long checking may take: three megabytes of states a second, where the machine has nothing
else to do, so a thousand states of a megabyte take six minutes."""

MEMORY_BYTES: Final = 2 * 1024**3
"""What checking may take of it: some 300 MB for the values that a document may have at most."""

STATES_LEAST: Final = 64 * 1024 * 1024
STATES_RATIO: Final = 1000
"""All states together may unpack to as much, or to so many times the bundle. Those of a thousand
commits of a project of a megabyte are 700 times as large as they are stored."""

_CHECKED: Final = 2**63
"""No bound any more: how large a state may be was looked at."""

SET_LINEAGE: LiteralString = "UPDATE projects SET lineage = %s WHERE id = %s"

INSERT_STATE: LiteralString = """
    INSERT INTO states (project_id, number, base_id, body, state_bytes, sha256, lineage, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"""

INSERT_SQUASH: LiteralString = """
    INSERT INTO squashes (project_id, lineage, client_ids, created_by, created_at)
    VALUES (%s, %s, '{}', %s, %s)"""

INSERT_BRANCH: LiteralString = """
    INSERT INTO documents (project_id, branch, head, protected, created_by, created_at,
        base_state_id, base_at, lineage)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id, epoch"""

# A state that came may be one that is here: its bytes say so.
KNOWN: LiteralString = """
    SELECT c.id FROM commits c JOIN states s ON s.id = c.state_id
    WHERE c.project_id = %s AND s.sha256 = %s
    ORDER BY c.id DESC LIMIT 1"""

# Of whatever lineage: the newest is what a merge has to compare with, also across a squash.
SHARED: LiteralString = """
    SELECT id, content_sha256 FROM commits
    WHERE project_id = %s AND id = ANY(%s::uuid[])
    ORDER BY id DESC"""

FIRST: LiteralString = """
    SELECT id FROM commits WHERE project_id = %s ORDER BY id LIMIT 1"""


class Found(NamedTuple):
    """A bundle that was checked, in its folder."""

    home: Path
    history: layout.History
    content_sha256: bytes
    left_out: int
    """Files that this server does not keep."""


async def check(home: Path, now: datetime, *, document_bytes: int, unpacked_bytes: int) -> Found:
    """Check the upload in this folder of `scratch`.

    document_bytes: of one state; unpacked_bytes: of all entries together, and of all states.
    Raises BundleUnknown, BundleDamaged, BundleTooLarge, DocumentTooDeep.
    """
    size = (await anyio.to_thread.run_sync((home / reading.UPLOAD).stat)).st_size
    states_bytes = min(unpacked_bytes, max(STATES_LEAST, STATES_RATIO * size))
    bounds = reading.Bounds(document_bytes, unpacked_bytes, states_bytes, MEMORY_BYTES)
    try:
        found = await scratch.elsewhere(SECONDS, reading.check, str(home), now, bounds)
    except DocumentUnreadable as wrong:
        raise BundleDamaged(
            "What is in the bundle cannot be read, or not in a quarter of an hour, or takes too"
            " much memory."
        ) from wrong
    history = msgspec.msgpack.decode(found.history, type=layout.History)
    return Found(home, history, found.content_sha256, found.left_out)


# ---------------------------------------------------------------- as a project


async def as_project(tx: Tx, found: Found, *, owner: UUID, name: str, now: datetime) -> Project:
    """A new project with everything that is in the bundle, seen by nobody but its owner."""
    facts = found.history.project
    project_id, room_id = ids.new_id(), ids.new_room_id()
    values = (name, facts.kind, facts.description, False, "none", now, now)
    await tx.execute(projects.INSERT, (project_id, owner, room_id, *values))
    await tx.execute(SET_LINEAGE, (facts.lineage, project_id))
    await archive.lock(tx, project_id)
    states = await _states(tx, project_id, found, now)
    for squash in found.history.squashes:
        await tx.execute(INSERT_SQUASH, (project_id, squash.lineage, owner, now))
    made = await _commits(tx, project_id, found.history, states, owner)
    for branch in found.history.branches:
        head = None if branch.head is None else made[branch.head]
        await _branch(tx, found, branch, head, project_id, owner, now)
    for tag in found.history.tags:
        await tx.execute(tags.INSERT, (project_id, tag.name, made[tag.commit].id, owner, tag.time))
    return await projects.get(tx, project_id)


async def _states(tx: Tx, project_id: UUID, found: Found, now: datetime) -> dict[int, int]:
    """Store the states as they came; their ids by their numbers."""
    made: dict[int, int] = {}
    with await anyio.to_thread.run_sync((found.home / layout.STATES).open, "rb") as file:
        while state := await anyio.to_thread.run_sync(layout.read_state, file, _CHECKED):
            base = None if state.base is None else made[state.base]
            packed = state.packed
            stored = (packed.body, packed.size, packed.sha256, state.lineage, now)
            values = (project_id, state.number, base, *stored)
            ((made[state.number],),) = await (await tx.execute(INSERT_STATE, values)).fetchall()
    return made


async def _commits(
    tx: Tx, project_id: UUID, history: layout.History, states: dict[int, int], author: UUID
) -> dict[UUID, commits.Commit]:
    """Make the commits again, the oldest first; by the ids that they had."""
    made: dict[UUID, commits.Commit] = {}
    for each in history.commits:
        parents = [made[parent].id for parent in each.parents]
        made[each.id] = commits.Commit(
            id=commits.younger_than(parents),
            project_id=project_id,
            branch=each.branch,
            author=author,
            message=each.message,
            created_at=each.time,
            content_sha256=bytes.fromhex(each.content_hash),
            parents=parents,
            changes=each.changes,
            state_id=states[each.state],
        )
        await commits.insert(tx, made[each.id])
    return made


async def _branch(
    tx: Tx,
    found: Found,
    branch: layout.Branch,
    head: commits.Commit | None,
    project_id: UUID,
    owner: UUID,
    now: datetime,
) -> None:
    """A branch as it was; one that the bundle is not of, as it was at its newest commit."""
    if branch.name == found.history.branch:
        state = await _state(found)
    else:
        state = crdt.NOTHING if head is None else await commits.state_of(tx, head)
    begins = None
    if state != crdt.NOTHING:
        begins = await archive.put(tx, project_id, state, now, lineage=branch.lineage)
    by = None if branch.name == MAIN else owner
    head_id = None if head is None else head.id
    what = (branch.name, head_id, branch.protected, by, now, begins, now, branch.lineage)
    values = (project_id, *what)
    ((document_id, epoch),) = await (await tx.execute(INSERT_BRANCH, values)).fetchall()
    packed = await anyio.to_thread.run_sync(snapshots.pack, state)
    await tx.execute(
        branching.INSERT_SNAPSHOT,
        (document_id, epoch, packed.body, packed.size, packed.sha256, now),
    )


# ---------------------------------------------------------------- as a branch


async def as_branch(
    tx: Tx, found: Found, *, main: Branch, live: bytes, name: str, author: UUID, now: datetime
) -> Branch:
    """A new branch that says what the bundle does. tx: holds `archive.lock`.

    main, live: the project's main branch, and its state. Raises BranchNameInvalid, BranchTaken,
    BranchesFull, SnapshotDamaged, DocumentUnreadable, DocumentTooDeep, ContentUnreachable.
    """
    project_id = main.project_id
    wanted = await _state(found)
    sha256 = await anyio.to_thread.run_sync(lambda: hashlib.sha256(wanted).digest())
    known = await _id(tx, KNOWN, project_id, sha256)
    begins = known or await _begins(tx, found, project_id)
    if begins is None:
        source = await branching.of_live(tx, main, live)
    else:
        source = await branching.of_commit(tx, await commits.get(tx, project_id, begins))
    made = await branching.create(
        tx, project_id, name=name, source=source, created_by=author, now=now
    )
    if known is None:
        client_id = ids.new_client_id()
        reached = await work.reach(source.state, wanted, client_id=client_id)
        if reached.update is not None:
            values = (made.document_id, author, reached.update, now)
            await tx.execute(projects.INSERT_SEED, values)
    return await branches.get(tx, project_id, made.name)


async def _begins(tx: Tx, found: Found, project_id: UUID) -> UUID | None:
    """The newest commit that bundle and project have in common, or the project's first."""
    said = {each.id: each.content_hash for each in found.history.commits}
    cursor = await tx.execute(SHARED, (project_id, list(said)))
    for commit_id, content_sha256 in await cursor.fetchall():
        if said[commit_id] == content_sha256.hex():
            return commit_id
    return await _id(tx, FIRST, project_id)


async def _state(found: Found) -> bytes:
    return await anyio.to_thread.run_sync((found.home / layout.STATE).read_bytes)


async def _id(tx: Tx, statement: LiteralString, *values: object) -> UUID | None:
    row = await (await tx.execute(statement, values)).fetchone()
    return None if row is None else row[0]
