"""A document's past over REST: who was at work when, what it said, who changed what, and taking it back.

Who looks is judged in their own transaction; the journal, which is nobody's to read, is read by the
server for who may, and told again elsewhere. What is taken back goes through the live room.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from starlette.responses import Response

from api import aside, documents, points
from api.history import commit_if_needed
from api.route import JSON, OCTETS, TEXT
from api.shapes import history as history_shapes
from api.shapes import past as shapes
from auth.credentials import Identity
from auth.permissions import Right
from base import ids
from base.places import FairPlaces
from docstore.history import (
    branches,
    committed,
    past,
    retelling,
    rollbacks,
    strokes,
    work,
    writers,
)
from docstore.history.activity import activity
from docstore.history.errors import TooLongAgo
from docstore.history.rollback import Earlier

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from api.requests import Authorised, Call
    from base.db import Tx
    from docstore.history.activity import Activity, Stroke
    from docstore.history.branches import Branch
    from docstore.history.content import Path
    from docstore.history.directory import Place
    from docstore.history.past import Line

AT_ONCE: Final = 4
"""Pasts that are read, and previews, under way in this process; each may hold a whole journal."""

BEFORE_ROLLBACK: Final = "Before rolling back"
"""The message of the commit of what nobody had committed."""

TOUCHED_MOST: Final = 20
"""Things that an activity names."""

BLAMED_MOST: Final = 1_000
"""Entries that an answer tells of."""

_ROW_TOUCHES: Final = 200
"""Things of one update that are looked at."""

_reads: Final = FairPlaces("pasts", AT_ONCE)
_previews: Final = FairPlaces("rollback previews", AT_ONCE)


# ---------------------------------------------------------------- activity


async def history(call: Call) -> shapes.History:
    """Who was at work when."""
    query = call.query(shapes.HistoryQuery)
    found, branch = await _looked_at(call, Right.DOCUMENT_READ, query.branch, of=query.by)
    if query.since is not None:
        points.check_past(call, "$.from", query.since)
    after = strokes.place(query.cursor)
    wanted = strokes.Wanted(
        query.since or strokes.EVER,
        query.until or strokes.NEVER,
        query.by,
        query.group,
        timedelta(seconds=query.pause),
    )
    touched: dict[int, list[Path]] = {}
    async with call.services.database.connection() as tx:
        lines = await past.lines(tx, branch)
    if query.path is not None:
        rows = await _touches(call, branch, lines, wanted, query.path)
        chosen = [stroke for stroke, _ in rows if wanted.chooses(stroke)]
        groups = activity(chosen, wanted.pause, wanted.grouping)
        behind = [group for group in groups if after is None or group.place < after]
        items, more = behind[: query.limit], len(behind) > query.limit
        touched = {stroke.seq: paths for stroke, paths in rows}
    else:
        async with call.services.database.connection() as tx:
            items, more = await strokes.page(tx, lines, wanted, after=after, limit=query.limit)
        if query.details and items:
            since = min(item.start for item in items)
            to = max(item.end for item in items)
            rows = await _touches(call, branch, lines, wanted._replace(since=since, to=to), None)
            touched = {stroke.seq: paths for stroke, paths in rows}
    shown = query.details or query.path is not None
    people = found.sees_people
    things = [_things(item, touched) if shown else [] for item in items]
    named = [each[:TOUCHED_MOST] for each in things]
    places = await _places(call, branch, {path for each in named for path in each})
    return shapes.History(
        [
            shapes.Activity.of(
                item,
                lines,
                people=people,
                touched=[places[path] for path in first] if shown else None,
                more=len(whole) - len(first),
            )
            for item, whole, first in zip(items, things, named, strict=True)
        ],
        strokes.cursor(items[-1].place) if more and items else None,
    )


async def _touches(
    call: Call, branch: Branch, lines: list[Line], wanted: strokes.Wanted, entity: Path | None
) -> list[tuple[Stroke, list[Path]]]:
    found: list[tuple[Stroke, list[Path]]] = []
    for number, line in enumerate(lines):
        if line.until is not None and line.until < wanted.since:
            break
        async with _reads():
            async with call.services.database.connection() as tx:
                packed = await past.packed(tx, branch, line, wanted.to)
            found += await retelling.touched(packed, number, wanted.since, entity, _ROW_TOUCHES)
    return found


def _things(item: Activity, touched: dict[int, list[Path]]) -> list[Path]:
    """What was touched in an activity, each thing once."""
    found = dict.fromkeys(path for seq in item.numbers for path in touched.get(seq, ()))
    return list(found)


async def _places(call: Call, branch: Branch, paths: Collection[Path]) -> dict[Path, Place]:
    """What people call places, by what the branch says now."""
    if not paths:
        return {}
    async with _reads():
        live = await call.services.rooms.snapshot(branch.document_id)
        return await retelling.places(live, paths)


# ---------------------------------------------------------------- a moment, and between two


async def at(call: Call) -> Response:
    """What the document said at a moment, as a Yjs update or as JSON."""
    query = call.query(shapes.AtQuery)
    found, branch = await _looked_at(call, Right.DOCUMENT_EXPORT, query.branch)
    points.check_past(call, "$.time", query.moment)
    async with _reads():
        state = await past.state_at(call.services.database, branch, query.moment)
    tag = f'"{await aside.digest(state)}-{query.format}"'
    kept = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if documents.is_current(call.request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=kept)
    kept["Content-Disposition"] = documents.disposition(found.project.name, query.format)
    if query.format == "json":
        return Response(await work.as_json(state), headers=kept, media_type=JSON)
    return Response(state, headers=kept, media_type=OCTETS)


async def changes(call: Call) -> Response:
    """What was changed between two moments: by everybody, or by one of them."""
    query = call.query(shapes.ChangesQuery)
    right = Right.DOCUMENT_EXPORT if query.format == "yjs" else Right.DOCUMENT_READ
    _, branch = await _looked_at(call, right, query.branch, of=query.by)
    since, until = query.since, query.until
    points.check_past(call, "$.from", since)
    if until is not None:
        points.check_past(call, "$.to", until)
    if since < past.begins(branch):
        raise TooLongAgo
    async with _reads():
        async with call.services.database.connection() as tx:
            packed = await past.packed(tx, branch, past.line_of(branch), until)
        # After the journal: so all that is in it is here too.
        live = None
        if until is None:
            live = await call.services.rooms.snapshot(branch.document_id)
            until = strokes.NEVER
        if query.format == "yjs":
            said = await retelling.update_between(packed, since, until, live)
        else:
            chosen = retelling.Range(query.by, since, until)
            said = await retelling.changes(packed, chosen, live=live, form=query.format)
    kind = {"json": JSON, "text": TEXT, "yjs": OCTETS}[query.format]
    return Response(said, headers={"Cache-Control": "private, no-cache"}, media_type=kind)


# ---------------------------------------------------------------- blame


async def blame(call: Call) -> shapes.Blame:
    """Who last changed a thing, and what is in it."""
    query = call.query(shapes.BlameQuery)
    found, branch = await _looked_at(call, Right.DOCUMENT_READ, query.branch)
    async with _reads():
        async with call.services.database.connection() as tx:
            lines = (await past.lines(tx, branch))[::-1]
            pasts = [await past.packed(tx, branch, line) for line in lines]
        told = await retelling.blame(pasts, query.path, BLAMED_MOST + 1)
    people = found.sees_people
    items = told[:BLAMED_MOST]
    if not items:
        return shapes.Blame([], more=False)
    places = await _places(call, branch, [path for path, _ in items])
    async with call.services.database.connection() as tx:
        kept = await committed.since(tx, branch, min(touch.at for _, touch in items))
    return shapes.Blame(
        [
            shapes.Blamed.of(
                path,
                places[path],
                touch,
                branch=lines[touch.past].branch,
                commit=kept.first(touch.at),
                people=people,
            )
            for path, touch in items
        ],
        more=len(told) > BLAMED_MOST,
    )


# ---------------------------------------------------------------- rollback


async def rollback(call: Call) -> shapes.RolledBack:
    """Take back what somebody, or everybody, did: in a time, in some things, leaving the rest.

    It is an edit like any other, made in the name of who asks, and can be taken back in the same
    way. Answered once it is durable.
    """
    wanted = call.body(shapes.Rollback)
    found, branch = await _looked_at(call, Right.DOCUMENT_EDIT, wanted.branch, of=wanted.author)
    for where, moment in (("$.from", wanted.since), ("$.to", wanted.until)):
        if moment is not None:
            points.check_past(call, where, moment)
    if wanted.dry_run:
        async with _previews():
            async with writers.reading(call.services.database, brief=True) as tx:
                told = await _told(call, tx, branch, wanted)
            undone = await _undone(told, wanted, ids.new_client_id())
        assert undone.diff is not None, "it was asked for"
        return shapes.RolledBack(
            applied=undone.update is not None,
            summary=undone.summary,
            diff=msgspec.Raw(undone.diff),
        )
    message = wanted.message if isinstance(wanted.message, str) else None
    # One after another: two that begin at the same state would end in a mixture of both.
    async with writers.in_steps(call.services.database, found.project.id) as locked:
        branch = await branches.get(locked, found.project.id, wanted.branch)
        points.check_open(found, branch)
        client_id = ids.new_client_id()
        async with locked.transaction():
            told = await _told(call, locked, branch, wanted)
        undone = await _undone(told, wanted, client_id)
        if undone.update is None and (message is None or not _was_made(told, wanted)):
            return shapes.RolledBack(applied=False, summary=undone.summary)
        async with call.acting() as tx:
            # Again: it may have taken long, and what was true before is no more.
            found = await call.project(tx, Right.DOCUMENT_EDIT)
        points.check_open(found, branch)
        is_changed = False
        if undone.update is not None:
            if message is not None:
                await commit_if_needed(call, locked, branch, BEFORE_ROLLBACK)
            if undone.until is not None:
                made = Earlier(client_id, wanted.author, wanted.since, undone.until, wanted.paths)
                async with locked.transaction():
                    await rollbacks.note(locked, branch.document_id, made, call.services.now())
            is_changed = (await documents.applied(call, branch.document_id, undone.update)).changed
        kept = None
        if message is not None:
            kept = await commit_if_needed(call, locked, branch, message)
    commit = None
    if kept is not None:
        commit = history_shapes.Commit.of(kept, people=found.sees_people)
    return shapes.RolledBack(applied=is_changed, summary=undone.summary, commit=commit)


def _was_made(told: _Told, wanted: shapes.Rollback) -> bool:
    """Whether the last rollback was this one: it may have ended on its way to its commit."""
    if not told.earlier:
        return False
    last = told.earlier[-1]
    return (last.by, last.since, last.entities) == (wanted.author, wanted.since, wanted.paths)


class _Told(NamedTuple):
    """What a rollback is worked out from."""

    packed: retelling.Packed
    live: bytes
    earlier: Sequence[Earlier]


async def _told(call: Call, tx: Tx, branch: Branch, wanted: shapes.Rollback) -> _Told:
    if wanted.since is not None and wanted.since < past.begins(branch):
        raise TooLongAgo
    packed = await past.packed(tx, branch, past.line_of(branch))
    # After the journal, which holds nothing then that is not in here; what is here and not yet in
    # the journal counts as somebody else's, and stays.
    live = await call.services.rooms.snapshot(branch.document_id)
    return _Told(packed, live, await rollbacks.earlier(tx, branch.document_id))


async def _undone(told: _Told, wanted: shapes.Rollback, client_id: int) -> retelling.Undone:
    chosen = retelling.Range(
        wanted.author, wanted.since or strokes.EVER, wanted.until or strokes.NEVER
    )
    return await retelling.undo(
        told.packed,
        chosen,
        live=told.live,
        entities=wanted.paths,
        client_id=client_id,
        earlier=told.earlier,
        whole=wanted.dry_run,
    )


# ---------------------------------------------------------------- what they share


async def _looked_at(
    call: Call, right: Right, branch: str, *, of: UUID | None = None
) -> tuple[Authorised, Branch]:
    """The project and the branch that are meant, for who may. of: whose work is asked for."""
    async with call.acting() as tx:
        found = await call.project(tx, right)
        who = call.identity
        if of is not None and not (isinstance(who, Identity) and who.user_id == of):
            # Who may not see the people may not find out by asking for one of them either.
            await call.project(tx, Right.ACCESS_READ)
        return found, await branches.get(tx, found.project.id, branch)
