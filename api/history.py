"""A project's history over REST: commits, the log, tags, what changed, and back again.

Who looks is judged and answered in their own transaction; states, which are nobody's to read, are
read by the server for who may. What is restored goes through the live room like any other edit.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
from starlette.responses import Response

from api import aside, documents
from api.route import JSON, OCTETS, TEXT
from api.shapes import documents as document_shapes
from api.shapes import history as shapes
from auth.permissions import Right
from docstore.history import archive, work
from docstore.history import commits as store
from docstore.history import tags as labels
from docstore.history.errors import CommitNotFound
from docstore.projects import MAIN

if TYPE_CHECKING:
    from uuid import UUID

    from api.requests import Authorised, Call
    from base.db import Tx

AT_ONCE: Final = 2
"""Restores, and diffs, under way in this process; each may hold whole documents."""

CLIENT_BITS: Final = 32
"""Of the ids that Yjs clients draw for themselves."""

_restores: Final = anyio.lowlevel.RunVar[anyio.CapacityLimiter]("restores")
_diffs: Final = anyio.lowlevel.RunVar[anyio.CapacityLimiter]("diffs")


# ---------------------------------------------------------------- commits


async def commit(call: Call) -> shapes.Commit:
    """Put a name to the document as everybody who is connected sees it now."""
    wanted = call.body(shapes.NewCommit)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
    document_id = found.project.document_id
    made = await store.make(
        call.services.database,
        project_id=found.project.id,
        document_id=document_id,
        branch=MAIN,
        state=lambda: call.services.rooms.snapshot(document_id),
        author=call.user.user_id,
        message=wanted.message,
        now=call.services.now(),
    )
    call.answer_headers["Location"] = f"/api/projects/{found.project.id}/commits/{made.id}"
    return shapes.Commit.of(made, people=_sees_people(found))


async def log(call: Call) -> shapes.Commits:
    """What the document's newest commit descends from, newest first."""
    wanted = call.query(shapes.CommitsQuery)
    # Who may not see the people may not find out by asking for one of them either.
    right = Right.PROJECT_READ if wanted.author is None else Right.ACCESS_READ
    async with call.acting() as tx:
        found = await call.project(tx, right)
        items, cursor = await store.log(
            tx,
            found.project.id,
            branch=MAIN,
            author=wanted.author,
            before=wanted.moment,
            after=wanted.cursor,
            limit=wanted.limit,
        )
    people = _sees_people(found)
    return shapes.Commits([shapes.Commit.of(each, people=people) for each in items], cursor)


async def show(call: Call) -> shapes.Commit:
    """One commit."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
        commit = await store.get(tx, found.project.id, _commit_id(call))
    return shapes.Commit.of(commit, people=_sees_people(found))


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
        return Response(await aside.as_json(state), headers=kept, media_type=JSON)
    return Response(state, headers=kept, media_type=OCTETS)


# ---------------------------------------------------------------- tags


async def tags(call: Call) -> shapes.Tags:
    """The names that commits were given."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
        items = await labels.tags(tx, found.project.id)
    people = _sees_people(found)
    return shapes.Tags([shapes.Tag.of(each, people=people) for each in items])


async def tag(call: Call) -> shapes.Tag:
    """Give a commit a name. A tag is never moved."""
    wanted = call.body(shapes.NewTag)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
    async with call.services.database.transaction() as tx:
        made = await labels.tag(
            tx,
            found.project.id,
            name=wanted.name,
            commit_id=wanted.commit_id,
            created_by=call.user.user_id,
            now=call.services.now(),
        )
    return shapes.Tag.of(made, people=_sees_people(found))


async def untag(call: Call) -> None:
    """Take a name away; the commit stays."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
    async with call.services.database.transaction() as tx:
        await labels.untag(tx, found.project.id, call.request.path_params["name"])


# ---------------------------------------------------------------- between two states


async def diff(call: Call) -> Response:
    """What leads from one state of the document to another, in musical terms."""
    wanted = call.query(shapes.DiffQuery)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_READ)
        ends = [await _commit_at(tx, found, point) for point in wanted.points]
    async with _place(_diffs):
        before, after = [await _state_at(call, found, end) for end in ends]
        said = await work.diff(before, after, wanted.format)
    kept = {"Cache-Control": "private, no-cache"}
    return Response(said, headers=kept, media_type=JSON if wanted.format == "json" else TEXT)


async def restore(call: Call) -> shapes.Restored:
    """Bring the live document to what it said at a commit.

    It is an edit like any other, made in the name of who asks: everybody who is connected sees it,
    nothing of the history is lost, and what others do at the same time stays. Answered once it is
    durable.
    """
    wanted = call.body(shapes.Restore)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
        commit = await _commit_at(tx, found, wanted.point)
    assert commit is not None, "a restore names a commit"
    # One after another: two that begin at the same state would end in a mixture of both.
    async with _place(_restores), call.services.database.transaction() as locked:
        await archive.lock(locked, found.project.id)
        state = await store.state_of(locked, commit)
        live = await call.services.rooms.snapshot(found.project.document_id)
        reached = await work.reach(live, state, client_id=secrets.randbits(CLIENT_BITS))
        if reached.update is None:
            return shapes.Restored(applied=False, summary=reached.summary)
        async with call.acting() as tx:
            # Again: it may have taken long, and what was true before is no more.
            found = await call.project(tx, Right.DOCUMENT_EDIT)
        applied = await documents.applied(call, found.project.document_id, reached.update)
    return shapes.Restored(applied=applied.changed, summary=reached.summary)


# ---------------------------------------------------------------- what they share


def _sees_people(found: Authorised) -> bool:
    return Right.ACCESS_READ in found.access.rights


def _commit_id(call: Call) -> UUID:
    return call.path_id("commit_id", CommitNotFound)


async def _commit_at(tx: Tx, found: Authorised, point: shapes.Point) -> store.Commit | None:
    """The commit of this project that is meant; None: the live document."""
    if point.tag is not None:
        return await labels.by_tag(tx, found.project.id, point.tag)
    return None if point.commit is None else await store.get(tx, found.project.id, point.commit)


async def _state_at(call: Call, found: Authorised, commit: store.Commit | None) -> bytes:
    if commit is None:
        return await call.services.rooms.snapshot(found.project.document_id)
    return await _state_of(call, commit)


async def _state_of(call: Call, commit: store.Commit) -> bytes:
    async with call.services.database.connection() as tx:
        return await store.state_of(tx, commit)


def _place(places: anyio.lowlevel.RunVar[anyio.CapacityLimiter]) -> anyio.CapacityLimiter:
    found = places.get(None)
    if found is None:
        found = anyio.CapacityLimiter(AT_ONCE)
        places.set(found)
    return found
