"""Where the types belong that yrs cannot make, once everything around them is there. Pure.

They are made after the rest (`docstore/history/reach.py`). Until then two elements that differ only
in them look the same, and an alignment by likeness may take one for the other; from there nothing
that may still be done leads to what is wanted. So it goes by order: what is left of both sides
without those types is the same, element for element, and only what stands between two such
elements is to be found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from docstore.history import passages
from docstore.history.content import (
    Plain,
    Run,
    SharedArray,
    SharedMap,
    SharedText,
    SharedXmlElement,
    SharedXmlFragment,
    SharedXmlText,
    node_digest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docstore.history.content import Node

Unit: TypeAlias = "str | Node"
"""A character of a text, or an element."""


def is_odd(node: Unit) -> bool:
    """Whether yrs cannot make this in an array, a map or a text."""
    return isinstance(node, SharedXmlElement | SharedXmlText)


def pairs(have: Sequence[Unit], want: Sequence[Unit], *, odd: bool) -> list[tuple[int, int]] | None:
    """Which element is to become which, in order; every one that is there is in a pair.

    odd: these stand where yrs cannot make XML. None if more is missing than what yrs cannot make.
    """
    mine, wanted = _Gaps(have, odd=odd), _Gaps(want, odd=odd)
    if mine.rest != wanted.rest:
        return None
    found: list[tuple[int, int]] = []
    for at, (some, all_of_them) in enumerate(zip(mine.gaps, wanted.gaps, strict=True)):
        between = _subsequence(have, some, want, all_of_them)
        if between is None:
            return None
        found += between
        if at < len(mine.places):
            found.append((mine.places[at], wanted.places[at]))
    return found


def edits(have: Sequence[Run], want: Sequence[Run], *, odd: bool) -> list[passages.Edit] | None:
    """The same for a text: what to put in and what to change inside, from left to right."""
    mine, wanted = _units(have), _units(want)
    paired = pairs([unit for unit, _ in mine], [unit for unit, _ in wanted], odd=odd)
    if paired is None:
        return None
    found: list[passages.Edit] = []
    place = ordinal = begin = 0
    for i, j in [*paired, (len(mine), len(wanted))]:
        if missing := [run for _, run in wanted[begin:j]]:
            found.append(passages.Replace(place, 0, missing))
        if i == len(mine):
            break
        begin = j + 1
        old, new = mine[i][0], wanted[j][0]
        if isinstance(old, str) or isinstance(new, str):
            place += passages.size([mine[i][1]])
            continue
        if old != new:
            found.append(passages.Within(ordinal, old, new))
        place, ordinal = place + 1, ordinal + 1
    return found


def _units(runs: Sequence[Run]) -> list[tuple[Unit, Run]]:
    """Characters and what is embedded, each also as a run of its own."""
    found: list[tuple[Unit, Run]] = []
    for run in runs:
        if isinstance(run.insert, str):
            found += [(letter, Run(letter, run.attributes)) for letter in run.insert]
        else:
            found.append((run.insert, run))
    return found


class _Gaps:
    """A sequence, taken apart into what yrs can make and what stands between it."""

    def __init__(self, sequence: Sequence[Unit], *, odd: bool) -> None:
        self.rest: list[str | bytes] = []
        """What yrs can make, as it looks without what it cannot."""
        self.places: list[int] = []
        """Where that stands."""
        self.gaps: list[list[int]] = [[]]
        """Where the others stand: before, between and behind it."""
        for at, unit in enumerate(sequence):
            if odd and is_odd(unit):
                self.gaps[-1].append(at)
                continue
            self.rest.append(_look(unit))
            self.places.append(at)
            self.gaps.append([])


def _subsequence(
    have: Sequence[Unit], some: list[int], want: Sequence[Unit], all_of_them: list[int]
) -> list[tuple[int, int]] | None:
    """Which of those that are wanted are there already; None if that cannot be said."""
    if len(some) == len(all_of_them):
        # Also those that were just made, and are empty.
        return list(zip(some, all_of_them, strict=True))
    found: list[tuple[int, int]] = []
    left = iter(all_of_them)
    for i in some:
        look = _look(have[i])
        j = next((j for j in left if _look(want[j]) == look), None)
        if j is None:
            return None
        found.append((i, j))
    return found


def _look(unit: Unit) -> str | bytes:
    return unit if isinstance(unit, str) else node_digest(_without(unit))


def _without(node: Node) -> Node:
    """A node without what yrs cannot make within it, and without formatting, which comes last."""
    match node:
        case SharedMap(entries):
            return SharedMap(
                {key: _without(one) for key, one in entries.items() if not is_odd(one)}
            )
        case SharedArray(elements):
            return SharedArray([_without(one) for one in elements if not is_odd(one)])
        case SharedText(runs):
            return SharedText(_bare([run for run in runs if not is_odd(run.insert)]))
        case SharedXmlText(runs, attributes):
            return SharedXmlText(_bare(runs), _attributes(attributes))
        case SharedXmlFragment(children):
            return SharedXmlFragment([_without(child) for child in children])
        case SharedXmlElement(tag, attributes, children):
            return SharedXmlElement(
                tag, _attributes(attributes), [_without(child) for child in children]
            )
        case _:
            return node


def _attributes(attributes: dict[str, Node]) -> dict[str, Node]:
    return {
        key: one if isinstance(one, Plain) else _without(one) for key, one in attributes.items()
    }


def _bare(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Runs as characters and what is embedded only."""
    found: list[Run] = []
    for run in runs:
        insert = run.insert
        if not isinstance(insert, str):
            found.append(Run(_without(insert), {}))
        elif found and isinstance(last := found[-1].insert, str):
            found[-1] = Run(last + insert, {})
        else:
            found.append(Run(insert, {}))
    return tuple(found)
