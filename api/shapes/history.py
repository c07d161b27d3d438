"""History, as JSON: commits, tags, what two states differ in, what a restore did."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.shapes.common import Page, Refused, documented, prose, utc
from api.shapes.points import LIVE, OfBranch, Place, Point, moment, point
from docstore.history.changes_json import thing_json
from docstore.history.tags import LONGEST as TAG_LONGEST
from docstore.projects import MAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docstore.history import commits, directory, tags

MESSAGE_LONGEST = 2000

Tagged = Annotated[str, documented(minLength=1, maxLength=TAG_LONGEST)]


class NewCommit(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to say of the document as it is now."""

    message: Annotated[str, documented(minLength=1, maxLength=MESSAGE_LONGEST)]
    branch: OfBranch = MAIN

    def __post_init__(self) -> None:
        self.message = _message(self.message)


def _message(given: str) -> str:
    text = prose("$.message", given, most=MESSAGE_LONGEST)
    if not text:
        raise Refused("$.message", f"Expected `str` of 1 to {MESSAGE_LONGEST} characters")
    return text


class CommitsQuery(Page, rename="camel"):
    """Which commits: those that the newest one of a branch descends from, if all else fits too."""

    branch: OfBranch = MAIN
    author: Annotated[UUID | None, Meta(description="Whose.")] = None
    before: Annotated[
        str | None,
        Meta(description="Made earlier than this.", extra_json_schema={"format": "date-time"}),
    ] = None

    def __post_init__(self) -> None:
        _ = self.moment

    @property
    def moment(self) -> datetime | None:
        """`before` as a time. A query is read leniently, and a number is no time."""
        return None if self.before is None else moment("$.before", self.before)


class NewTag(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A name for a commit."""

    name: Tagged
    commit_id: UUID


class DiffQuery(msgspec.Struct, rename="camel"):
    """Which two states, and how to write down what they differ in."""

    from_: Place = msgspec.field(name="from")
    to: Place = LIVE
    branch: OfBranch = MAIN
    format: Annotated[
        Literal["json", "text"],
        Meta(description="`json`: every change with before and after. `text`: for people."),
    ] = "json"

    def __post_init__(self) -> None:
        _ = self.points

    @property
    def points(self) -> tuple[Point, Point]:
        """The two moments. Raises Refused, which the constructor has ruled out."""
        return point("$.from", self.from_), point("$.to", self.to)


class Restore(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to go back to: exactly one of `commitId`, `tag` and `time`; and which branch to bring there.

    A `time` is one of that branch's own past. `message`: also commit what comes of it, and what
    nobody had committed before that. `dryRun`: only say what would change.
    """

    commit_id: UUID | UnsetType = UNSET
    tag: Tagged | UnsetType = UNSET
    time: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET
    branch: OfBranch = MAIN
    message: Annotated[str, documented(minLength=1, maxLength=MESSAGE_LONGEST)] | UnsetType = UNSET
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.message is not UNSET:
            self.message = _message(self.message)
        given = [each for each in (self.commit_id, self.tag, self.time) if each is not UNSET]
        if len(given) != 1:
            raise Refused("$", "Expected exactly one of `commitId`, `tag` and `time`")

    @property
    def point(self) -> Point:
        """The state that is meant."""
        return Point(
            commit=None if self.commit_id is UNSET else self.commit_id,
            tag=None if self.tag is UNSET else self.tag,
            time=None if self.time is UNSET else self.time,
        )


class Holder(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A stem, an instrument, a channel, a segment: what holds others. As `Thing` is."""

    type: str
    id: str
    path: list[str | int]
    name: str | UnsetType = UNSET
    box: str | UnsetType = UNSET


class Thing(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A musical thing: what it is, where it is, and what people call it.

    `path`: from the root's name on. `name`: absent where nobody gave it one, or it is not there any
    more. `box`: the class of an openDAW box. `in`: what holds it.
    """

    type: str
    id: str
    path: list[str | int]
    name: str | UnsetType = UNSET
    box: str | UnsetType = UNSET
    holder: Holder | UnsetType = msgspec.field(name="in", default=UNSET)

    @classmethod
    def of(cls, found: directory.Thing) -> Thing:
        """From what was looked up."""
        return msgspec.convert(thing_json(found), cls)


class ChangeCount(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How many things of a kind underwent the same, and what they are in."""

    kind: Literal["added", "removed", "changed", "moved"]
    type: str
    noun: str
    number: int
    holder: Holder | UnsetType = msgspec.field(name="in", default=UNSET)


class Changes(msgspec.Struct, frozen=True, rename="camel"):
    """What changed, in words and in numbers. `more`: counts that are left out."""

    summary: str
    counts: list[ChangeCount]
    more: int = 0


class Commit(msgspec.Struct, frozen=True, rename="camel"):
    """A state of the document that somebody put a name to. It never changes.

    `author` is told to who may see the people of the project, and null to others. `contentHash`:
    SHA-256 of what the document said, equal for equal contents. `changes`: since its first parent.
    """

    id: UUID
    branch: str
    author: UUID | None
    message: str
    created_at: datetime
    content_hash: str
    parents: list[UUID]
    changes: Changes

    @classmethod
    def of(cls, stored: commits.Commit, *, people: bool) -> Commit:
        """From the record."""
        return cls(
            stored.id,
            stored.branch,
            stored.author if people else None,
            stored.message,
            utc(stored.created_at),
            stored.content_sha256.hex(),
            list(stored.parents),
            msgspec.convert(_changes(stored.changes), Changes),
        )


def _changes(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a commit keeps. Old ones name a holder and no more, which the summary does too."""
    counts: list[Mapping[str, Any]] = kept["counts"]
    told = [
        {key: said for key, said in each.items() if key != "in" or not isinstance(said, str)}
        for each in counts
    ]
    return {**kept, "counts": told}


class Commits(msgspec.Struct, frozen=True, rename="camel"):
    """A page of commits, newest first; `nextCursor` is null on the last page.

    Where few of many fit, a page may have fewer than were asked for, or none, and a `nextCursor`.
    """

    items: list[Commit]
    next_cursor: str | None


class Tag(msgspec.Struct, frozen=True, rename="camel"):
    """A name for a commit. `createdBy` is told to who may see the people of the project."""

    name: str
    commit_id: UUID
    created_by: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, stored: tags.Tag, *, people: bool) -> Tag:
        """From the record."""
        return cls(
            stored.name,
            stored.commit_id,
            stored.created_by if people else None,
            utc(stored.created_at),
        )


class Tags(msgspec.Struct, frozen=True, rename="camel"):
    """The tags of a project, newest first."""

    items: list[Tag]


class Restored(msgspec.Struct, frozen=True, rename="camel"):
    """What a restore did, or would do (`dryRun`); then `diff` says it whole.

    `applied`: the document differs from before; false when it said the same already. `summary`:
    what that changed, in words. With a `message`, `before` is the commit of what was there before:
    to restore that undoes this; and `commit` is the one of what came of it. They are null where
    nothing was changed, or nothing was new. `durable`: it is committed to the journal (always true
    here).
    """

    applied: bool
    summary: str
    before: Commit | None = None
    commit: Commit | None = None
    diff: msgspec.Raw | UnsetType = UNSET
    durable: Literal[True] = True
