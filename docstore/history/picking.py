"""The change of one commit, done once more on a branch (cherry-pick), or undone (revert).

A commit's change is what leads to it from its first parent. It is done to the live document by
ordinary operations, beside whatever else was done there, and committed with one parent. What
nobody had committed is committed first, so that this can be undone in the same way. Should the
server end between the change and its commit, asking again finds nothing to do and makes that commit.

Who may do what is not decided here; all of it is the server's own work. What it comes to is
worked out in `joining`, by `work`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from docstore import crdt
from docstore.history import branches, commits, merging, outcomes, work, writers
from docstore.history.errors import NothingToCommit
from docstore.history.joining import Mark

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history.branches import Branch
    from docstore.history.commits import Commit
    from docstore.history.joining import Outcome
    from docstore.history.merging import Done, Hand, Wish
    from docstore.history.retelling import Packed
    from docstore.history.threeway import Favour

_LONGEST_TITLE: Final = 200
"""Characters of a commit's first line that another commit repeats."""


class _Found(NamedTuple):
    """A commit's change, and where it is to be done."""

    here: Branch
    commit: Commit
    before: bytes
    after: bytes
    ours: bytes
    at: datetime
    """When `ours` was the live state, or a little before."""
    past: Packed


async def pick(
    database: Database,
    project_id: UUID,
    commit_id: UUID,
    *,
    into: str,
    favour: Favour,
    wish: Wish,
    hand: Hand,
) -> Done:
    """Do a commit's change on a branch.

    Raises CommitNotFound, BranchNotFound, UnknownConflict, ContentUnreachable, SnapshotDamaged,
    DocumentUnreadable, DocumentTooDeep, and what `hand` raises.
    """
    return await _changed(
        database, project_id, commit_id, into, favour, wish, hand, is_revert=False
    )


async def revert(
    database: Database,
    project_id: UUID,
    commit_id: UUID,
    *,
    on: str,
    favour: Favour,
    wish: Wish,
    hand: Hand,
) -> Done:
    """Undo a commit's change on a branch, and nothing else. Raises the same."""
    return await _changed(database, project_id, commit_id, on, favour, wish, hand, is_revert=True)


async def _changed(
    database: Database,
    project_id: UUID,
    commit_id: UUID,
    branch: str,
    favour: Favour,
    wish: Wish,
    hand: Hand,
    *,
    is_revert: bool,
) -> Done:
    if wish.is_preview:
        async with merging.previews():
            async with writers.reading(database) as tx:
                found = await _find(tx, project_id, commit_id, branch, hand)
            outcome = await _outcome(found, wish, favour, is_revert=is_revert)
        is_done = outcome.update is not None
        return merging.Done(is_done=is_done, commit=None, outcome=outcome)
    async with writers.in_steps(database, project_id) as tx:
        async with tx.transaction():
            found = await _find(tx, project_id, commit_id, branch, hand)
        here, commit = found.here, found.commit
        outcome = await _outcome(found, wish, favour, is_revert=is_revert)
        is_done = outcome.update is not None
        if not is_done and not await _is_left(tx, found, wish, favour, is_revert=is_revert):
            return merging.Done(is_done=False, commit=None, outcome=outcome)
        await hand.check(here)
        title = _title(commit)
        if outcome.update is not None:
            doing = f"Before reverting “{title}”" if is_revert else f"Before picking “{title}”"
            # A step of its own: whatever becomes of the rest, this is what was there before it.
            async with tx.transaction():
                await merging.commit_first(tx, here, found.ours, doing, hand, found.at)
            await hand.apply(here.document_id, outcome.update)
        made = None
        with contextlib.suppress(NothingToCommit):  # somebody else has changed it back meanwhile
            async with tx.transaction():
                made = await commits.make_within(
                    tx,
                    project_id=project_id,
                    document_id=here.document_id,
                    branch=here.name,
                    state=hand.live(here.document_id),
                    author=hand.author,
                    message=wish.message or (f"Revert “{title}”" if is_revert else commit.message),
                    now=hand.now(),
                )
        return merging.Done(is_done=is_done, commit=made, outcome=outcome)


async def _is_left(tx: Tx, found: _Found, wish: Wish, favour: Favour, *, is_revert: bool) -> bool:
    """Whether the change was done before, and ended on its way to its commit.

    Then what is not committed is this change, and nothing else.
    """
    head = None
    if found.here.head is not None:
        head = await commits.get(tx, found.here.project_id, found.here.head)
    said = await work.digest(found.ours)
    if head is not None and head.content_sha256 == said:
        return False
    state = crdt.NOTHING if head is None else await commits.state_of(tx, head)
    again = await _outcome(found._replace(ours=state), wish, favour, is_revert=is_revert)
    return again.update is not None and await outcomes.after(state, again.update) == said


async def _find(tx: Tx, project_id: UUID, commit_id: UUID, branch: str, hand: Hand) -> _Found:
    here = await branches.get(tx, project_id, branch)
    commit = await commits.get(tx, project_id, commit_id)
    after = await commits.state_of(tx, commit)
    before = await _before(tx, commit)
    at = hand.now()
    ours = await hand.live(here.document_id).snapshot()
    return _Found(here, commit, before, after, ours, at, await merging.told(tx, here))


async def _outcome(found: _Found, wish: Wish, favour: Favour, *, is_revert: bool) -> Outcome:
    base, wanted = found.before, found.after
    # Who undoes a change brings back what was: nobody wrote that just now.
    theirs = None if is_revert else Mark(found.commit.author, found.commit.created_at)
    if is_revert:
        base, wanted = wanted, base
    return await outcomes.carried(
        base, wanted, found.ours, found.past, theirs, wish.terms(), favour
    )


async def _before(tx: Tx, commit: Commit) -> bytes:
    """What a commit changed: its first parent's state, or nothing."""
    if not commit.parents:
        return crdt.NOTHING
    parent = await commits.get(tx, commit.project_id, commit.parents[0])
    return await commits.state_of(tx, parent)


def _title(commit: Commit) -> str:
    first = commit.message.partition("\n")[0]
    return first if len(first) <= _LONGEST_TITLE else first[: _LONGEST_TITLE - 1] + "…"
