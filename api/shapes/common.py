"""What every shape is made of: text that is trimmed and checked, pages of lists, problems.

Requests refuse unknown fields and characters that nobody types; text is trimmed and put into one
Unicode form (NFC) before its length counts. Answers are camelCase with times in UTC. Knows text;
no I/O.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

NAME_LONGEST: Final = 200
DESCRIPTION_LONGEST: Final = 5000
PAGE_MOST: Final = 100
PAGE_USUAL: Final = 50

# Control characters (PostgreSQL's text cannot hold NUL, and nobody types the others), line
# separators, and the marks that turn the reading direction of everything behind them around.
NOT_IN_LINES: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
NOT_IN_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Refused(ValueError):
    """A value of the right type that is refused; `path` is where, as msgspec writes paths."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def documented(**schema: object) -> Meta:
    """For the OpenAPI document only: bounds that are checked after trimming, in __post_init__."""
    return Meta(extra_json_schema=schema)


class Page(msgspec.Struct, rename="camel"):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_MOST, description="Most items to answer.")] = (
        PAGE_USUAL
    )
    cursor: Annotated[
        str | None, Meta(description="`nextCursor` of the page before; left out: the first page.")
    ] = None


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """What went wrong (RFC 9457). `code` is stable; further members depend on it."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def line(path: str, text: str, *, least: int, most: int) -> str:
    """A text of one line, trimmed, in NFC, of `least` to `most` characters. Raises Refused."""
    text = plain(path, unicodedata.normalize("NFC", text.strip()), NOT_IN_LINES)
    return _sized(path, text, least, most)


def prose(path: str, text: str, *, most: int) -> str:
    """A text that may have several lines, trimmed, in NFC. Raises Refused."""
    text = plain(path, unicodedata.normalize("NFC", text.strip()), NOT_IN_TEXT)
    return _sized(path, text, 0, most)


def plain(path: str, text: str, unwanted: re.Pattern[str] = NOT_IN_LINES) -> str:
    """The text as it is, if nothing unwanted is in it. Raises Refused."""
    found = unwanted.search(text)
    if found:
        raise Refused(path, f"Character U+{ord(found[0]):04X} cannot be used here")
    return text


def camel(name: str) -> str:
    """A name of ours as JSON has it."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def utc(moment: datetime) -> datetime:
    """The same instant, written in UTC."""
    return moment.astimezone(UTC)


def _sized(path: str, text: str, least: int, most: int) -> str:
    if not least <= len(text) <= most:
        raise Refused(path, f"Expected `str` of {least} to {most} characters, got {len(text)}")
    return text
