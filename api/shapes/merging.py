"""Merges, cherry-picks and reverts, as JSON: how to do them, what came of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.shapes.common import Refused, documented, prose, utc
from api.shapes.history import MESSAGE_LONGEST, Commit, Thing
from api.shapes.points import OfBranch
from docstore.history.joining import MOST_SHOWN
from docstore.projects import MAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docstore.history.content import Path
    from docstore.history.merge import Side
    from docstore.history.merging import Done

RESOLUTIONS_MOST: Final = 1000

Message = Annotated[
    str,
    documented(
        minLength=1,
        maxLength=MESSAGE_LONGEST,
        description="Of the commit; left out: one that says what was done.",
    ),
]
Favoured = Annotated[
    Literal["theirs", "ours"],
    Meta(description="Who stands where both changed the same: the commit, or the live document."),
]
Preview = Annotated[bool, Meta(description="Change nothing, and tell what would be changed.")]


class Resolution(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How to settle one conflict. `path`: as the conflict has it."""

    path: Annotated[list[str], Meta(min_length=1, max_length=100)]
    take: Literal["ours", "theirs", "base"]


Resolutions = Annotated[
    list[Resolution],
    Meta(max_length=RESOLUTIONS_MOST, description="What they name goes before `strategy`."),
]


class NewMerge(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Where to merge a branch, and how to settle what both sides wrote differently.

    `message`: of the commit, if one has to be made.
    """

    into: OfBranch
    message: Message | UnsetType = UNSET
    strategy: Annotated[
        Literal["crdt", "ours", "theirs"],
        Meta(
            description="`crdt`: as when people edit together, one of the two stands. `ours`: what "
            "the branch says that is merged into; `theirs`: the one that is merged."
        ),
    ] = "crdt"
    resolutions: Resolutions = []
    dry_run: Preview = False

    def __post_init__(self) -> None:
        self.message = _message(self.message)
        _ = settled(self.resolutions)


class NewPick(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which commit's change to do again, and where."""

    commit_id: UUID
    into: OfBranch
    message: Message | UnsetType = UNSET
    strategy: Favoured = "theirs"
    resolutions: Resolutions = []
    dry_run: Preview = False

    def __post_init__(self) -> None:
        self.message = _message(self.message)
        _ = settled(self.resolutions)


class NewRevert(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which commit's change to undo, and where."""

    commit_id: UUID
    branch: OfBranch = MAIN
    message: Message | UnsetType = UNSET
    strategy: Favoured = "theirs"
    resolutions: Resolutions = []
    dry_run: Preview = False

    def __post_init__(self) -> None:
        self.message = _message(self.message)
        _ = settled(self.resolutions)


def settled(resolutions: Sequence[Resolution]) -> dict[Path, Side]:
    """By path. Raises Refused when there are two for one."""
    found: dict[Path, Side] = {}
    for at, each in enumerate(resolutions):
        path = tuple(each.path)
        if path in found:
            raise Refused(f"$.resolutions[{at}].path", "Expected each path once")
        found[path] = each.take
    return found


def _message(given: str | UnsetType) -> str | UnsetType:
    if given is UNSET:
        return UNSET
    text = prose("$.message", given, most=MESSAGE_LONGEST)
    if not text:
        raise Refused("$.message", f"Expected `str` of 1 to {MESSAGE_LONGEST} characters")
    return text


class ConflictChange(msgspec.Struct, frozen=True, rename="camel"):
    """Who wrote one side of a conflict, and when. `by` is told to who may see the people."""

    by: UUID | None
    at: datetime


class Conflict(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A place that both sides changed differently: `path` in the document, `field` of `entity`.

    `field` is absent where the entity as a whole is the place. `kind`: `value`, both wrote it; `text` and `list`, both edited it, and the edits of both stand;
    `deleted`, one deleted what the other changed; `dangling`, one deleted what the other has come
    to need (`needs`). Absent of `base`, `ours` and `theirs` is what was not
    there. `stands`: which of them does afterwards. `ourChange` and `theirChange` are null where it
    is not known who wrote that side: it is older than the branch, or was not yet durable. `cut`: of
    a side that takes more than 2,000 characters of JSON only the beginning is told, with `…` behind
    it; as a text, whatever it is.
    """

    kind: Literal["value", "text", "list", "deleted", "dangling"]
    path: list[str | int]
    entity: Thing
    stands: Literal["ours", "theirs", "base", "both", "neither"]
    our_change: ConflictChange | None
    their_change: ConflictChange | None
    field: str | UnsetType = UNSET
    base: msgspec.Raw | UnsetType = UNSET
    ours: msgspec.Raw | UnsetType = UNSET
    theirs: msgspec.Raw | UnsetType = UNSET
    needs: list[Thing] | UnsetType = UNSET
    cut: Literal[True] | UnsetType = UNSET


class _Told(msgspec.Struct, frozen=True, rename="camel"):
    """As `docstore/history/joining.py` writes it."""

    conflicts: list[Conflict]
    more: int
    changes: list[msgspec.Raw] | UnsetType = UNSET
    more_changes: int | UnsetType = UNSET


class Merged(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a merge did, or would do.

    `merged`: false when all of it was there already. `commit`: the merge; null when nothing was
    merged, and of a preview. `fastForward`: no commit is made for it; `commit` is the newest of the
    branch that is merged, and of both from now on. `summary`: what changed in the branch that was merged into.
    `conflicts`: the first 500, and how many `more`. `changes`, of a preview: as of a diff, the
    first 500, and how many more (`moreChanges`).
    """

    merged: bool
    commit: Commit | None
    fast_forward: bool
    summary: str
    conflicts: list[Conflict]
    more: int
    changes: list[msgspec.Raw] | UnsetType = UNSET
    more_changes: int | UnsetType = UNSET

    @classmethod
    def of(cls, done: Done, *, people: bool) -> Merged:
        """From what was done."""
        told, commit = _told(done, people=people)
        return cls(
            done.is_done,
            commit,
            done.is_fast_forward,
            done.outcome.summary,
            told.conflicts,
            told.more,
            told.changes,
            told.more_changes,
        )


class Carried(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a cherry-pick or a revert did, or would do.

    `applied`: false when the document says so already; then there is no commit, unless one before
    ended on its way to it. `commit` is null of a preview too. The rest is as of a merge: `ours` is the live document, `theirs` what the
    commit makes of it.
    """

    applied: bool
    commit: Commit | None
    summary: str
    conflicts: list[Conflict]
    more: int
    changes: list[msgspec.Raw] | UnsetType = UNSET
    more_changes: int | UnsetType = UNSET

    @classmethod
    def of(cls, done: Done, *, people: bool) -> Carried:
        """From what was done."""
        told, commit = _told(done, people=people)
        return cls(
            done.is_done,
            commit,
            done.outcome.summary,
            told.conflicts,
            told.more,
            told.changes,
            told.more_changes,
        )


assert MOST_SHOWN == 500, "the descriptions above say so"


def _told(done: Done, *, people: bool) -> tuple[_Told, Commit | None]:
    told = msgspec.json.decode(done.outcome.told, type=_Told)
    shown = [
        msgspec.structs.replace(
            each,
            our_change=_change(each.our_change, people=people),
            their_change=_change(each.their_change, people=people),
        )
        for each in told.conflicts
    ]
    commit = None if done.commit is None else Commit.of(done.commit, people=people)
    return msgspec.structs.replace(told, conflicts=shown), commit


def _change(found: ConflictChange | None, *, people: bool) -> ConflictChange | None:
    if found is None:
        return None
    return ConflictChange(found.by if people else None, utc(found.at))
