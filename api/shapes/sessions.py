"""Signing in and out, tickets and API keys, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, cast
from uuid import UUID

import msgspec
from msgspec import Meta

from api.shapes.accounts import User
from api.shapes.common import Refused, documented, line, utc

if TYPE_CHECKING:
    from auth.credentials import Identity
    from auth.keys import Key as StoredKey
    from auth.sessions import Listed

KEY_NAME_LONGEST = 100

Scope = Literal["read", "write", "manage"]


class Tokens(NamedTuple):
    """The members that a sign-in and a refresh have in common."""

    token: str | None
    expires_at: datetime
    refresh_token: str | None
    refresh_expires_at: datetime
    csrf_token: str | None


class Login(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who wants to sign in: `email` or `username`, either of which may hold the other.

    `cookie`: for browsers; the tokens travel in cookies, where scripts cannot read them.
    """

    password: Annotated[str, documented(format="password")]
    email: Annotated[str | None, documented(maxLength=254)] = None
    username: Annotated[str | None, documented(maxLength=254)] = None
    cookie: bool = False

    def __post_init__(self) -> None:
        if (self.email is None) == (self.username is None):
            raise Refused("$", "Expected either `email` or `username`")

    @property
    def name(self) -> str:
        """Whichever was given."""
        return self.email if self.email is not None else self.username or ""


class SignedIn(msgspec.Struct, frozen=True, rename="camel"):
    """A token to send as `Authorization: Bearer …` until it ends, and one to get the next with.

    With cookies both are null, and `csrfToken` goes into the header X-CSRF-Token of every request
    that changes something.
    """

    token: str | None
    expires_at: datetime
    refresh_token: str | None
    refresh_expires_at: datetime
    csrf_token: str | None
    user: User


class Refresh(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The last refresh token; left out: the one in the cookie."""

    refresh_token: str | None = None


class Renewed(msgspec.Struct, frozen=True, rename="camel"):
    """New tokens; the refresh token that was sent has been replaced. With cookies both are null."""

    token: str | None
    expires_at: datetime
    refresh_token: str | None
    refresh_expires_at: datetime
    csrf_token: str | None


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """A sign-in. `current`: the one that asks. `ip` and `userAgent` are where it was refreshed last."""

    id: UUID
    current: bool
    ip: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, listed: Listed, asker: Identity) -> Session:
        """From the record."""
        return cls(
            listed.id,
            listed.id == asker.credential,
            listed.origin.ip,
            listed.origin.agent,
            utc(listed.created_at),
            utc(listed.used_at),
            utc(listed.expires_at),
        )


class Sessions(msgspec.Struct, frozen=True, rename="camel"):
    """Where you are signed in, the last used first."""

    items: list[Session]


class NewTicket(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What a room is to be entered as: at most this role. Left out: as whoever you are."""

    role: Literal["viewer", "editor"] | None = None


class Ticket(msgspec.Struct, frozen=True, rename="camel"):
    """What opens the project's room, within a minute: connect to `url` with `?token=` and it."""

    ticket: str
    expires_at: datetime
    role: Annotated[str, documented(enum=["owner", "admin", "editor", "viewer"])]
    room: str
    url: str


class NewKey(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An API key to make. `projectId`: it opens this project only. `expiresAt`: left out, never."""

    name: Annotated[str, documented(minLength=1, maxLength=KEY_NAME_LONGEST)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)]
    project_id: UUID | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        self.name = line("$.name", self.name, least=1, most=KEY_NAME_LONGEST)
        # In another time zone the first and the last days there are would be none.
        if self.expires_at is not None and not 1970 <= self.expires_at.year < 9999:
            raise Refused("$.expiresAt", "Expected a year from 1970 to 9998")


class Key(msgspec.Struct, frozen=True, rename="camel"):
    """An API key, without its secret."""

    id: UUID
    name: str
    scopes: list[Scope]
    project_id: UUID | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, stored: StoredKey) -> Key:
        """From the record."""
        return cls(
            stored.id,
            stored.name,
            cast("list[Scope]", stored.scopes),
            stored.project_id,
            utc(stored.created_at),
            stored.expires_at and utc(stored.expires_at),
            stored.last_used_at and utc(stored.last_used_at),
        )


class MadeKey(msgspec.Struct, frozen=True, rename="camel"):
    """A new API key. `token` is shown this once; send it as `Authorization: Bearer ssk_…`."""

    key: Key
    token: str


class Keys(msgspec.Struct, frozen=True, rename="camel"):
    """Your API keys, newest first."""

    items: list[Key]
