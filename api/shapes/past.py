"""A document's past, as JSON: who was at work when, who last changed what, what is taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.shapes.common import Page, Refused, documented, prose, utc
from api.shapes.history import MESSAGE_LONGEST, Commit, Thing
from api.shapes.points import OfBranch, moment
from docstore.history import naming
from docstore.history.activity import Grouping  # noqa: TC001 (msgspec reads it)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docstore.history import activity
    from docstore.history.blame import Touch
    from docstore.history.content import Path
    from docstore.history.directory import Place
    from docstore.history.past import Line

ENTITIES_MOST: Final = 100
"""Things that one rollback names."""

ENTITY_LONGEST: Final = 1000
DEEPEST: Final = 16
"""Characters, and names, of a path to a thing."""

PAUSE_MOST: Final = 86_400
PAUSE_USUAL: Final = 60
"""Seconds."""

_MAIN: Final = "main"

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]

EntityText = Annotated[
    str,
    documented(minLength=1, maxLength=ENTITY_LONGEST),
    Meta(
        description="A thing by its path: the names of a root and of keys, each percent-encoded, with "
        "`/` between them: `stems/0189…`, `boxes/7f…/fields/12`, `notes`. A list is one thing."
    ),
]


EntityNames = Annotated[
    list[Annotated[str, Meta(min_length=1)]],
    Meta(min_length=1, max_length=DEEPEST, description="The same as names, as answers have it."),
]


def _path(where: str, given: str | list[str]) -> tuple[str, ...]:
    """The path to a thing, in either way. Raises Refused."""
    if isinstance(given, str):
        return entity_path(where, given)
    if sum(map(len, given)) > ENTITY_LONGEST:
        raise Refused(where, f"Expected names of 1 to {ENTITY_LONGEST} characters together")
    return tuple(given)


def entity_path(where: str, text: str) -> tuple[str, ...]:
    """The path to a thing. Raises Refused."""
    if not 0 < len(text) <= ENTITY_LONGEST:
        raise Refused(where, f"Expected a path of 1 to {ENTITY_LONGEST} characters")
    try:
        path = naming.from_text(text)
    except ValueError as wrong:
        raise Refused(where, "Expected names, percent-encoded, with `/` between them") from wrong
    if len(path) > DEEPEST:
        raise Refused(where, f"Expected 1 to {DEEPEST} names with `/` between them")
    return path


def instant(where: str, text: str) -> datetime:
    """A moment, in UTC. Raises Refused."""
    try:
        return moment(where, text).astimezone(UTC)
    except OverflowError as wrong:
        raise Refused(where, "Expected a time of the years 1 to 9999") from wrong


def _between(first: datetime | None, last: datetime | None) -> None:
    if first is not None and last is not None and first > last:
        raise Refused("$.from", "Expected `from` not to be later than `to`")


# ---------------------------------------------------------------- activity


class HistoryQuery(Page, rename="camel"):
    """Which activity: all of what is given must fit."""

    from_: Annotated[Moment | None, Meta(description="Not before this.")] = msgspec.field(
        name="from", default=None
    )
    to: Annotated[Moment | None, Meta(description="Not after this.")] = None
    by: Annotated[UUID | None, Meta(description="Whose.")] = None
    entity: Annotated[
        EntityText | None, Meta(description="Only what changed this thing, or what is in it.")
    ] = None
    group: Annotated[
        Grouping,
        Meta(
            description="`author`: what each author did without a pause. `time`: the same of all "
            "together. `none`: every update. No group goes from one day (UTC) to the next."
        ),
    ] = "author"
    pause: Annotated[
        int, Meta(ge=1, le=PAUSE_MOST, description="Seconds without work that end a group.")
    ] = PAUSE_USUAL
    details: Annotated[bool, Meta(description="Also say what was changed.")] = False
    branch: OfBranch = _MAIN

    def __post_init__(self) -> None:
        _between(self.since, self.until)
        _ = self.path

    @property
    def since(self) -> datetime | None:
        """`from` as a time."""
        return None if self.from_ is None else instant("$.from", self.from_)

    @property
    def until(self) -> datetime | None:
        """`to` as a time."""
        return None if self.to is None else instant("$.to", self.to)

    @property
    def path(self) -> Path | None:
        """The path to `entity`."""
        return None if self.entity is None else entity_path("$.entity", self.entity)


class Activity(msgspec.Struct, frozen=True, rename="camel"):
    """A time of work without a pause.

    `authors`: in order of appearance, null for somebody without an account; the whole list is null
    for who may not see the people of the project. `touched`: what was changed, if that was asked
    for; `more`: how many more things than are named.
    """

    branch: str
    authors: list[UUID | None] | None
    from_: datetime = msgspec.field(name="from")
    to: datetime
    updates: int
    bytes: int
    touched: list[Thing] | UnsetType = UNSET
    more: int | UnsetType = UNSET

    @classmethod
    def of(
        cls,
        found: activity.Activity,
        lines: Sequence[Line],
        *,
        people: bool,
        touched: Sequence[Place] | None,
        more: int,
    ) -> Activity:
        """From what was read."""
        return cls(
            lines[found.line].branch,
            list(found.authors) if people else None,
            utc(found.start),
            utc(found.end),
            len(found.numbers),
            found.size,
            UNSET if touched is None else [Thing.of(each.thing) for each in touched],
            UNSET if touched is None else more,
        )


class History(msgspec.Struct, frozen=True, rename="camel"):
    """A page of activity, newest first; `nextCursor` is null on the last page."""

    items: list[Activity]
    next_cursor: str | None


# ---------------------------------------------------------------- a moment, and between two


class AtQuery(msgspec.Struct, rename="camel"):
    """Which moment, and how to write down what the document said."""

    time: Annotated[Moment, Meta(description="In the past.")]
    format: Annotated[
        Literal["json", "yjs"],
        Meta(description="`yjs`: one Yjs update, version 1. `json`: the content of every root."),
    ] = "json"
    branch: OfBranch = _MAIN

    def __post_init__(self) -> None:
        _ = self.moment

    @property
    def moment(self) -> datetime:
        """`time` as a time."""
        return instant("$.time", self.time)


class ChangesQuery(msgspec.Struct, rename="camel"):
    """Between which moments, whose changes, and how to write them down."""

    from_: Annotated[Moment, Meta(description="In the past.")] = msgspec.field(name="from")
    to: Annotated[Moment | None, Meta(description="In the past; left out: now.")] = None
    by: Annotated[UUID | None, Meta(description="Only what they did; with `json` and `text`.")] = (
        None
    )
    format: Annotated[
        Literal["json", "text", "yjs"],
        Meta(
            description="`json`: every change with before and after. `text`: for people. `yjs`: the "
            "update that leads from the one state to the other."
        ),
    ] = "json"
    branch: OfBranch = _MAIN

    def __post_init__(self) -> None:
        _between(self.since, self.until)
        if self.by is not None and self.format == "yjs":
            raise Refused("$.format", "Expected `json` or `text` with `by`")

    @property
    def since(self) -> datetime:
        """`from` as a time."""
        return instant("$.from", self.from_)

    @property
    def until(self) -> datetime | None:
        """`to` as a time."""
        return None if self.to is None else instant("$.to", self.to)


# ---------------------------------------------------------------- blame


class BlameQuery(msgspec.Struct, rename="camel"):
    """Of which thing."""

    entity: EntityText
    branch: OfBranch = _MAIN

    def __post_init__(self) -> None:
        _ = self.path

    @property
    def path(self) -> Path:
        """The path to `entity`."""
        return entity_path("$.entity", self.entity)


class Blamed(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who last changed an entry: `path` in the document, `field` of `entity`.

    `field` is absent where the entry is the entity. `author`: null for somebody without an account,
    and for who may not see the people. `removed`: the change took it away. `commit`: the branch's
    first one since; null: it is not committed yet.
    """

    path: list[str]
    entity: Thing
    author: UUID | None
    at: datetime
    removed: bool
    branch: str
    commit: UUID | None
    field: str | UnsetType = UNSET

    @classmethod
    def of(
        cls,
        path: Path,
        place: Place,
        touch: Touch,
        *,
        branch: str,
        commit: UUID | None,
        people: bool,
    ) -> Blamed:
        """From what was heard."""
        return cls(
            [str(name) for name in path],
            Thing.of(place.thing),
            touch.author if people else None,
            utc(touch.at),
            touch.removed,
            branch,
            commit,
            UNSET if place.field is None else place.field,
        )


