"""Which parts of two sequences are the same, and which take the place of which. Pure.

Not always the least possible difference (that can take the square of the length), but a small one,
and always a correct one. Within `bounded`, the whole of what is aligned may take no more than so
much effort: what comes after that is aligned in time proportional to its length. Effort is counted,
not timed, so the same is always aligned in the same way.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from contextvars import ContextVar
from math import isqrt
from typing import TYPE_CHECKING, Final, NamedTuple

from docstore.history.content import (
    Plain,
    SharedArray,
    SharedMap,
    SharedText,
    SharedXmlElement,
    SharedXmlFragment,
    SharedXmlText,
    Subdocument,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterable, Sequence

    from docstore.history.content import Node, Run

_MOST_EDITS: Final = 400
"""Single insertions and deletions that are searched for; the search takes the square of these."""

_LEAST_EDITS: Final = 8
"""As many are searched for when there is no effort left."""

_MOST_PAIRS: Final = 2_500
"""Comparisons of nodes with each other, of some microseconds each."""

EFFORT: Final = 1_000_000
"""Steps of a search, of less than a microsecond each, that one piece of work may take."""

_LOOK: Final = 16
"""Parts of a node that are looked at for the effort of one step of a search."""

_BLOCK: Final = 256
"""Elements that are compared at once where much is the same."""


class _Effort:
    """What is left of what a piece of work may take."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, steps: int) -> None:
        self.left = max(0, self.left - steps)


_effort: Final[ContextVar[_Effort | None]] = ContextVar("effort", default=None)


@contextlib.contextmanager
def bounded(effort: int = EFFORT) -> Generator[None]:
    """All that is aligned within takes no more than this; a bound that is there already stays."""
    if _effort.get() is not None:
        yield
        return
    token = _effort.set(_Effort(effort))
    try:
        yield
    finally:
        _effort.reset(token)


class Change(NamedTuple):
    """What stands at [start, stop) becomes what is wanted at [begin, end)."""

    start: int
    stop: int
    begin: int
    end: int


def changes(have: Sequence[Hashable], want: Sequence[Hashable]) -> list[Change]:
    """What to replace so that one sequence becomes the other, from left to right.

    Nothing that touches: between two changes, something stays.
    """
    found = _changes(Change(0, len(have), 0, len(want)), have, want, _shortest(have, want))
    return _joined(found)


def _changes(
    whole: Change,
    have: Sequence[Hashable],
    want: Sequence[Hashable],
    kept: list[tuple[int, int, int]] | None,
) -> Iterable[Change]:
    """The gaps between what is kept; if that is not known, between what is unique in both."""
    if kept is not None:
        yield from _gaps(whole, kept)
        return
    anchors = _anchors(have, want)
    if not anchors:
        yield whole  # which was searched just now
        return
    for gap in _gaps(whole, [(i, j, 1) for i, j in anchors]):
        inner_have, inner_want = have[gap.start : gap.stop], want[gap.begin : gap.end]
        within = _shortest(inner_have, inner_want)
        if within is None:
            yield gap
        else:
            yield from _gaps(gap, [(i + gap.start, j + gap.begin, n) for i, j, n in within])


def _gaps(whole: Change, kept: Iterable[tuple[int, int, int]]) -> Iterable[Change]:
    start, begin = whole.start, whole.begin
    for i, j, length in [*kept, (whole.stop, whole.end, 0)]:
        if i > start or j > begin:
            yield Change(start, i, begin, j)
        start, begin = i + length, j + length


def _joined(found: Iterable[Change]) -> list[Change]:
    whole: list[Change] = []
    for change in found:
        if whole and whole[-1].stop == change.start and whole[-1].end == change.begin:
            whole[-1] = Change(whole[-1].start, change.stop, whole[-1].begin, change.end)
        else:
            whole.append(change)
    return whole


def common(have: Sequence[Hashable], want: Sequence[Hashable]) -> tuple[int, int]:
    """How much is the same at the start, and at the end of what is left of it."""
    most = min(len(have), len(want))
    head = 0
    while head + _BLOCK <= most and have[head : head + _BLOCK] == want[head : head + _BLOCK]:
        head += _BLOCK
    while head < most and have[head] == want[head]:
        head += 1
    tail, most = 0, most - head
    i, j = len(have), len(want)
    while tail + _BLOCK <= most and have[i - _BLOCK : i] == want[j - _BLOCK : j]:
        tail, i, j = tail + _BLOCK, i - _BLOCK, j - _BLOCK
    while tail < most and have[i - 1] == want[j - 1]:
        tail, i, j = tail + 1, i - 1, j - 1
    return head, tail


