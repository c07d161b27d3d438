"""A branch is merged into another: everything of both, in the live room of the one it goes into.

Promise: a merge cannot fail for what the branches say, and loses nothing of either; what both
wrote differently is told, and settled as is asked. The live document gets one update, and then the
merge is committed with two parents. Should the server end between the two, merging again finds
nothing to apply and makes that commit. What nobody had committed of either branch is committed
first, so that a merge can be undone like anything else.

Branches of one lineage share their operations, and the union of both is the merge. Those of several
share none (a squash lies between them): then what one side did is done to the other, by content,
and of what both changed at one place ours stands, unless theirs is asked for.

A branch that is only behind is moved forward: where nothing was done on it since, and it says then
what the other one's newest commit says, that is its newest commit too, and none is made. So merging
there and back comes to an end.

Who may do what is not decided here; all of it is the server's own work. What it comes to is
worked out in `joining`, by `work`. Tables: none of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from base import ids
from base.errors import AppError
from base.places import FairPlaces
from docstore.history import (
    bases,
    branches,
    branching,
    commits,
    committed,
    dag,
    outcomes,
    past,
    work,
    writers,
)
from docstore.history.errors import BranchProtected, NothingToCommit
from docstore.history.joining import Outcome, Terms
from docstore.history.lineage import Usable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history import retelling
    from docstore.history.branches import Branch
    from docstore.history.commits import Commit
    from docstore.history.content import Path
    from docstore.history.dag import Graph
    from docstore.history.merge import Side, Strategy
    from docstore.live import Source

AT_ONCE: Final = 4
"""Previews under way in this process; each may hold whole documents."""

previews: Final = FairPlaces("previews", AT_ONCE)
"""Where these wait for their turn; who writes waits in `writers`."""


class MergeIntoItself(AppError):
    """A branch cannot be merged into itself."""

    code = "merge_into_itself"


class Hand(NamedTuple):
    """Who does it, and how they get at live documents."""

    author: UUID
    keeps: bool
    """Whether they may commit on protected branches."""
    now: Callable[[], datetime]
    """The time, whenever it is asked: a commit is no older than what it is made of."""
    live: Callable[[int], Source]
    """A document as it is edited."""
    apply: Callable[[int, bytes], Awaitable[object]]
    """Changes it in their name; returns once that is durable."""
    check: Callable[[Branch], Awaitable[None]]
    """Raises if they may not change this branch, or may no more."""


class Wish(NamedTuple):
    """How it is to be done."""

    message: str | None
    """Of the commit; None: one of ours."""
    resolutions: Mapping[Path, Side]
    is_preview: bool
    """Only tell what would be done."""

    def terms(self) -> Terms:
        """The same for who works it out."""
        return Terms(ids.new_client_id(), self.resolutions, self.is_preview)


class Done(NamedTuple):
    """What was done, or would be."""

    is_done: bool
    """False: there was nothing to do."""
    commit: commits.Commit | None
    """None: nothing was done, or it is only a preview."""
    outcome: Outcome
    is_fast_forward: bool = False
    """The commit is the other branch's, and this one's newest now."""


class _Found(NamedTuple):
    """What is merged, all of one moment."""

    here: Branch
    there: Branch
    graph: Graph
    theirs: Usable
    is_committed: bool
    """Whether the newest commit of `there` says the same."""
    ours: bytes
    at: datetime
    """When `ours` was the live state, or a little before."""
    had: Sequence[bytes]
    """States that both had."""
    pasts: tuple[retelling.Packed, retelling.Packed]
    head: Commit | None
    """The newest of `here`."""


async def merge(
    database: Database,
    project_id: UUID,
    *,
    source: str,
    into: str,
    strategy: Strategy,
    wish: Wish,
    hand: Hand,
) -> Done:
    """Merge a branch into another one.

    Of a protected branch that is not theirs to commit on, people merge its newest commit.
    Raises BranchNotFound, MergeIntoItself, BranchProtected, UnknownConflict, ContentUnreachable,
    SnapshotDamaged, DocumentUnreadable, DocumentTooDeep, and what `hand` raises.
    """
    if wish.is_preview:
        async with previews():
            async with writers.reading(database) as tx:
                found = await _find(tx, project_id, source, into, hand)
            outcome = await _outcome(found, wish, strategy)
        forward = await _is_forward(found, outcome)
        return _nothing(found, outcome) or Done(
            is_done=True, commit=None, outcome=outcome, is_fast_forward=forward
        )
    async with writers.in_steps(database, project_id) as tx:
        async with tx.transaction():
            found = await _find(tx, project_id, source, into, hand)
        here, there = found.here, found.there
        outcome = await _outcome(found, wish, strategy)
        if (nothing := _nothing(found, outcome)) is not None:
            return nothing
        forward = await _is_forward(found, outcome)
        await hand.check(here)
        head = there.head
        # A step of its own: whatever becomes of the rest, this is what was there before it.
        async with tx.transaction():
            if not found.is_committed:
                message = f"Before merging into {here.name}"
                head = await commit_first(tx, there, found.theirs.state, message, hand, found.at)
            # With nothing to apply, a merge before may have ended on its way to its commit: what
            # is not committed then is what that one brought, and belongs to the commit below.
            if not forward and (outcome.update is not None or here.head is None):
                message = f"Before merging {there.name}"
                await commit_first(tx, here, found.ours, message, hand, found.at)
        if outcome.update is not None:
            await hand.apply(here.document_id, outcome.update)
        async with tx.transaction():
            if forward and head is not None:
                await committed.forward(tx, here, head, hand.now())
                made = await commits.get(tx, project_id, head)
                return Done(is_done=True, commit=made, outcome=outcome, is_fast_forward=True)
            made = await commits.make_within(
                tx,
                project_id=project_id,
                document_id=here.document_id,
                branch=here.name,
                state=hand.live(here.document_id),
                author=hand.author,
                message=wish.message or f"Merge {there.name} into {here.name}",
                now=hand.now(),
                merged=[] if head is None else [head],
            )
        return Done(is_done=True, commit=made, outcome=outcome)


async def _find(tx: Tx, project_id: UUID, source: str, into: str, hand: Hand) -> _Found:
    here = await branches.get(tx, project_id, into)
    there = await branches.get(tx, project_id, source)
    if here.document_id == there.document_id:
        raise MergeIntoItself(branch=here.name)
    graph = await branching.graph(tx, project_id)
    at = hand.now()
    theirs, is_committed = await _theirs(tx, there, hand)
    ours = await hand.live(here.document_id).snapshot()
    had = await bases.common(tx, graph, here, there)
    pasts = await told(tx, here), await told(tx, there)
    head = None if here.head is None else await commits.get(tx, project_id, here.head)
    return _Found(here, there, graph, theirs, is_committed, ours, at, had, pasts, head)


async def _outcome(found: _Found, wish: Wish, strategy: Strategy) -> Outcome:
    theirs = found.theirs
    joined = outcomes.union if theirs.lineage == found.here.lineage else outcomes.across
    return await joined(found.had, found.ours, theirs.state, found.pasts, wish.terms(), strategy)


def _nothing(found: _Found, outcome: Outcome) -> Done | None:
    """What there is to say where there is nothing to do."""
    here, there = found.here, found.there
    if found.is_committed and _is_in(found.graph, there.head, here.head):
        outcome = outcome._replace(update=None, summary="nothing changed")
    elif there.head is not None or outcome.update is not None:
        return None
    return Done(is_done=False, commit=None, outcome=outcome)


async def _is_forward(found: _Found, outcome: Outcome) -> bool:
    """Whether nothing was done on a branch since the other one went on from it.

    Or all of that is in what the other one says now.
    """
    here, there = found.here, found.there
    if not outcome.is_theirs:
        return False
    if here.head is not None and not _is_in(found.graph, here.head, there.head):
        return False
    if outcome.update is None:
        return True
    return await work.digest(found.ours) == commits.said(found.head)


# ---------------------------------------------------------------- what is merged


async def _theirs(tx: Tx, there: Branch, hand: Hand) -> tuple[Usable, bool]:
    """What is merged of a branch, and whether its newest commit says the same."""
    head = None if there.head is None else await commits.get(tx, there.project_id, there.head)
    if there.protected and not hand.keeps:
        if head is None:
            raise BranchProtected(branch=there.name)
        return await branching.stored(tx, head), True
    state = await hand.live(there.document_id).snapshot()
    is_committed = head is not None and await work.digest(state) == head.content_sha256
    return Usable(state, there.lineage), is_committed


def _is_in(graph: Graph, older: UUID | None, newer: UUID | None) -> bool:
    return older is not None and newer is not None and dag.is_ancestor(graph, older, newer)


async def told(tx: Tx, branch: Branch) -> retelling.Packed:
    """How a branch came to be what it is. Raises SnapshotDamaged."""
    return await past.packed(tx, branch, past.line_of(branch))


# ---------------------------------------------------------------- what others need too


async def commit_first(
    tx: Tx, branch: Branch, state: bytes, message: str, hand: Hand, at: datetime
) -> UUID | None:
    """Commit what nobody has, the state of a moment; the branch's newest commit then."""
    try:
        made = await commits.make_within(
            tx,
            project_id=branch.project_id,
            document_id=branch.document_id,
            branch=branch.name,
            state=state,
            author=hand.author,
            message=message,
            now=at,
        )
    except NothingToCommit:
        return branch.head
    return made.id
