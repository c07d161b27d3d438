"""Who somebody is, as far as what they showed tells: records, and nothing else (no I/O)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime

    from auth.permissions import Right, Role

NO_LINK: Final = UUID(int=0)
"""In place of a link's id: what anybody gets without one."""


class Kind(StrEnum):
    """What somebody showed."""

    SESSION = "session"
    KEY = "key"


class Guest(NamedTuple):
    """Somebody without an account: with a share link, or (NO_LINK) with nothing but a ticket.

    role: what the link gives; cap: at most this (a ticket's), None: no such bound.
    """

    link_id: UUID
    project_id: UUID
    role: Role
    expires_at: datetime | None
    cap: Role | None = None


class Identity(NamedTuple):
    """Somebody with an account, and how far what they showed reaches.

    credential: the session's or the key's id. expires_at: when what was shown ends; None: never.
    rights: only these (an API key's scopes), project_id: only there, cap: at most this role (a
    ticket's); None: no such bound. link: a share link that a ticket holds besides.
    """

    user_id: UUID
    username: str
    kind: Kind
    credential: UUID
    expires_at: datetime | None
    rights: frozenset[Right] | None = None
    project_id: UUID | None = None
    cap: Role | None = None
    link: Guest | None = None
