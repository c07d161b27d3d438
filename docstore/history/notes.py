"""Notes in words: `pitch 60 at 2.1, velocity 90 → 20`, of openDAW's boxes and of packed lists.

A list is `[tick, duration, pitch, velocity, channel]`, the last two optional. What does not look
like a note is none, and is told as whatever it is. Pure.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from docstore.history.content import Plain
from docstore.history.directory import field

if TYPE_CHECKING:
    from collections.abc import Callable

    from docstore.history.content import Node, Path

Order: TypeAlias = tuple[float, float]
"""When, and how high."""

FIRST: Final[Order] = (-math.inf, -math.inf)

BOX: Final = "NoteEventBox"

_QUARTER: Final = 960
"""openDAW's ticks in a quarter note."""

_WHOLE: Final = 4 * _QUARTER

_BOX_PLACES: Final = {
    "position": "10",
    "duration": "11",
    "pitch": "20",
    "velocity": "21",
}

TOLD: Final[frozenset[Path]] = frozenset({("fields", place) for place in _BOX_PLACES.values()})
"""Fields of a box that `told` tells of."""

_SHORTEST, _LONGEST = 3, 5
"""Elements of a list that is a note."""


class Note(NamedTuple):
    """What is played. Position and duration in the ticks of whoever wrote it."""

    position: float
    duration: float
    pitch: float
    velocity: float | None
    channel: float | None


class Pair(NamedTuple):
    """A note before and after; None: it was not there, or is not any more."""

    before: Note | None
    after: Note | None

    @property
    def order(self) -> Order:
        """Where it belongs among others."""
        note = self.after or self.before
        return FIRST if note is None else (note.position, note.pitch)


def of_box(node: Node) -> Note | None:
    """A note of openDAW, from its box."""
    found = {name: _number(field(node, "fields", key)) for name, key in _BOX_PLACES.items()}
    position, duration, pitch = (found[name] for name in ("position", "duration", "pitch"))
    if position is None or pitch is None:
        return None
    return Note(position, duration or 0, pitch, found["velocity"], None)


def of_list(node: Node) -> Note | None:
    """A note of a segment, from its list."""
    value = node.value if isinstance(node, Plain) else None
    if not isinstance(value, list):
        return None
    given = cast("list[object]", value)
    numbers = [number for number in map(_number, given) if number is not None]
    if not _SHORTEST <= len(numbers) == len(given) <= _LONGEST:
        return None
    position, duration, pitch, *rest = numbers
    velocity, channel, *_ = *rest, None, None
    return Note(position, duration, pitch, velocity, channel)


def pair(
    before: Node | None, after: Node | None, read: Callable[[Node], Note | None]
) -> Pair | None:
    """What a change made of a note; None where one side is something else."""
    was, now = (None if node is None else read(node) for node in (before, after))
    if (was is None) != (before is None) or (now is None) != (after is None):
        return None
    return Pair(was, now)


def told(found: Pair, place: Callable[[float], str]) -> str:
    """A note in words, and what of it changed. place: how to say where a position is."""
    was, now = found.before or found.after, found.after or found.before
    if was is None or now is None:
        return "nothing"
    said = [
        f"pitch {_both(was.pitch, now.pitch, _short)} at {_both(was.position, now.position, place)}"
    ]
    if was.duration != now.duration:
        said.append(f"length {_both(was.duration, now.duration, _short)}")
    is_new = found.before is None or found.after is None
    if was.velocity != now.velocity or (is_new and now.velocity is not None):
        said.append(f"velocity {_both(was.velocity, now.velocity, _short)}")
    if was.channel != now.channel:
        said.append(f"channel {_both(was.channel, now.channel, _short)}")
    return ", ".join(said)


def _both(was: float | None, now: float | None, say: Callable[[float], str]) -> str:
    first, second = ("nothing" if side is None else say(side) for side in (was, now))
    return second if first == second else f"{first} → {second}"


def by_tick(position: float) -> str:
    """`tick 480`, where nobody knows how long a tick is."""
    return f"tick {_short(position)}"


def by_bar(signature: tuple[int, int]) -> Callable[[float], str]:
    """`2.1`, the second bar's first beat; `2.1+240`, that many of openDAW's ticks later."""
    beats, of = signature

    def say(position: float) -> str:
        bar, rest = divmod(position, _WHOLE * beats / of)
        beat, rest = divmod(rest, _WHOLE / of)
        return f"{int(bar) + 1}.{int(beat) + 1}" + (f"+{_short(rest)}" if rest else "")

    return say


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key by which `n2` is before `n10`."""
    return tuple(
        (len(part.lstrip("0")), part.lstrip("0")) if part.isdecimal() else (0, part)
        for part in _NUMBERS.split(name)
    )


_NUMBERS: Final = re.compile("([0-9]+)")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def _short(number: float) -> str:
    return f"{number:.4g}" if isinstance(number, float) and number % 1 else f"{number:.0f}"
