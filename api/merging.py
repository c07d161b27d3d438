"""Merging over REST: a branch into another, one commit's change done again or undone.

All three are edits of a live document in the name of who asks, followed by a commit. Who may is
judged before, and again before anything is written; a preview needs no more than to edit, also
where only admins merge.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import UNSET

from api import documents, points
from api.live import Live
from api.shapes import merging as shapes
from auth.permissions import Right
from docstore.history import branches, picking
from docstore.history import merging as store

if TYPE_CHECKING:
    from api.requests import Authorised, Call
    from docstore.history.branches import Branch


async def merge(call: Call) -> shapes.Merged:
    """Merge a branch into another one: everything of both, in the live room of the latter.

    It cannot fail for what they say. Where both wrote something differently the answer tells, and
    `strategy` and `resolutions` settle it.
    """
    wanted = call.body(shapes.NewMerge)
    found = await _may(call, wanted.into, is_preview=wanted.dry_run)
    done = await store.merge(
        call.services.database,
        found.project.id,
        source=call.request.path_params["branch"],
        into=wanted.into,
        strategy=wanted.strategy,
        wish=_wish(wanted),
        hand=_hand(call, found),
    )
    return shapes.Merged.of(done, people=found.sees_people)


async def cherry_pick(call: Call) -> shapes.Carried:
    """Do what a commit changed since its first parent on a branch too, and commit that."""
    wanted = call.body(shapes.NewPick)
    found = await _may(call, wanted.into, is_preview=wanted.dry_run)
    done = await picking.pick(
        call.services.database,
        found.project.id,
        wanted.commit_id,
        into=wanted.into,
        favour=wanted.strategy,
        wish=_wish(wanted),
        hand=_hand(call, found),
    )
    return shapes.Carried.of(done, people=found.sees_people)


async def revert(call: Call) -> shapes.Carried:
    """Undo what a commit changed since its first parent, nothing else, and commit that."""
    wanted = call.body(shapes.NewRevert)
    found = await _may(call, wanted.branch, is_preview=wanted.dry_run)
    done = await picking.revert(
        call.services.database,
        found.project.id,
        wanted.commit_id,
        on=wanted.branch,
        favour=wanted.strategy,
        wish=_wish(wanted),
        hand=_hand(call, found),
    )
    return shapes.Carried.of(done, people=found.sees_people)


async def _may(call: Call, into: str, *, is_preview: bool) -> Authorised:
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
        branch = await branches.get(tx, found.project.id, into)
    if not is_preview:
        points.check_open(found, branch)
    return found


def _wish(wanted: shapes.NewMerge | shapes.NewPick | shapes.NewRevert) -> store.Wish:
    message = None if wanted.message is UNSET else wanted.message
    return store.Wish(message, shapes.settled(wanted.resolutions), wanted.dry_run)


def _hand(call: Call, found: Authorised) -> store.Hand:
    async def check(branch: Branch) -> None:
        # Again: it may have taken long, and what was true before is no more.
        async with call.acting() as tx:
            points.check_open(await call.project(tx, Right.DOCUMENT_EDIT), branch)

    async def apply(document_id: int, update: bytes) -> None:
        await documents.applied(call, document_id, update)

    return store.Hand(
        author=call.user.user_id,
        keeps=Right.BRANCH_KEEP in found.access.rights,
        now=call.services.now,
        live=partial(Live, call.services.rooms),
        apply=apply,
        check=check,
    )
