"""Branches over REST: make, list, show, rename, protect, delete.

Who looks is judged and answered in their own transaction; what is written is the server's own
work, after it has judged, and one after another for each project. Who is in a branch's room hears
of its protection and its end from `syncserver.watch`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec import UNSET

from api import again, points
from api.shapes import branches as shapes
from auth import audit
from auth.changes import ProjectChanged
from auth.permissions import Right
from base.places import FairPlaces
from docstore.history import branches, branching, stored, work, writers
from docstore.history import commits as store
from docstore.projects import MAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.requests import Authorised, Call
    from base.db import Tx
    from docstore.history.branches import Branch

AT_ONCE: Final = 4
"""Branches looked at closely in this process; each may hold a whole document."""

GONE: Final = 4404
"""Of `syncserver.connection.Code`."""

REASON: Final = "the branch was deleted"

_looks: Final = FairPlaces("branches", AT_ONCE)


async def create(call: Call) -> shapes.Branch:
    """Make a branch: a room of its own, which shares its operations with what it comes from."""
    wanted = call.body(shapes.NewBranch)
    name = branches.named(wanted.name)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
    async with writers.writing(call.services.database, found.project.id) as locked:
        await branching.check_room(locked, found.project.id)
        source = await _source(call, locked, found, wanted)
        async with call.acting() as tx:
            # Again: it may have taken long, and what was true before is no more.
            found = await call.project(tx, Right.DOCUMENT_EDIT)
        made = await branching.create(
            locked,
            found.project.id,
            name=name,
            source=source,
            created_by=call.user.user_id,
            now=call.services.now(),
        )
    call.answer_headers["Location"] = _address(made)
    return (await _listed(call, found, [made]))[0]


async def index(call: Call) -> shapes.Branches:
    """The lines of work of a project."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
        items = await branches.listing(tx, found.project.id)
    return shapes.Branches(await _listed(call, found, items))


async def show(call: Call) -> shapes.BranchNow:
    """One branch, and whether it says something else than its newest commit."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
        branch = await _branch(call, tx, found)
        head = None if branch.head is None else await store.get(tx, found.project.id, branch.head)
    async with _looks():
        says = await work.digest(await call.services.rooms.snapshot(branch.document_id))
    listed = (await _listed(call, found, [branch]))[0]
    return shapes.BranchNow.now(listed, uncommitted=says != store.said(head))


async def change(call: Call) -> shapes.Branch:
    """Rename a branch, protect it, or take its protection back."""
    wanted = call.body(shapes.BranchChanges)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
        if wanted.protected is not UNSET:
            found = await call.project(tx, Right.BRANCH_KEEP)
    async with writers.writing(call.services.database, found.project.id, brief=True) as tx:
        before = branch = await _branch(call, tx, found)
        keeps = wanted.protected is not UNSET
        right = Right.BRANCH_KEEP if keeps else Right.DOCUMENT_EDIT
        found = await again.judged(call, Right.DOCUMENT_EDIT, right)
        if wanted.name is not UNSET:
            points.check_open(found, branch)
            branch = await branching.rename(tx, branch, wanted.name)
        if wanted.protected is not UNSET and wanted.protected != branch.protected:
            branch = await branching.protect(tx, branch, protected=wanted.protected)
            kind = audit.Kind.BRANCH_PROTECTED if wanted.protected else audit.Kind.BRANCH_OPENED
            await _record(call, tx, kind, branch)
    if branch.protected != before.protected:
        await call.services.changes.tell(ProjectChanged(found.project.id))
    return (await _listed(call, found, [branch]))[0]


async def delete(call: Call) -> None:
    """Delete a branch and send everybody who is in its room away.

    Its commits stay where others descend from them or a tag names them. What is nowhere else is
    deleted only with `force`.
    """
    wanted = call.query(shapes.DeleteQuery)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
    # The room is let go when the transaction is over, whatever became of it.
    async with (
        contextlib.AsyncExitStack() as rooms,
        writers.writing(call.services.database, found.project.id) as locked,
    ):
        branch = await _branch(call, locked, found)
        branching.check_deletable(branch)
        if not wanted.force:
            state = await call.services.rooms.snapshot(branch.document_id)
            await branching.check_merged(locked, branch, state)
        await again.judged(call, Right.DOCUMENT_EDIT)
        held = call.services.rooms.held([branch.document_id], code=GONE, reason=REASON)
        await rooms.enter_async_context(held)
        if not wanted.force:
            # Again: somebody may have written in the meantime. From here on nobody can.
            state = (await stored.opened(locked, branch.document_id)).state
            await branching.check_merged(locked, branch, state)
        await branching.delete(locked, branch, call.services.now())
        await _record(call, locked, audit.Kind.BRANCH_DELETED, branch)
    await call.services.changes.tell(ProjectChanged(found.project.id))


async def _source(
    call: Call, tx: Tx, found: Authorised, wanted: shapes.NewBranch
) -> branching.Source:
    if wanted.source_commit is not UNSET:
        return await branching.of_commit(
            tx, await store.get(tx, found.project.id, wanted.source_commit)
        )
    name = MAIN if wanted.source_branch is UNSET else wanted.source_branch
    branch = await branches.get(tx, found.project.id, name)
    state = await call.services.rooms.snapshot(branch.document_id)
    return await branching.of_live(tx, branch, state)


async def _branch(call: Call, tx: Tx, found: Authorised) -> Branch:
    return await branches.get(tx, found.project.id, call.request.path_params["branch"])


async def _listed(call: Call, found: Authorised, items: Sequence[Branch]) -> list[shapes.Branch]:
    """These as the asker may see them."""
    # In the server's name: they may see all of it, and asking that for each commit takes long.
    async with call.services.database.connection() as tx:
        main = await branches.get(tx, found.project.id, MAIN)
        apart = await branching.beside(tx, found.project.id, items, main)
    return [
        shapes.Branch.of(each, found.project, far, found.access)
        for each, far in zip(items, apart, strict=True)
    ]


async def _record(call: Call, tx: Tx, kind: audit.Kind, branch: Branch) -> None:
    await audit.record(
        tx,
        kind,
        at=call.services.now(),
        actor=call.user.user_id,
        project=branch.project_id,
        ip=call.client.ip,
        agent=call.client.agent,
        branch=branch.name,
    )


def _address(branch: Branch) -> str:
    return f"/api/projects/{branch.project_id}/branches/{quote(branch.name, safe='')}"
