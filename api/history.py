"""A project's history over REST: commits, the log, tags, what changed, and back again.

Who looks is judged and answered in their own transaction; states, which are nobody's to read, are
read by the server for who may. What is restored goes through the live room like any other edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from api import again, documents, points
from api.live import Live
from api.route import JSON, OCTETS, TEXT
from api.shapes import documents as document_shapes
from api.shapes import history as shapes
from auth.permissions import Right
from base import ids
from base.places import FairPlaces
from docstore.history import branches, work, writers
from docstore.history import commits as store
from docstore.history import tags as labels
from docstore.history.errors import CommitNotFound, NothingToCommit

if TYPE_CHECKING:
    from uuid import UUID

    from api.requests import Call
    from base.db import Tx
    from docstore.history.branches import Branch

AT_ONCE: Final = 4
"""Diffs under way in this process; each may hold whole documents."""

BEFORE_RESTORE: Final = "Before restoring"
"""The message of the commit of what nobody had committed."""

_diffs: Final = FairPlaces("diffs", AT_ONCE)


# ---------------------------------------------------------------- commits


async def commit(call: Call) -> shapes.Commit:
    """Put a name to a branch as everybody who is connected to it sees it now."""
    wanted = call.body(shapes.NewCommit)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
        points.check_open(found, await branches.get(tx, found.project.id, wanted.branch))
    async with writers.writing(call.services.database, found.project.id, brief=True) as locked:
        # Again: there may have been a queue, and what was true before is no more.
        async with call.acting() as tx:
            found = await call.project(tx, Right.DOCUMENT_EDIT)
        branch = await branches.get(locked, found.project.id, wanted.branch)
        points.check_open(found, branch)
        made = await _committed(call, locked, branch, wanted.message)
    call.answer_headers["Location"] = f"/api/projects/{found.project.id}/commits/{made.id}"
    return shapes.Commit.of(made, people=found.sees_people)


async def log(call: Call) -> shapes.Commits:
    """What a branch's newest commit descends from, newest first."""
    wanted = call.query(shapes.CommitsQuery)
    # Who may not see the people may not find out by asking for one of them either.
    right = Right.PROJECT_READ if wanted.author is None else Right.ACCESS_READ
    async with call.acting() as tx:
        found = await call.project(tx, right)
        branch = await branches.get(tx, found.project.id, wanted.branch)
        items, cursor = await store.log(
            tx,
            found.project.id,
            branch=branch.name,
            author=wanted.author,
            before=wanted.moment,
            after=wanted.cursor,
            limit=wanted.limit,
        )
    people = found.sees_people
    return shapes.Commits([shapes.Commit.of(each, people=people) for each in items], cursor)


async def show(call: Call) -> shapes.Commit:
    """One commit."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
        commit = await store.get(tx, found.project.id, _commit_id(call))
    return shapes.Commit.of(commit, people=found.sees_people)


async def snapshot(call: Call) -> Response:
    """The document as it was at a commit, as a Yjs update or as JSON."""
    wanted = call.query(document_shapes.SnapshotQuery)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EXPORT)
        commit = await store.get(tx, found.project.id, _commit_id(call))
    # A commit never changes: its id says what its state is, before anything is read.
    tag = f'"{commit.id}-{wanted.format}"'
    kept = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if documents.is_current(call.request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=kept)
    state = await _state_of(call, commit)
    kept["Content-Disposition"] = documents.disposition(found.project.name, wanted.format)
    if wanted.format == "json":
        return Response(await work.as_json(state), headers=kept, media_type=JSON)
    return Response(state, headers=kept, media_type=OCTETS)


# ---------------------------------------------------------------- tags


async def tags(call: Call) -> shapes.Tags:
    """The names that commits were given."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
        items = await labels.tags(tx, found.project.id)
    people = found.sees_people
    return shapes.Tags([shapes.Tag.of(each, people=people) for each in items])


async def tag(call: Call) -> shapes.Tag:
    """Give a commit a name. A tag is never moved."""
    wanted = call.body(shapes.NewTag)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
    # With the lock: what nothing leads to is not taken away while it is being named.
    async with writers.writing(call.services.database, found.project.id, brief=True) as locked:
        # Again: there may have been a queue, and what was true before is no more.
        async with call.acting() as tx:
            found = await call.project(tx, Right.DOCUMENT_EDIT)
        made = await labels.tag(
            locked,
            found.project.id,
            name=wanted.name,
            commit_id=wanted.commit_id,
            created_by=call.user.user_id,
            now=call.services.now(),
        )
    return shapes.Tag.of(made, people=found.sees_people)


