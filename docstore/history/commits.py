"""Commits: made from a branch's state, found, told in order. Tables: `commits`, `commit_parents`.

Promise: a commit is of one state and never changes. A branch's commits follow one another, however
many are made at once; none repeats the content of the one before. Who may do what is not decided
here, and whoever looks may do so in their own transaction (migration 0005), but states and all
that is written are the server's own work. Tags are told of in `docstore/history/tags.py`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, LiteralString, NamedTuple, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb

from base import ids, text64
from docstore.errors import CursorInvalid
from docstore.history import archive, content, keeping, work, writers
from docstore.history.errors import BranchNotFound, CommitNotFound, NothingToCommit
from docstore.live import Source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from base.db import Database, Tx

Snapshot: TypeAlias = "Callable[[], Awaitable[bytes]]"
"""Gives the state of a branch at the moment at which it is asked."""

State: TypeAlias = "bytes | Snapshot | Source"
"""What is committed: a full state, or whatever gives it."""

MOST_STEPS: Final = 1_000
"""Commits that one page looks at, when hardly any of them is asked for."""

_LARGEST_CURSOR: Final = 1_000
"""Lines of history, side by side, that a cursor can hold."""

_NOTHING_SHA256: Final = content.digest({})

_MILLISECOND: Final = 1 << 80
"""What a millisecond more makes of a UUIDv7."""


class Commit(NamedTuple):
    """A state of a branch that somebody put a name to."""

    id: UUID
    project_id: UUID
    branch: str
    """As it was called then."""
    author: UUID
    """They may have closed their account since."""
    message: str
    created_at: datetime
    content_sha256: bytes
    """Of what the state says: equal for equal contents, whoever wrote them."""
    parents: Sequence[UUID]
    """The one before it on its branch first."""
    changes: Mapping[str, Any]
    """Since the first parent, in numbers: see `summary.numbers`."""
    state_id: int
    """Where its state is kept."""


HEAD: LiteralString = """
    SELECT head, lineage FROM documents
    WHERE project_id = %s AND id = %s AND branch = %s AND deleted_at IS NULL"""

HEAD_OF: LiteralString = """
    SELECT head FROM documents WHERE project_id = %s AND branch = %s AND deleted_at IS NULL"""

INSERT: LiteralString = """
    INSERT INTO commits (id, project_id, branch, author, message, created_at, content_sha256,
                         state_id, changes)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""

INSERT_PARENT: LiteralString = """
    INSERT INTO commit_parents (project_id, commit_id, position, parent_id)
    SELECT %s, %s, number - 1, parent
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS given (parent, number)"""

ADVANCE: LiteralString = "UPDATE documents SET head = %s WHERE id = %s"

_SELECT: LiteralString = """
    SELECT c.id, c.project_id, c.branch, c.author, c.message, c.created_at, c.content_sha256,
        ARRAY(SELECT p.parent_id FROM commit_parents p
              WHERE p.commit_id = c.id ORDER BY p.position),
        c.changes, c.state_id
    FROM commits c"""

BY_ID: LiteralString = _SELECT + " WHERE c.project_id = %s AND c.id = %s"

BY_IDS: LiteralString = (
    _SELECT + " WHERE c.project_id = %s AND c.id = ANY(%s::uuid[]) ORDER BY c.id DESC"
)

ALL: LiteralString = """
    SELECT id FROM commits
    WHERE project_id = %(project)s AND (%(after)s::uuid IS NULL OR id < %(after)s)
        AND (%(author)s::uuid IS NULL OR author = %(author)s)
        AND (%(before)s::timestamptz IS NULL OR created_at < %(before)s)
    ORDER BY id DESC LIMIT %(limit)s"""

# Each step takes the youngest commit of those that are open, and opens its parents instead. Since
# parents are older than their children, that gives all in order, each once, however lines of
# history part and meet; and PostgreSQL goes only as far as the page reaches.
WALK: LiteralString = """
    WITH RECURSIVE walk AS (
        SELECT NULL::uuid AS id, NULL::uuid AS author, NULL::timestamptz AS created_at,
            %(open)s::uuid[] AS open, 0 AS step
        UNION ALL
        SELECT c.id, c.author, c.created_at,
            ARRAY(SELECT o FROM unnest(walk.open) o WHERE o <> c.id
                  UNION SELECT p.parent_id FROM commit_parents p WHERE p.commit_id = c.id),
            walk.step + 1
        FROM walk
            CROSS JOIN LATERAL (SELECT o AS id FROM unnest(walk.open) o ORDER BY o DESC LIMIT 1) y
            CROSS JOIN LATERAL (SELECT id, author, created_at FROM commits
                                WHERE project_id = %(project)s AND id = y.id) c
        WHERE walk.step < %(steps)s)
    SELECT id, open, step FROM walk
    WHERE step = %(steps)s
        OR step > 0 AND (%(author)s::uuid IS NULL OR author = %(author)s)
            AND (%(before)s::timestamptz IS NULL OR created_at < %(before)s)
    LIMIT %(limit)s"""


