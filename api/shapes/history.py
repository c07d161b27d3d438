"""History, as JSON: commits, tags, what two states differ in, what a restore did."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.shapes.common import Page, Refused, documented, prose, utc
from docstore.history.tags import LONGEST as TAG_LONGEST

if TYPE_CHECKING:
    from docstore.history import commits, tags

MESSAGE_LONGEST = 2000

LIVE = "live"
_TAG = "tag:"

Place = Annotated[
    str,
    Meta(description="A commit's id, `tag:` and a tag's name, or `live`: the document as it is."),
]
Tagged = Annotated[str, documented(minLength=1, maxLength=TAG_LONGEST)]


class Point(NamedTuple):
    """A moment of a document: a commit by one of its names; with neither, the live one."""

    commit: UUID | None = None
    tag: str | None = None


class NewCommit(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to say of the document as it is now."""

    message: Annotated[str, documented(minLength=1, maxLength=MESSAGE_LONGEST)]

    def __post_init__(self) -> None:
        self.message = prose("$.message", self.message, most=MESSAGE_LONGEST)
        if not self.message:
            raise Refused("$.message", f"Expected `str` of 1 to {MESSAGE_LONGEST} characters")


class CommitsQuery(Page, rename="camel"):
    """Which commits: all of what is given must fit."""

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
        if self.before is None:
            return None
        try:
            return msgspec.convert(self.before, Annotated[datetime, Meta(tz=True)])
        except msgspec.ValidationError as wrong:
            raise Refused("$.before", str(wrong)) from wrong


class NewTag(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A name for a commit."""

    name: Tagged
    commit_id: UUID


class DiffQuery(msgspec.Struct, rename="camel"):
    """Which two states, and how to write down what they differ in."""

    from_: Place = msgspec.field(name="from")
    to: Place = LIVE
    format: Annotated[
        Literal["json", "text"],
        Meta(description="`json`: every change with before and after. `text`: for people."),
    ] = "json"

    def __post_init__(self) -> None:
        _ = self.points

    @property
    def points(self) -> tuple[Point, Point]:
        """The two moments. Raises Refused, which the constructor has ruled out."""
        return _point("$.from", self.from_), _point("$.to", self.to)


class Restore(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to go back to: exactly one of `commitId` and `tag`."""

    commit_id: UUID | UnsetType = UNSET
    tag: Tagged | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.commit_id is UNSET) == (self.tag is UNSET):
            raise Refused("$", "Expected exactly one of `commitId` and `tag`")

    @property
    def point(self) -> Point:
        """The moment that is meant."""
        return Point(
            None if self.commit_id is UNSET else self.commit_id,
            None if self.tag is UNSET else self.tag,
        )


class ChangeCount(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How many things of a kind underwent the same, and in what: a stem, an instrument."""

    kind: Literal["added", "removed", "changed", "moved"]
    type: str
    noun: str
    number: int
    holder: str | UnsetType = msgspec.field(name="in", default=UNSET)


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
            msgspec.convert(stored.changes, Changes),
        )


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
    """What a restore did.

    `applied`: the document differs from before; false when it said the same already. `summary`:
    what that changed, in words. `durable`: it is committed to the journal (always true here).
    """

    applied: bool
    summary: str
    durable: Literal[True] = True


def _point(path: str, text: str) -> Point:
    if text == LIVE:
        return Point()
    if text.startswith(_TAG):
        return Point(tag=text.removeprefix(_TAG))
    try:
        return Point(commit=msgspec.convert(text, UUID))
    except msgspec.ValidationError as wrong:
        raise Refused(path, "Expected a commit's id, `tag:` and a name, or `live`") from wrong