async def untag(call: Call) -> None:
    """Take a name away; the commit stays."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
    async with writers.writing(call.services.database, found.project.id, brief=True) as locked:
        await again.judged(call, Right.DOCUMENT_EDIT)
        await labels.untag(locked, found.project.id, call.request.path_params["name"])


# ---------------------------------------------------------------- between two states


async def diff(call: Call) -> Response:
    """What leads from one state of the document to another, in musical terms."""
    wanted = call.query(shapes.DiffQuery)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_READ)
        ends = [await points.find(call, tx, found, each, wanted.branch) for each in wanted.points]
    async with _diffs():
        before, after = [await points.state(call, end) for end in ends]
        said = await work.diff(before, after, wanted.format)
    kept = {"Cache-Control": "private, no-cache"}
    return Response(said, headers=kept, media_type=JSON if wanted.format == "json" else TEXT)


async def restore(call: Call) -> shapes.Restored:
    """Bring a live document to what it said at a commit, or at a time.

    It is an edit like any other, made in the name of who asks: everybody who is connected sees it,
    nothing of the history is lost, and what others do at the same time stays. Answered once it is
    durable.
    """
    wanted = call.body(shapes.Restore)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
        source = await points.find(call, tx, found, wanted.point, wanted.branch)
    if wanted.dry_run:
        return await _would_restore(call, source, wanted.branch)
    message = wanted.message if isinstance(wanted.message, str) else None
    # One after another: two that begin at the same state would end in a mixture of both.
    async with writers.in_steps(call.services.database, found.project.id) as locked:
        branch = await branches.get(locked, found.project.id, wanted.branch)
        points.check_open(found, branch)
        state = await points.state(call, source)
        live = await call.services.rooms.snapshot(branch.document_id)
        reached = await work.reach(live, state, client_id=ids.new_client_id())
        if reached.update is None and message is None:
            return shapes.Restored(applied=False, summary=reached.summary)
        async with call.acting() as tx:
            # Again: it may have taken long, and what was true before is no more.
            found = await call.project(tx, Right.DOCUMENT_EDIT)
        points.check_open(found, branch)
        before = kept = None
        is_changed = False
        if reached.update is not None:
            if message is not None:
                before = await commit_if_needed(call, locked, branch, BEFORE_RESTORE)
                before = before or await store.head(locked, branch.project_id, branch.name)
            is_changed = (await documents.applied(call, branch.document_id, reached.update)).changed
        if message is not None:
            # Also where nothing had to be done: one before may have ended on its way to its commit.
            kept = await commit_if_needed(call, locked, branch, message)
    people = found.sees_people
    first, last = (
        None if made is None else shapes.Commit.of(made, people=people) for made in (before, kept)
    )
    return shapes.Restored(is_changed, reached.summary, first, last)


async def _would_restore(call: Call, source: points.Found, name: str) -> shapes.Restored:
    """What a restore would change, whoever may make it."""
    async with _diffs():
        async with call.acting() as tx:
            found = await call.project(tx, Right.DOCUMENT_EDIT)
            branch = await branches.get(tx, found.project.id, name)
        state = await points.state(call, source)
        live = await call.services.rooms.snapshot(branch.document_id)
        reached = await work.reach(live, state, client_id=ids.new_client_id())
        said = await work.diff(live, state)
    return shapes.Restored(
        applied=reached.update is not None, summary=reached.summary, diff=msgspec.Raw(said)
    )


# ---------------------------------------------------------------- what they share


async def commit_if_needed(
    call: Call, locked: Tx, branch: Branch, message: str
) -> store.Commit | None:
    """Commit a branch as it is now in the name of who asks; None where its newest commit says it.

    locked: a connection of `writers.in_steps`; the commit is a step of its own.
    """
    try:
        async with locked.transaction():
            return await _committed(call, locked, branch, message)
    except NothingToCommit:
        return None


async def _committed(call: Call, locked: Tx, branch: Branch, message: str) -> store.Commit:
    return await store.make_within(
        locked,
        project_id=branch.project_id,
        document_id=branch.document_id,
        branch=branch.name,
        state=Live(call.services.rooms, branch.document_id),
        author=call.user.user_id,
        message=message,
        now=call.services.now(),
    )


def _commit_id(call: Call) -> UUID:
    return call.path_id("commit_id", CommitNotFound)


async def _state_of(call: Call, commit: store.Commit) -> bytes:
    async with call.services.database.connection() as tx:
        return await store.state_of(tx, commit)