# ---------------------------------------------------------------- making


async def make(
    database: Database,
    *,
    project_id: UUID,
    document_id: int,
    branch: str,
    state: State,
    author: UUID,
    message: str,
    now: datetime,
) -> Commit:
    """Commit a state of a branch on top of its head, which is then this commit.

    state: better what gives it: it is asked when no other commit can come in between. A live
    document (`Source`) has to give only what was edited since its last commit.
    Raises NothingToCommit when the head says the same, BranchNotFound, SnapshotDamaged,
    DocumentUnreadable, DocumentTooDeep, and what `state` raises.
    """
    async with writers.writing(database, project_id, brief=True) as tx:
        return await make_within(
            tx,
            project_id=project_id,
            document_id=document_id,
            branch=branch,
            state=state,
            author=author,
            message=message,
            now=now,
        )


async def make_within(
    tx: Tx,
    *,
    project_id: UUID,
    document_id: int,
    branch: str,
    state: State,
    author: UUID,
    message: str,
    now: datetime,
    merged: Sequence[UUID] = (),
) -> Commit:
    """The same as part of something greater, in a transaction that holds `archive.lock`.

    merged: further parents. A commit that has some may say the same as the one before.
    """
    row = await _row(tx, HEAD, project_id, document_id, branch)
    if row is None:
        raise BranchNotFound(branch=branch)
    head: UUID | None = row[0]
    lineage: int = row[1]
    parent = None if head is None else await get(tx, project_id, head)
    taken = await _take(tx, project_id, parent, state, now, lineage=lineage, anyway=bool(merged))
    parents = [*([] if parent is None else [parent.id]), *merged]
    made = Commit(
        younger_than(parents),
        project_id,
        branch,
        author,
        message,
        now,
        taken.content_sha256,
        parents,
        taken.changes,
        taken.state_id,
    )
    async with tx.pipeline():
        await insert(tx, made)
        await tx.execute(ADVANCE, (made.id, document_id))
    return made


class _Taken(NamedTuple):
    """A state that was read, compared and stored."""

    content_sha256: bytes
    changes: Mapping[str, Any]
    state_id: int


async def _take(
    tx: Tx,
    project_id: UUID,
    parent: Commit | None,
    state: State,
    now: datetime,
    *,
    lineage: int,
    anyway: bool,
) -> _Taken:
    """Store a state. anyway: also if it says the same as the parent. Raises NothingToCommit."""
    keepers = keeping.here()
    if isinstance(state, Source):
        if keepers is not None:
            taken = await _take_live(
                tx, keepers, project_id, parent, state, now, lineage=lineage, anyway=anyway
            )
            if taken is not None:
                return taken
        after = await state.snapshot()
    else:
        after = state if isinstance(state, bytes) else await state()
    before = None if parent is None else await state_of(tx, parent)
    if before == after and not anyway:
        raise NothingToCommit
    compared = await work.compare(before, after)
    same = parent is not None and compared.content_sha256 == parent.content_sha256
    if same and not anyway:
        raise NothingToCommit
    state_id = await archive.put(tx, project_id, after, now, lineage=lineage)
    return _Taken(compared.content_sha256, compared.changes, state_id)


async def _take_live(
    tx: Tx,
    keepers: keeping.Keepers,
    project_id: UUID,
    parent: Commit | None,
    source: Source,
    now: datetime,
    *,
    lineage: int,
    anyway: bool,
) -> _Taken | None:
    """The same by those who keep the document; None: they do not keep such large ones."""
    where = await archive.place(tx, project_id)
    before = base = None
    if parent is not None:
        before = keeping.Stored(
            parent.content_sha256, partial(archive.steps, tx, project_id, parent.state_id)
        )
    if where.base_id is not None and where.base_sha256 is not None:
        base = keeping.Stored(
            where.base_sha256, partial(archive.steps, tx, project_id, where.base_id)
        )
    made = await keepers.commit(source, before=before, base=base, anyway=anyway)
    if made is None:
        return None
    if made.packed is None:
        raise NothingToCommit
    state_id = await archive.keep(tx, project_id, made.packed, where, now, lineage=lineage)
    return _Taken(made.content_sha256, made.changes, state_id)


async def insert(tx: Tx, commit: Commit) -> None:
    """Write a commit and its parents down."""
    row = (*commit[:7], commit.state_id, Jsonb(commit.changes))
    async with tx.pipeline():
        await tx.execute(INSERT, row)
        await tx.execute(INSERT_PARENT, (commit.project_id, commit.id, list(commit.parents)))


