"""Who was at work when: rows of a journal grouped by author and pause, the newest first. Pure.

No group goes from one day (UTC) to the next: what somebody automates for weeks without a pause
would otherwise be one group, and had to be read whole to say when it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

Grouping: TypeAlias = Literal["author", "time", "none"]
"""Each author's rows, everybody's together, or each row by itself."""


class Stroke(NamedTuple):
    """A row of a journal without what it says."""

    at: datetime
    seq: int
    author: UUID | None
    size: int
    """Bytes of its update."""
    line: int
    """In which of several documents it is; those of two are never in one group."""


class Activity(NamedTuple):
    """A time of work without a pause."""

    line: int
    authors: tuple[UUID | None, ...]
    """Who worked, in order of appearance; None is nobody known."""
    start: datetime
    end: datetime
    numbers: Sequence[int]
    """The rows', in order of their times."""
    size: int
    """Bytes of the updates."""

    @property
    def place(self) -> tuple[datetime, int]:
        """By which activities are in order; no two have the same."""
        return self.end, self.numbers[-1]


def joins(older: datetime, newer: datetime, pause: timedelta) -> bool:
    """Whether two rows are of one time of work."""
    return newer - older <= pause and _day(older) == _day(newer)


def activity(strokes: Iterable[Stroke], pause: timedelta, grouping: Grouping) -> list[Activity]:
    """Rows grouped into times of work: two that are no more than `pause` apart are one."""
    groups: list[list[Stroke]] = []
    current: dict[tuple[int, UUID | None], list[Stroke]] = {}
    for stroke in sorted(strokes):
        key = stroke.line, stroke.author if grouping == "author" else None
        group = current.get(key)
        if group is None or grouping == "none" or not joins(group[-1].at, stroke.at, pause):
            group = current[key] = []
            groups.append(group)
        group.append(stroke)
    return sorted(map(_summed, groups), key=lambda found: found.place, reverse=True)


def _summed(group: Sequence[Stroke]) -> Activity:
    return Activity(
        group[0].line,
        tuple(dict.fromkeys(stroke.author for stroke in group)),
        group[0].at,
        group[-1].at,
        [stroke.seq for stroke in group],
        sum(stroke.size for stroke in group),
    )


def _day(moment: datetime) -> int:
    return int(moment.timestamp() // 86_400)
