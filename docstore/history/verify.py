"""Proves that what is stored is whole: every hash is computed again, every journal is replayed.

Promise: a project is seen as it was at one instant, whatever is written meanwhile, and nothing is
changed. What is wrong is told, never raised, and the rest is looked at all the same. Tables: all of
a project's history. Work that may take long, or never end, is done in a process of its own.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, LiteralString, NamedTuple

import anyio
import anyio.to_process
import anyio.to_thread

from base.db import one_instant
from docstore import segments, snapshots
from docstore.errors import DocumentTooDeep, DocumentUnreadable, SnapshotDamaged, TooCostly
from docstore.history import archive, chain, proof, work

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from uuid import UUID

    from base.db import Database, Tx

SECONDS: Final = 900.0
"""How long the replay of one document may take."""

REMEDIES: Final[Mapping[str, str]] = {
    "state_damaged": "restore the table states from a backup; what rests on this state is lost too",
    "chain_broken": "restore the table states from a backup: what this state differs from is gone",
    "state_missing": "restore the table states from a backup",
    "content_differs": "restore commits and states from a backup: they do not belong together",
    "commit_unreadable": "download the commit's state as a Yjs update and look at it with Yjs",
    "parent_missing": "restore commit_parents and commits from a backup",
    "parent_not_older": "restore commit_parents from a backup",
    "head_missing": "restore commits from a backup, or set the branch's head to one that is there",
    "tag_dangling": "delete the tag, or restore commits from a backup",
    "snapshot_damaged": "delete the snapshot's row once the journal was put back from its segments",
    "segment_damaged": "restore journal_segments from a backup; the present is whole without it",
    "segment_miscounted": "restore journal_segments from a backup; its rows can still be read",
    "row_twice": "delete the row from the journal: its segment has it",
    "row_left_out": "look at the row: it was acknowledged, and cannot be applied any more",
    "document_differs": "export the project and look at both; rooms go on with the snapshot",
    "document_unreadable": "export what can be had; rooms of this document cannot be opened",
    "squash_missing": "restore the table squashes from a backup: old clients are not recognised",
    "lineage_unknown": "set the project's lineage to the greatest of its documents and states",
    "lineage_differs": "restore documents and states from a backup: do not merge the branch",
    "bundle_damaged": "delete this version of the bundle and make it again from its commit",
}
"""What to do, by kind of finding."""


class Finding(NamedTuple):
    """Something that is not as it should be."""

    project_id: UUID
    kind: str
    where: str

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.kind]


class Progress(NamedTuple):
    """A part that has been looked at."""

    project_id: UUID
    part: str
    """`states`, `commits`, `bundles`, or a branch."""
    looked_at: int
    """States, commits, bundles or journal rows."""


PROJECTS: LiteralString = "SELECT id FROM projects WHERE deleted_at IS NULL ORDER BY id"

# What an empty document holds is nobody's operations: it is stored once for all lineages.
EMPTY: LiteralString = "SELECT id FROM states WHERE project_id = %s AND state_bytes = 2"

TREE: LiteralString = """
    SELECT id, base_id, lineage FROM states WHERE project_id = %s ORDER BY number"""

STATE: LiteralString = """
    SELECT body, state_bytes, sha256, base_id IS NULL FROM states WHERE id = %s"""

COMMITS: LiteralString = """
    SELECT id, state_id, content_sha256 FROM commits WHERE project_id = %s ORDER BY id"""

PARENTS: LiteralString = """
    SELECT commit_id, position, parent_id FROM commit_parents WHERE project_id = %s
    ORDER BY commit_id, position"""

TAGS: LiteralString = "SELECT name, commit_id FROM tags WHERE project_id = %s ORDER BY name"

DOCUMENTS: LiteralString = """
    SELECT id, branch, head, base_state_id, lineage, epoch FROM documents
    WHERE project_id = %s AND deleted_at IS NULL ORDER BY id"""

SNAPSHOT: LiteralString = """
    SELECT state, state_bytes, sha256 FROM snapshots WHERE document_id = %s
    ORDER BY id DESC LIMIT 1"""

SEGMENTS: LiteralString = """
    SELECT id, rows, first_seq, last_seq, from_time, to_time, authors, body, body_bytes
    FROM journal_segments WHERE document_id = %s ORDER BY id"""

TAIL: LiteralString = """
    SELECT seq, author, payload, created_at, waiting FROM journal
    WHERE document_id = %s AND refused_at IS NULL ORDER BY seq"""

LINEAGES: LiteralString = """
    SELECT p.lineage, count(s.lineage), coalesce(max(s.lineage), 1)
    FROM projects p LEFT JOIN squashes s ON s.project_id = p.id
    WHERE p.id = %s GROUP BY p.id"""

BUNDLES: LiteralString = """
    SELECT id, version, bytes, sha256 FROM project_bundles WHERE project_id = %s ORDER BY version"""

PARTS: LiteralString = "SELECT body FROM bundle_parts WHERE bundle_id = %s ORDER BY number"


async def verify(
    database: Database, projects: Sequence[UUID] | None = None
) -> AsyncGenerator[Finding | Progress]:
    """Look at these projects, or at all that are not deleted. Raises DatabaseUnavailable."""
    if projects is None:
        async with database.connection() as tx:
            projects = [row[0] for row in await _rows(tx, PROJECTS)]
    for project_id in projects:
        async with database.transaction() as tx:
            await one_instant(tx)
            async for told in _Project(tx, project_id).verified():
                yield told


class _Project:
    """One project, within a transaction that sees one instant."""

    def __init__(self, tx: Tx, project_id: UUID) -> None:
        self._tx = tx
        self._id = project_id
        self._states: dict[int, int] = {}
        """Their lineages, by their ids."""
        self._commits: set[UUID] = set()

    async def verified(self) -> AsyncGenerator[Finding | Progress]:
        """Everything, part by part."""
        wanted: dict[int, list[tuple[UUID, bytes]]] = {}
        for commit_id, state_id, sha256 in await self._of(COMMITS):
            self._commits.add(commit_id)
            wanted.setdefault(state_id, []).append((commit_id, sha256))
        async for told in self._all_states(wanted):
            yield told
        for finding in await self._graph(wanted):
            yield finding
        yield Progress(self._id, "commits", len(self._commits))
        documents = await self._of(DOCUMENTS)
        for finding in await self._lineages(documents):
            yield finding
        for document_id, branch, head, base_id, *_ in documents:
            if head is not None and head not in self._commits:
                yield self._finding("head_missing", f"branch {branch}, commit {head}")
            async for told in self._document(document_id, branch, base_id):
                yield told
        async for told in self._bundles():
            yield told

    # ------------------------------------------------------------ states and commits

    async def _all_states(
        self, wanted: Mapping[int, list[tuple[UUID, bytes]]]
    ) -> AsyncGenerator[Finding | Progress]:
        """Each state is unpacked once: those that rest on one another are walked depth first."""
        children: dict[int | None, list[int]] = {}
        for state_id, base_id, lineage in await self._of(TREE):
            self._states[state_id] = lineage
            children.setdefault(base_id, []).append(state_id)
        seen: set[int] = set()
        path: list[tuple[int | None, bytes]] = []
        open_ = [(None, each) for each in children.get(None, [])]
        while open_:
            base_id, state_id = open_.pop()
            seen.add(state_id)
            while path and path[-1][0] != base_id:
                path.pop()
            state = await self._unpacked(state_id, path[-1][1] if path else None)
            if state is None:
                yield self._finding("state_damaged", f"state {state_id}")
                continue  # what rests on it is told of below
            path.append((state_id, state))
            open_ += [(state_id, each) for each in children.get(state_id, [])]
            if state_id in wanted:
                for finding in await self._digests(state, wanted[state_id]):
                    yield finding
        for state_id in sorted(self._states.keys() - seen):
            yield self._finding("chain_broken", f"state {state_id}")
        yield Progress(self._id, "states", len(seen))

    async def _unpacked(self, state_id: int, base: bytes | None) -> bytes | None:
        async with self._tx.cursor(binary=True) as cursor:
            await cursor.execute(STATE, (state_id,))
            row = await cursor.fetchone()
        assert row is not None, "seen at the same instant"
        packed = chain.Packed(*row)
        try:
            return await anyio.to_thread.run_sync(chain.unpack_on, packed, base)
        except SnapshotDamaged:
            return None

    async def _digests(self, state: bytes, commits: Sequence[tuple[UUID, bytes]]) -> list[Finding]:
        try:
            digest = await work.digest(state)
        except (DocumentUnreadable, DocumentTooDeep, TooCostly):
            return [self._finding("commit_unreadable", f"commit {each}") for each, _ in commits]
        return [
            self._finding("content_differs", f"commit {each}")
            for each, sha256 in commits
            if sha256 != digest
        ]

    async def _graph(self, wanted: Mapping[int, list[tuple[UUID, bytes]]]) -> list[Finding]:
        found: list[Finding] = []
        for state_id in sorted(wanted.keys() - self._states.keys()):
            for commit_id, _ in wanted[state_id]:
                found.append(self._finding("state_missing", f"commit {commit_id}"))
        expected: dict[UUID, int] = {}
        for commit_id, position, parent_id in await self._of(PARENTS):
            there = parent_id in self._commits and commit_id in self._commits
            if not there or position != expected.get(commit_id, 0):
                found.append(self._finding("parent_missing", f"commit {commit_id}"))
            elif parent_id >= commit_id:
                found.append(self._finding("parent_not_older", f"commit {commit_id}"))
            expected[commit_id] = position + 1
        for name, commit_id in await self._of(TAGS):
            if commit_id not in self._commits:
                found.append(self._finding("tag_dangling", f"tag {name}"))
        return found

    async def _lineages(self, documents: Sequence[tuple[Any, ...]]) -> list[Finding]:
        """Whether all numbers were given, and a branch's beginning is of the branch's lineage.

        A head's state need not be: it may be from before a squash, or of whoever was merged.
        """
        ((last, squashes, begun),) = await self._of(LINEAGES)
        empty = {state_id for (state_id,) in await self._of(EMPTY)}
        found = [
            self._finding("lineage_unknown", f"state {state_id}")
            for state_id, lineage in self._states.items()
            if not 1 <= lineage <= last
        ]
        if begun > last:
            found.append(self._finding("lineage_unknown", "squashes"))
        for _, branch, _, base_id, lineage, epoch in documents:
            where = f"branch {branch}"
            if not 1 <= lineage <= last:
                found.append(self._finding("lineage_unknown", where))
            # A project that came in a bundle has squashes that its epochs do not count.
            if epoch - 1 > squashes or (lineage > 1 and not squashes):
                found.append(self._finding("squash_missing", where))
            begins = self._states.get(base_id, lineage)
            if begins != lineage and base_id not in empty:
                found.append(self._finding("lineage_differs", where))
        return found

    # ------------------------------------------------------------ documents

    async def _document(
        self, document_id: int, branch: str, base_id: int | None
    ) -> AsyncGenerator[Finding | Progress]:
        where = f"branch {branch}"
        base = None
        if base_id is not None:
            try:
                base = await archive.get(self._tx, self._id, base_id)
            except SnapshotDamaged:
                yield self._finding("state_missing", f"{where}, state {base_id}")
                return
        stored = await self._stored(document_id, base)
        try:
            with anyio.fail_after(SECONDS):
                proven = await anyio.to_process.run_sync(proof.prove, stored, cancellable=True)
        except (TimeoutError, anyio.BrokenWorkerProcess):
            yield self._finding("document_unreadable", where)
            return
        for fault in proven.faults:
            yield self._finding(fault.kind, f"{where}, {fault.where}")
        yield Progress(self._id, where, proven.rows)

    async def _stored(self, document_id: int, base: bytes | None) -> proof.Stored:
        async with self._tx.cursor(binary=True) as cursor:
            await cursor.execute(SNAPSHOT, (document_id,))
            snapshot = await cursor.fetchone()
            await cursor.execute(SEGMENTS, (document_id,))
            folded = await cursor.fetchall()
            await cursor.execute(TAIL, (document_id,))
            tail = await cursor.fetchall()
        return proof.Stored(
            base,
            None if snapshot is None else snapshots.Packed(*snapshot),
            [proof.Segment(*row) for row in folded],
            [proof.Tail(segments.Row(*row[:4]), row[4]) for row in tail],
        )

    # ------------------------------------------------------------ bundles

    async def _bundles(self) -> AsyncGenerator[Finding | Progress]:
        looked_at = 0
        for bundle_id, version, size, sha256 in await self._of(BUNDLES):
            digest, length = hashlib.sha256(), 0
            async with self._tx.cursor(binary=True) as cursor:
                async for (body,) in cursor.stream(PARTS, (bundle_id,)):
                    digest.update(body)
                    length += len(body)
            if (length, digest.digest()) != (size, bytes(sha256)):
                yield self._finding("bundle_damaged", f"bundle {version}")
            looked_at += 1
        if looked_at:
            yield Progress(self._id, "bundles", looked_at)

    def _finding(self, kind: str, where: str) -> Finding:
        return Finding(self._id, kind, where)

    async def _of(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        return await _rows(self._tx, statement, self._id)


async def _rows(tx: Tx, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()