def _shortest(
    have: Sequence[Hashable], want: Sequence[Hashable]
) -> list[tuple[int, int, int]] | None:
    """What is kept (place, place, length) with the fewest edits; None if those are many."""
    head, tail = common(have, want)
    i, j = len(have) - tail, len(want) - tail
    middle = _fewest(have[head:i], want[head:j])
    if middle is None:
        return None
    return [(0, 0, head), *((a + head, b + head, 1) for a, b in middle), (i, j, tail)]


def _fewest(have: Sequence[Hashable], want: Sequence[Hashable]) -> list[tuple[int, int]] | None:
    """Pairs that are kept, by Myers' greedy search: how far one gets on each diagonal."""
    rows, columns = len(have), len(want)
    if not rows or not columns:
        return []
    effort = _effort.get()
    most = min(rows + columns, _MOST_EDITS)
    if effort is not None:
        # Each edit more looks at one diagonal more: half the square of them.
        most = min(most, max(_LEAST_EDITS, isqrt(2 * effort.left)))
    if abs(rows - columns) > most:
        return None
    reach: dict[int, int] = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(most + 1):
        trail.append(dict(reach))
        if effort is not None:
            effort.spend(edits + 1)
        lowest = -edits + 2 * max(0, edits - columns)
        highest = edits - 2 * max(0, edits - rows)
        for diagonal in range(lowest, highest + 1, 2):
            row = _step(reach, diagonal, edits)
            column = row - diagonal
            while row < rows and column < columns and have[row] == want[column]:
                row += 1
                column += 1
            reach[diagonal] = row
            if row >= rows and column >= columns:
                return _walked(trail, rows, columns)
    return None


def _step(reach: dict[int, int], diagonal: int, edits: int) -> int:
    """Where to stand after one more edit: an insertion, or a deletion, whichever gets further."""
    inserted = reach.get(diagonal + 1, -1)
    deleted = reach.get(diagonal - 1, -1)
    if diagonal == -edits or (diagonal != edits and deleted < inserted):
        return inserted
    return deleted + 1


def _walked(trail: list[dict[int, int]], row: int, column: int) -> list[tuple[int, int]]:
    """The way back from the end: every diagonal step is a pair that is kept."""
    kept: list[tuple[int, int]] = []
    for edits in range(len(trail) - 1, -1, -1):
        diagonal = row - column
        start = _step(trail[edits], diagonal, edits)
        while row > start and column > start - diagonal:
            row, column = row - 1, column - 1
            kept.append((row, column))
        if not edits:
            break
        inserted = trail[edits].get(diagonal + 1, -1) == start and (
            diagonal == -edits or (diagonal != edits and trail[edits].get(diagonal - 1, -1) < start)
        )
        row, column = (start, start - diagonal - 1) if inserted else (start - 1, start - diagonal)
    kept.reverse()
    return kept