def younger_than(parents: Sequence[UUID]) -> UUID:
    """A new id, greater than these, also when a clock elsewhere was ahead of ours."""
    made = ids.new_id()
    if not parents or made > max(parents):
        return made
    return UUID(int=max(parents).int + _MILLISECOND)


# ---------------------------------------------------------------- finding


async def get(tx: Tx, project_id: UUID, commit_id: UUID) -> Commit:
    """A commit of this project. Raises CommitNotFound."""
    row = await _row(tx, BY_ID, project_id, commit_id)
    if row is None:
        raise CommitNotFound
    return Commit(*row)


async def state_of(tx: Tx, commit: Commit) -> bytes:
    """The state of a commit, as one full update. The server's own work. Raises SnapshotDamaged."""
    return await archive.get(tx, commit.project_id, commit.state_id)


def said(commit: Commit | None) -> bytes:
    """The digest of what a commit says; where there is none, of a document that says nothing."""
    return _NOTHING_SHA256 if commit is None else commit.content_sha256


async def head(tx: Tx, project_id: UUID, branch: str) -> Commit | None:
    """The newest commit of a branch, if there is one. Raises BranchNotFound."""
    row = await _row(tx, HEAD_OF, project_id, branch)
    if row is None:
        raise BranchNotFound(branch=branch)
    return None if row[0] is None else await get(tx, project_id, row[0])


async def log(
    tx: Tx,
    project_id: UUID,
    *,
    branch: str | None = None,
    author: UUID | None = None,
    before: datetime | None = None,
    after: str | None = None,
    limit: int,
) -> tuple[list[Commit], str | None]:
    """Commits, newest first, and the next page's cursor if there is more to look at.

    branch: what its head descends from; None: all of the project. before: made earlier than this.
    after: a cursor. A page may have fewer commits than `limit`, or none, and a cursor, when very
    few of many match. Raises CursorInvalid, BranchNotFound.
    """
    asked = {"project": project_id, "author": author, "before": before, "limit": limit + 1}
    if branch is None:
        last = None if after is None else _from_cursor(b"p", after)[-1]
        rows = await _rows(tx, ALL, asked | {"after": last})
        found = [row[0] for row in rows[:limit]]
        rest = found[-1:] if len(rows) > limit else []
        return await _all_of(tx, project_id, found), _to_cursor(b"p", rest)
    if after is None:
        row = await _row(tx, HEAD_OF, project_id, branch)
        if row is None:
            raise BranchNotFound(branch=branch)
        begin = [] if row[0] is None else [row[0]]
    else:
        begin = _from_cursor(b"b", after)
    rows = await _rows(tx, WALK, asked | {"open": begin, "steps": MOST_STEPS})
    found, rest = _page(rows, limit)
    commits = await _all_of(tx, project_id, found)
    if rows and rows[-1][2] == MOST_STEPS:
        # The last one that was looked at is told of whether it matches or not.
        commits = [each for each in commits if _matches(each, author, before)]
    return commits, _to_cursor(b"b", rest)


def _page(rows: Sequence[tuple[Any, ...]], limit: int) -> tuple[list[UUID], list[UUID]]:
    """The commits of a page, and what is open behind it."""
    shown = rows[:limit]
    if len(rows) > limit or (shown and shown[-1][2] == MOST_STEPS):
        return [row[0] for row in shown], shown[-1][1]
    return [row[0] for row in shown], []


def _matches(commit: Commit, author: UUID | None, before: datetime | None) -> bool:
    return (author is None or commit.author == author) and (
        before is None or commit.created_at < before
    )


async def _all_of(tx: Tx, project_id: UUID, found: Sequence[UUID]) -> list[Commit]:
    rows = await _rows(tx, BY_IDS, (project_id, list(found)))
    return [Commit(*row) for row in rows]


async def _row(tx: Tx, statement: LiteralString, *values: object) -> tuple[Any, ...] | None:
    return await (await tx.execute(statement, values)).fetchone()


async def _rows(
    tx: Tx, statement: LiteralString, values: Sequence[object] | Mapping[str, object]
) -> list[tuple[Any, ...]]:
    return await (await tx.execute(statement, values)).fetchall()


def _to_cursor(kind: bytes, open_: Sequence[UUID]) -> str | None:
    if not open_:
        return None
    packed = kind + b"".join(each.bytes for each in open_)
    return text64.write(packed)


def _from_cursor(kind: bytes, cursor: str) -> list[UUID]:
    try:
        packed = text64.read(cursor)
    except ValueError as wrong:
        raise CursorInvalid from wrong
    found = [UUID(bytes=packed[at : at + 16]) for at in range(1, len(packed) - 15, 16)]
    if not 0 < len(found) <= _LARGEST_CURSOR or _to_cursor(kind, found) != cursor:
        raise CursorInvalid
    return found
