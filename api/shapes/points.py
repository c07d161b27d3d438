"""How a state of a document is named in a request: `live`, a commit, a tag, a branch, a moment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from api.shapes.common import Refused

LIVE: Final = "live"
_TAG: Final = "tag:"
_BRANCH: Final = "branch:"
_TIME: Final = "time:"

Place = Annotated[
    str,
    Meta(
        description="A commit's id, `tag:` and a tag's name, `branch:` and a branch's name (as it is now), "
        "`time:` and a moment (RFC 3339), or `live`: the document as it is now. `live` and moments "
        "are those of `branch`."
    ),
]
OfBranch = Annotated[
    str, Meta(min_length=1, max_length=100, description="The name of a branch; `main` if absent.")
]


class Point(NamedTuple):
    """A state of a document: at most one of the first four; with none of them, the live one."""

    commit: UUID | None = None
    tag: str | None = None
    branch: str | None = None
    time: datetime | None = None
    where: str = "$.time"
    """Where the time stands in the request."""


def point(path: str, text: str) -> Point:
    """What a text names. path: where it stands in the request. Raises Refused."""
    if text == LIVE:
        return Point()
    if text.startswith(_TAG):
        return Point(tag=text.removeprefix(_TAG))
    if text.startswith(_BRANCH):
        return Point(branch=text.removeprefix(_BRANCH))
    if text.startswith(_TIME):
        return Point(time=moment(path, text.removeprefix(_TIME)), where=path)
    try:
        return Point(commit=msgspec.convert(text, UUID))
    except msgspec.ValidationError as wrong:
        raise Refused(
            path, "Expected a commit's id, `tag:…`, `branch:…`, `time:…`, or `live`"
        ) from wrong


def moment(path: str, text: str) -> datetime:
    """A time of day with its zone (RFC 3339). Raises Refused. A number is no time."""
    try:
        return msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError as wrong:
        raise Refused(path, str(wrong)) from wrong
