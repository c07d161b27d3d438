"""How a word of the command line names a state of a document: as REST does. Pure.

`live`, a commit's id or how it begins, `tag:NAME`, `branch:NAME`, `time:WHEN`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

FORMS: Final = "live, a commit's id, tag:NAME, branch:NAME or time:WHEN"

SHORTEST: Final = 6
"""Characters of an id that stand for all of it, if no other one begins so."""

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BEGINS: Final = re.compile(rf"[0-9a-f-]{{{SHORTEST},35}}", re.IGNORECASE)


class Point(NamedTuple):
    """A state of a document: at most one of these; with none of them, the live one."""

    commit: UUID | None = None
    begins: str | None = None
    """How the id of a commit begins, in small letters."""
    tag: str | None = None
    branch: str | None = None
    time: datetime | None = None


def text(given: str) -> str:
    """A word of the command line that PostgreSQL can hold. Raises ValueError."""
    if "\0" in given or not _is_text(given):
        raise ValueError("not text")
    return given


def _is_text(given: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in given)


def point(given: str) -> Point:
    """What a word names. Raises ValueError."""
    kind, colon, rest = text(given).partition(":")
    if given == "live":
        return Point()
    if _ID.fullmatch(given):
        return Point(commit=UUID(given))
    if _BEGINS.fullmatch(given) and str(within(given)[0]).startswith(given.lower()):
        return Point(begins=given.lower())
    if not (colon and rest):
        raise ValueError(given)
    match kind:
        case "tag":
            return Point(tag=rest)
        case "branch":
            return Point(branch=rest)
        case "time":
            return Point(time=moment(rest))
        case _:
            raise ValueError(given)


def within(begins: str) -> tuple[UUID, UUID]:
    """The first and the last of the ids that begin so."""
    digits = begins.replace("-", "")
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def moment(given: str) -> datetime:
    """A time as ISO 8601 has it; in UTC where it names no zone. Raises ValueError."""
    found = datetime.fromisoformat(given)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