def _anchors(have: Sequence[Hashable], want: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pairs of what is there only once on each side, as many as stand in the same order."""
    mine, theirs = _once(have), _once(want)
    pairs = [(i, theirs[one]) for one, i in mine.items() if one in theirs]
    ends: list[int] = []  # the smallest place on which an ascending row of that length ends
    rows: list[int] = []  # and which pair that is
    before: list[int] = []
    for at, (_, j) in enumerate(pairs):
        place = bisect_left(ends, j)
        before.append(rows[place - 1] if place else -1)
        ends[place : place + 1] = [j]
        rows[place : place + 1] = [at]
    ascending: list[tuple[int, int]] = []
    at = rows[-1] if rows else -1
    while at >= 0:
        ascending.append(pairs[at])
        at = before[at]
    ascending.reverse()
    return ascending


def _once(sequence: Sequence[Hashable]) -> dict[Hashable, int]:
    found: dict[Hashable, int] = {}
    for at, one in enumerate(sequence):
        found[one] = -1 if one in found else at
    return {one: at for one, at in found.items() if at >= 0}


# ---------------------------------------------------------------- which becomes which


def same_kind(have: Node | str, want: Node | str) -> bool:
    """Whether one can be changed into the other from within."""
    if type(have) is not type(want) or isinstance(have, Plain | Subdocument | str):
        return False
    if isinstance(have, SharedXmlElement) and isinstance(want, SharedXmlElement):
        return have.tag == want.tag
    return True


def pairs(have: Sequence[Node | str], want: Sequence[Node | str]) -> list[tuple[int, int]]:
    """Which of these shared types is to become which, in order: the likest of the same kind."""
    if len(have) * len(want) > _MOST_PAIRS or not _affordable(have, want):
        return _pairs_by_kind(have, want)
    best = [[0] * (len(want) + 1) for _ in range(len(have) + 1)]
    alike = [[_likeness(one, other) for other in want] for one in have]
    for i in range(len(have) - 1, -1, -1):
        for j in range(len(want) - 1, -1, -1):
            paired = alike[i][j] + best[i + 1][j + 1] if alike[i][j] else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(have) and j < len(want):
        if alike[i][j] and best[i][j] == alike[i][j] + best[i + 1][j + 1]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _affordable(have: Sequence[Node | str], want: Sequence[Node | str]) -> bool:
    """Whether there is effort left to compare each with each; it is spent then."""
    effort = _effort.get()
    if effort is None:
        return True
    mine, theirs = (sum(1 + _parts(each) for each in side) for side in (have, want))
    steps = (mine * len(want) + theirs * len(have)) // _LOOK
    if steps > effort.left:
        return False
    effort.spend(steps)
    return True


def _parts(node: Node | str) -> int:
    """How much there is to look at in a node, without what is within that."""
    match node:
        case SharedMap(inner) | SharedArray(inner) | SharedXmlFragment(inner):
            return len(inner)
        case SharedText(runs):
            return len(runs) + sum(len(run.insert) for run in runs if isinstance(run.insert, str))
        case SharedXmlElement():
            return len(node.attributes) + len(node.children)
        case SharedXmlText():
            return len(node.attributes) + len(node.runs)
        case _:
            return 0


def _pairs_by_kind(have: Sequence[Node | str], want: Sequence[Node | str]) -> list[tuple[int, int]]:
    """The same for many: by their order alone."""
    found: list[tuple[int, int]] = []
    j = 0
    for i, one in enumerate(have):
        if isinstance(one, Plain | Subdocument | str):
            continue  # nothing becomes of these
        at = next((k for k in range(j, min(len(want), j + 100)) if same_kind(one, want[k])), None)
        if at is not None:
            found.append((i, at))
            j = at + 1
    return found


_SAME: Final = 8
"""What one thing that is the same weighs, against being of the same kind."""


def _likeness(have: Node | str, want: Node | str) -> int:
    """How much of one is found in the other; 0 if it cannot become the other at all."""
    if not same_kind(have, want):
        return 0
    match have, want:
        case (SharedMap(mine), SharedMap(theirs)):
            return 1 + _same_entries(mine, theirs)
        case (SharedText(mine), SharedText(theirs)):
            return 1 + _same_text(mine, theirs)
        case (SharedArray(mine), SharedArray(theirs)):
            return 1 + _same_elements(mine, theirs)
        case (SharedXmlFragment(mine), SharedXmlFragment(theirs)):
            return 1 + _same_elements(mine, theirs)
        case (SharedXmlElement(), SharedXmlElement()):
            return (
                1
                + _same_entries(have.attributes, want.attributes)
                + _same_elements(have.children, want.children)
            )
        case (SharedXmlText(), SharedXmlText()):
            return (
                1
                + _same_text(have.runs, want.runs)
                + _same_entries(have.attributes, want.attributes)
            )
        case _:
            return 1


def _same_entries(mine: dict[str, Node], theirs: dict[str, Node]) -> int:
    same = sum(_SAME for key, node in mine.items() if theirs.get(key) == node)
    named = "id" in mine and mine["id"] == theirs.get("id")
    return same + (_SAME * 100 if named else 0)


def _same_elements(mine: list[Node], theirs: list[Node]) -> int:
    return sum(_SAME for one, other in zip(mine, theirs, strict=False) if one == other)


def _same_text(mine: tuple[Run, ...], theirs: tuple[Run, ...]) -> int:
    first = "".join(run.insert for run in mine if isinstance(run.insert, str))
    second = "".join(run.insert for run in theirs if isinstance(run.insert, str))
    return sum(common(first, second))
