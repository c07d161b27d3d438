"""A project's history as the operator reads it from the command line: `syncsphere log` and its like.

Reads the database directly, and only reads: beside a server that is running, or by itself. Each
function gives an action for `run`, which opens the database for it. Prints nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple, TypeAlias, TypeVar

from auth import accounts
from base import db
from base.db import one_instant
from base.errors import AppError
from docstore import crdt, projects
from docstore.errors import DocumentTooDeep, DocumentUnreadable, SnapshotDamaged, TooCostly
from docstore.history import branches, branching, render, work
from docstore.history import commits as store
from docstore.history import tags as labels
from docstore.history.errors import BranchNotFound, CommitNotFound, TagNotFound, TooLongAgo
from syncserver import history_states

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history.apart import Apart
    from docstore.history.branches import Branch
    from docstore.history.commits import Commit
    from docstore.projects import Project
    from syncserver.points import Point

T = TypeVar("T")

Action: TypeAlias = "Callable[[Database], Awaitable[T]]"
"""What `run` runs."""

_PAGE: Final = 500
"""Commits of a log that are read at a time."""

MOST_NAMESAKES: Final = 20
"""Projects of one name that are listed."""

NAMED: LiteralString = """
    SELECT p.id, u.username, p.created_at FROM projects p LEFT JOIN people u ON u.id = p.owner_id
    WHERE p.name = %s AND p.deleted_at IS NULL ORDER BY p.id DESC LIMIT %s"""

_HINTS: Final[Mapping[type[AppError], str]] = {
    BranchNotFound: "`syncsphere branches PROJECT` lists those that there are.",
    CommitNotFound: "`syncsphere log PROJECT --all` lists those that there are.",
    TagNotFound: "`syncsphere log PROJECT --all` shows those that there are.",
    TooLongAgo: "`syncsphere branches PROJECT` says when each one's past begins.",
}


class ProjectUnknown(AppError):
    """No project has this id, room id or name."""

    code = "project_unknown"


class NameAmbiguous(AppError):
    """Several projects have this name; give the id of one."""

    code = "name_ambiguous"


class Told(NamedTuple):
    """Commits, and what a reader wants to know with them."""

    commits: Sequence[Commit]
    labels: Mapping[UUID, Sequence[str]]
    """Branches and tags by the commit that they stand at."""
    names: Mapping[UUID, str]
    """User names; who has closed their account has none."""
    more: bool
    """Whether there are older ones."""


class Now(NamedTuple):
    """A branch as it is stored."""

    branch: Branch
    head: Commit | None
    """Its newest commit."""
    uncommitted: bool
    """Whether it says something else than that."""


class Standing(NamedTuple):
    """A branch beside the others."""

    branch: Branch
    apart: Apart
    """From main."""
    uncommitted: bool | None
    """Whether it says something else than its newest commit; None: what is stored is unreadable."""


async def run(database_url: str, action: Action[T]) -> T:
    """Open the database, do it, close. Raises DatabaseUnavailable, and with a hint what it raises."""
    database = await db.Database.open(database_url, size=2)
    try:
        return await action(database)
    except (BranchNotFound, CommitNotFound, TagNotFound, TooLongAgo) as error:
        raise type(error)(f"{error} {_HINTS[type(error)]}", **error.data) from error
    finally:
        await database.close()


async def project(tx: Tx, name: str) -> Project:
    """The project of this id, room id or name. Raises ProjectUnknown, NameAmbiguous."""
    found = await projects.by_room(tx, name)
    if found is not None:
        return found
    cursor = await tx.execute(NAMED, (name, MOST_NAMESAKES))
    rows = await cursor.fetchall()
    if not rows:
        raise ProjectUnknown(
            f"No project has the id, room id or name {render.clean(name)!r}; the page and "
            "GET /api/projects show ids."
        )
    if len(rows) > 1:
        lines = [
            f"  {row[0]}  {render.clean(row[1] or 'somebody')}, {row[2]:%Y-%m-%d}" for row in rows
        ]
        raise NameAmbiguous("\n".join(["Several projects have this name; give one's id:", *lines]))
    return await projects.get(tx, rows[0][0])


def log(
    name: str,
    *,
    branch: str | None,
    author: str | None,
    before: datetime | None,
    limit: int,
) -> Action[Told]:
    """A branch's commits, newest first; of all of the project where `branch` is None.

    author: a user name or an address. Raises BranchNotFound, ProjectUnknown, NameAmbiguous.
    """

    async def action(database: Database) -> Told:
        async with database.transaction() as tx:
            await one_instant(tx)
            found = await project(tx, name)
            line = None if branch is None else await branches.get(tx, found.id, branch)
            who = None if author is None else await accounts.by_name(tx, author)
            if author is not None and who is None:
                return Told([], {}, {}, more=False)
            commits: list[Commit] = []
            cursor: str | None = None
            while True:
                page, cursor = await store.log(
                    tx,
                    found.id,
                    branch=None if line is None else line.name,
                    author=None if who is None else who.id,
                    before=before,
                    after=cursor,
                    limit=min(_PAGE, limit - len(commits)),
                )
                commits += page
                if cursor is None or len(commits) >= limit:
                    break
            return Told(
                commits,
                await _labels(tx, found.id),
                await accounts.names(tx, {each.author for each in commits}),
                more=cursor is not None,
            )

    return action


async def _labels(tx: Tx, project_id: UUID) -> dict[UUID, list[str]]:
    """What stands at which commit: branches first, as git tells it."""
    found: dict[UUID, list[str]] = {}
    for line in await branches.listing(tx, project_id):
        if line.head is not None:
            found.setdefault(line.head, []).append(line.name)
    for tag in await labels.tags(tx, project_id):
        found.setdefault(tag.commit_id, []).append(f"tag: {tag.name}")
    return found


def show(name: str, wanted: Point, form: work.Form) -> Action[tuple[Told | Now, bytes]]:
    """One commit, and what changed in it since its first parent, as `work.diff` has it.

    Of a branch, and of `live` on main: what is stored of it, and what changed since its newest
    commit. A moment is no commit. Raises CommitNotFound and whatever finding the point raises.
    """

    async def action(database: Database) -> tuple[Told | Now, bytes]:
        async with database.transaction() as tx:
            await one_instant(tx)
            found = await project(tx, name)
            place = await history_states.find(tx, found.id, wanted, projects.MAIN)
            commit = place.commit
            if commit is None and wanted.time is None:
                now, before, after = await _now(tx, place.branch)
                return now, await work.diff(before, after, form)
            if commit is None:
                raise CommitNotFound
            told = Told(
                [commit],
                await _labels(tx, found.id),
                await accounts.names(tx, [commit.author]),
                more=False,
            )
            after = await store.state_of(tx, commit)
            before = crdt.NOTHING
            if commit.parents:
                parent = await store.get(tx, found.id, commit.parents[0])
                before = await store.state_of(tx, parent)
        return told, await work.diff(before, after, form)

    return action


def diff(name: str, ends: Sequence[Point], *, branch: str, form: work.Form) -> Action[bytes]:
    """What leads from one state to another, as `work.diff` has it."""

    async def action(database: Database) -> bytes:
        async with database.transaction() as tx:
            await one_instant(tx)
            found = await project(tx, name)
            places = [await history_states.find(tx, found.id, end, branch) for end in ends]
        before, after = [await history_states.state(database, place) for place in places]
        return await work.diff(before, after, form)

    return action


def lines_of_work(name: str) -> Action[list[Standing]]:
    """The branches of a project, main first."""

    async def action(database: Database) -> list[Standing]:
        async with database.transaction() as tx:
            await one_instant(tx)
            found = await project(tx, name)
            lines = await branches.listing(tx, found.id)
            apart = await branching.beside(tx, found.id, lines, lines[0])
            return [
                Standing(line, beside, await _is_uncommitted(tx, line))
                for line, beside in zip(lines, apart, strict=True)
            ]

    return action


async def _now(tx: Tx, branch: Branch) -> tuple[Now, bytes, bytes]:
    """A branch as it is stored, and the states of its newest commit and of itself."""
    head, before = None, crdt.NOTHING
    if branch.head is not None:
        head = await store.get(tx, branch.project_id, branch.head)
        before = await store.state_of(tx, head)
    after = await history_states.stored(tx, branch)
    return Now(branch, head, await work.digest(after) != store.said(head)), before, after


async def _is_uncommitted(tx: Tx, branch: Branch) -> bool | None:
    try:
        return (await _now(tx, branch))[0].uncommitted
    except (DocumentUnreadable, DocumentTooDeep, TooCostly, SnapshotDamaged):
        return None  # the others are listed all the same; `verify` says what is wrong