class Blame(msgspec.Struct, frozen=True, rename="camel"):
    """Who last changed a thing and what is in it, in the order of paths.

    Five names deep; a change further in counts for what is there. What was in the document before
    its past begins is not here. `more`: there is more in it than is told of.
    """

    items: list[Blamed]
    more: bool


# ---------------------------------------------------------------- rollback


class Rollback(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to take back: all of what is given must fit. At least one of `by`, `from`, `entities`.

    `by`: whose work; null: everybody's. `from`, `to`: when it was done, both included. `entities`:
    in which things. `message`: also commit what comes of it. `dryRun`: only say what would change.
    """

    by: UUID | UnsetType | None = UNSET
    from_: Moment | UnsetType = msgspec.field(name="from", default=UNSET)
    to: Moment | UnsetType = UNSET
    entities: (
        Annotated[list[EntityText | EntityNames], Meta(min_length=1, max_length=ENTITIES_MOST)]
        | UnsetType
    ) = UNSET
    branch: OfBranch = _MAIN
    message: Annotated[str, documented(minLength=1, maxLength=MESSAGE_LONGEST)] | UnsetType = UNSET
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.by is UNSET and self.from_ is UNSET and self.entities is UNSET:
            raise Refused("$", "Expected at least one of `by`, `from` and `entities`")
        _between(self.since, self.until)
        _ = self.paths
        if self.message is not UNSET:
            self.message = prose("$.message", self.message, most=MESSAGE_LONGEST)
            if not self.message:
                raise Refused("$.message", f"Expected `str` of 1 to {MESSAGE_LONGEST} characters")

    @property
    def author(self) -> UUID | None:
        """Whose work; None: everybody's."""
        return None if self.by is UNSET else self.by

    @property
    def since(self) -> datetime | None:
        """`from` as a time."""
        return None if self.from_ is UNSET else instant("$.from", self.from_)

    @property
    def until(self) -> datetime | None:
        """`to` as a time."""
        return None if self.to is UNSET else instant("$.to", self.to)

    @property
    def paths(self) -> list[Path] | None:
        """The paths to `entities`."""
        if self.entities is UNSET:
            return None
        return [_path(f"$.entities[{at}]", each) for at, each in enumerate(self.entities)]


class RolledBack(msgspec.Struct, frozen=True, rename="camel"):
    """What a rollback did, or would do (`dryRun`); then `diff` says it whole.

    `applied`: the document differs from before. `commit`: what was made of it, if that was asked
    for and the branch's newest commit does not say the same.
    """

    applied: bool
    summary: str
    commit: Commit | None = None
    diff: msgspec.Raw | UnsetType = UNSET
    durable: Literal[True] = True
