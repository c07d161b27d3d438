"""The JSON that crosses the door, as declared types. OpenAPI is made from them.

Requests refuse unknown fields and characters that nobody types; text is trimmed and put into one
Unicode form (NFC) before its length counts. Answers are camelCase with times in UTC. Knows
records and text; no I/O.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

if TYPE_CHECKING:
    from auth.accounts import User as Account
    from auth.permissions import Role
    from docstore.projects import Project as Stored

NAME_LONGEST: Final = 200
DESCRIPTION_LONGEST: Final = 5000
PAGE_MOST: Final = 100
PAGE_USUAL: Final = 50

Kind = Literal["studio", "pattern", "opendaw"]

# Control characters (PostgreSQL's text cannot hold NUL, and nobody types the others), line
# separators, and the marks that turn the reading direction of everything behind them around.
_NOT_IN_LINES: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NOT_IN_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Refused(ValueError):
    """A value of the right type that is refused; `path` is where, as msgspec writes paths."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def _documented(**schema: object) -> Meta:
    """For the OpenAPI document only: bounds that are checked after trimming, in __post_init__."""
    return Meta(extra_json_schema=schema)


Name = Annotated[str, _documented(minLength=1, maxLength=NAME_LONGEST, examples=["Night drive"])]
Description = Annotated[str, _documented(maxLength=DESCRIPTION_LONGEST)]
Email = Annotated[str, _documented(format="email", maxLength=254)]
Password = Annotated[str, _documented(format="password", minLength=8, maxLength=72)]
Username = Annotated[
    str, _documented(minLength=3, maxLength=32, examples=["anna", "дрозд", "k.o_2"])
]


class Register(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A new account."""

    email: Email
    username: Username
    password: Password

    def __post_init__(self) -> None:
        for field in ("email", "username", "password"):
            _plain(f"$.{field}", getattr(self, field), _NOT_IN_LINES)


class Login(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who wants to sign in."""

    email: Email
    password: Annotated[str, _documented(format="password")]


class NewProject(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A project to create."""

    name: Name
    kind: Kind = "studio"
    description: Description = ""
    is_public: bool = False

    def __post_init__(self) -> None:
        self.name = _name(self.name)
        self.description = _description(self.description)


class ProjectChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to change of a project; what is left out stays."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.name is not UNSET:
            self.name = _name(self.name)
        if self.description is not UNSET:
            self.description = _description(self.description)


class Page(msgspec.Struct, rename="camel"):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_MOST, description="Most items to answer.")] = (
        PAGE_USUAL
    )
    cursor: Annotated[
        str | None, Meta(description="`nextCursor` of the page before; left out: the first page.")
    ] = None


class SnapshotQuery(msgspec.Struct, rename="camel"):
    """How to write a document down."""

    format: Annotated[
        Literal["yjs", "json"],
        Meta(description="`yjs`: one Yjs update, version 1. `json`: the content of every root."),
    ] = "yjs"


class User(msgspec.Struct, frozen=True, rename="camel"):
    """An account, as its owner sees it."""

    id: UUID
    email: str
    username: str
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> User:
        """From the record."""
        return cls(account.id, account.email, account.username, _utc(account.created_at))


class UserAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """One account."""

    user: User


class SignedIn(msgspec.Struct, frozen=True, rename="camel"):
    """A token to send as `Authorization: Bearer …`, and when it ends."""

    token: str
    expires_at: datetime
    user: User


class Project(msgspec.Struct, frozen=True, rename="camel"):
    """A project. `role` is what the asker may do: owner, editor or viewer."""

    id: UUID
    room_id: str
    owner_id: UUID
    name: str
    kind: str
    description: str
    is_public: bool
    role: Annotated[str, _documented(enum=["owner", "editor", "viewer"])]
    epoch: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: Stored, role: Role) -> Project:
        """From the record, for somebody of this role."""
        return cls(
            id=stored.id,
            room_id=stored.room_id,
            owner_id=stored.owner_id,
            name=stored.name,
            kind=stored.kind,
            description=stored.description,
            is_public=stored.is_public,
            role=role.value,
            epoch=stored.epoch,
            created_at=_utc(stored.created_at),
            updated_at=_utc(stored.updated_at),
        )


class Projects(msgspec.Struct, frozen=True, rename="camel"):
    """A page of projects, newest first; `nextCursor` is null on the last page."""

    items: list[Project]
    next_cursor: str | None


class UpdateApplied(msgspec.Struct, frozen=True, rename="camel"):
    """What became of an update.

    `applied`: the document differs from before. `pending`: something of it waits for updates that
    it depends on. `durable`: it is committed to the journal (always true in this answer).
    """

    applied: bool
    pending: bool
    durable: Literal[True] = True


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """The process answers."""

    status: Literal["ok"]
    version: str
    rooms: int
    connections: int


class Ready(msgspec.Struct, frozen=True, rename="camel"):
    """Everything that the server needs is there."""

    status: Literal["ready"]
    checks: dict[str, str]


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """What went wrong (RFC 9457). `code` is stable; further members depend on it."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def _name(text: str) -> str:
    text = _plain("$.name", unicodedata.normalize("NFC", text.strip()), _NOT_IN_LINES)
    return _sized("$.name", text, least=1, most=NAME_LONGEST)


def _description(text: str) -> str:
    text = _plain("$.description", unicodedata.normalize("NFC", text.strip()), _NOT_IN_TEXT)
    return _sized("$.description", text, least=0, most=DESCRIPTION_LONGEST)


def _plain(path: str, text: str, unwanted: re.Pattern[str]) -> str:
    found = unwanted.search(text)
    if found:
        raise Refused(path, f"Character U+{ord(found[0]):04X} cannot be used here")
    return text


def _sized(path: str, text: str, *, least: int, most: int) -> str:
    if not least <= len(text) <= most:
        raise Refused(path, f"Expected `str` of {least} to {most} characters, got {len(text)}")
    return text


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
