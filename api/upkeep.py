"""Giving up the past over REST: pruning a branch's journal, squashing a project.

Both are for whom `history:drop` is (the owner), and are judged once more before anything is
written. Nothing that a document says now is changed by either.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from api import points
from api.shapes import upkeep as shapes
from auth import audit
from auth.permissions import Right
from docstore.history import branches, writers
from docstore.history import prune as pruning
from docstore.history import squash as squashing

if TYPE_CHECKING:
    from uuid import UUID

    from api.requests import Call
    from base.db import Tx

OTHER_EPOCH: Final = 4409
"""Of `syncserver.connection.Code`."""

REASON: Final = "the project was squashed: begin anew from the server's state"


async def prune(call: Call) -> shapes.Pruned:
    """Give up what a branch said before a moment; commits stay."""
    wanted = call.body(shapes.Prune)
    project_id = await _authorised(call)
    points.check_past(call, "$.before", wanted.moment)

    async def allowed() -> None:
        await _authorised(call)

    async def record(tx: Tx, done: pruning.Pruned) -> None:
        noted = {"branch": wanted.branch, "before": done.begins.isoformat(), "rows": done.rows}
        await _record(call, tx, audit.Kind.HISTORY_PRUNED, project_id, **noted)

    done = await pruning.prune(
        call.services.database,
        project_id,
        wanted.branch,
        wanted.moment,
        allowed=allowed,
        record=record,
        dry_run=wanted.dry_run,
    )
    return shapes.Pruned.of(wanted, done)


async def squash(call: Call) -> shapes.Squashed:
    """Begin all branches of a project anew, without what was deleted in them.

    Whoever is connected is sent away and begins with the document as it is then; so is who was
    offline, and comes with what was before.
    """
    wanted = call.body(shapes.Squash)
    project_id = await _authorised(call)
    services = call.services
    # The rooms are let go when the transaction is over, whatever became of it.
    async with (
        contextlib.AsyncExitStack() as rooms,
        writers.writing(services.database, project_id) as tx,
    ):
        lines = await branches.listing(tx, project_id)
        documents = [line.document_id for line in lines]
        held = services.rooms.held(documents, code=OTHER_EPOCH, reason=REASON)
        await rooms.enter_async_context(held)
        await _authorised(call)
        done = await squashing.squash(
            tx,
            project_id,
            lines,
            author=call.user.user_id,
            message=wanted.message,
            now=services.now(),
        )
        noted = {"lineage": done.lineage, "branches": done.branches}
        await _record(call, tx, audit.Kind.HISTORY_SQUASHED, project_id, **noted)
    return shapes.Squashed.of(done)


async def _record(
    call: Call, tx: Tx, kind: audit.Kind, project_id: UUID, **detail: str | int
) -> None:
    await audit.record(
        tx,
        kind,
        at=call.services.now(),
        actor=call.user.user_id,
        project=project_id,
        ip=call.client.ip,
        agent=call.client.agent,
        user=None,
        **detail,
    )


async def _authorised(call: Call) -> UUID:
    """The project, for somebody who may give up its past."""
    async with call.acting() as tx:
        return (await call.project(tx, Right.HISTORY_DROP)).project.id
