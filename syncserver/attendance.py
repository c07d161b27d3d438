"""Who is in which room and what they came with: found by project, account, session or key (no I/O).

And when each of them has to go by the clock. Decides nothing; `watch` does.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from auth.credentials import Guest, Identity, Kind

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime
    from uuid import UUID

    from auth.permissions import Access
    from syncserver.connection import Code


class Place(StrEnum):
    """What one can be found by, besides a credential's kind."""

    PROJECT = "project"
    USER = "user"


class Visitor(Protocol):
    """Somebody in a room; `session.Session` implements it.

    who: what was shown, None for nothing. link: a share link brought besides. until: when `who` ends.
    """

    who: Identity | Guest | None
    link: Guest | None
    until: datetime | None

    @property
    def project_id(self) -> UUID:
        """Whose room it is."""
        ...

    @property
    def document_id(self) -> int:
        """Which of the project's branches."""
        ...

    def judged(self, access: Access, *, protected: bool) -> None:
        """It may do so much from now on. protected: nobody edits the branch."""
        ...

    def end(self, code: Code, reason: str) -> None:
        """Close with a reason."""
        ...


class Attendance:
    """See the module."""

    def __init__(self) -> None:
        self._by: dict[tuple[Place | Kind, UUID], set[Visitor]] = {}
        self._timed: set[Visitor] = set()
        self._earliest: datetime | None = None

    def add(self, visitor: Visitor) -> None:
        """Somebody has come in."""
        for key in _keys(visitor):
            self._by.setdefault(key, set()).add(visitor)
        ends = _ends(visitor)
        if ends:
            self._timed.add(visitor)
            self._earliest = min(ends if self._earliest is None else [*ends, self._earliest])

    def postpone(self, visitor: Visitor, until: datetime) -> None:
        """Somebody who is here may stay longer."""
        visitor.until = until
        self.add(visitor)

    def remove(self, visitor: Visitor) -> None:
        """Somebody has left; who never was here may leave, too."""
        self._timed.discard(visitor)
        for key in _keys(visitor):
            found = self._by.get(key)
            if found is not None:
                found.discard(visitor)
                if not found:
                    del self._by[key]

    def of(self, kind: Place | Kind, which: UUID) -> list[Visitor]:
        """Everybody with this project, account, session or key."""
        return list(self._by.get((kind, which), ()))

    def ids(self, kind: Place | Kind) -> list[UUID]:
        """Every project, account, session or key that somebody here has."""
        return [which for each, which in self._by if each == kind]

    def due(self, now: datetime) -> list[Visitor]:
        """Whose time, or whose link's, has come. Looks at everybody only when there may be somebody."""
        if self._earliest is None or now < self._earliest:
            return []
        ends = {one: _ends(one) for one in self._timed}
        still = [end for each in ends.values() for end in each if end > now]
        self._earliest = min(still, default=None)
        return [one for one, each in ends.items() if any(end <= now for end in each)]


def _keys(visitor: Visitor) -> Generator[tuple[Place | Kind, UUID]]:
    yield Place.PROJECT, visitor.project_id
    if isinstance(visitor.who, Identity):
        yield Place.USER, visitor.who.user_id
        yield visitor.who.kind, visitor.who.credential


def _ends(visitor: Visitor) -> list[datetime]:
    times = (visitor.until, visitor.link.expires_at if visitor.link else None)
    return [time for time in times if time is not None]
