"""The changes that lead from one content to another, made to a third one. Pure.

A merge of documents has their operations; what one commit did to its parent is known by contents
only, and is to be done to a content that has gone another way since. Maps are changed key by key,
lists and texts piece by piece, so that what is not touched by both stays as it is.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, TypeVar

from docstore.history import align
from docstore.history.content import (
    Run,
    SharedArray,
    SharedMap,
    SharedText,
    SharedXmlElement,
    SharedXmlFragment,
    SharedXmlText,
    joined,
    node_digest,
)
from docstore.history.passages import words

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from docstore.history.content import Content, Node

Favour: TypeAlias = Literal["ours", "theirs"]
"""Which side stands where both changed the same place differently."""

_T = TypeVar("_T")

_EMPTY: Final[dict[type, Node]] = {
    SharedMap: SharedMap({}),
    SharedArray: SharedArray([]),
    SharedText: SharedText(()),
    SharedXmlFragment: SharedXmlFragment([]),
}


def applied(base: Content, theirs: Content, ours: Content, favour: Favour = "theirs") -> Content:
    """`ours` with everything changed that differs between `base` and `theirs`.

    What both added at one place of a list or a text stays, ours first. favour: who stands where
    both changed the same thing differently, to keep it or to take it away.
    """
    found: Content = {}
    for root in base.keys() | theirs.keys() | ours.keys():
        sides = base.get(root), theirs.get(root), ours.get(root)
        kinds = {type(side) for side in sides if side is not None}
        if len(kinds) == 1:
            # A root that is not there is an empty one of the type that the others see in it.
            empty = _EMPTY.get(kinds.pop())
            was, other, mine = (empty if side is None else side for side in sides)
            sides = was, other, mine
        node = _node(*sides, favour)
        if node is not None and node != _EMPTY.get(type(node)):
            found[root] = node
    return found


def _node(base: Node | None, theirs: Node | None, ours: Node | None, favour: Favour) -> Node | None:
    if theirs in (base, ours):
        return ours
    if ours == base:
        return theirs
    match base, theirs, ours:
        case SharedMap(was), SharedMap(other), SharedMap(mine):
            return SharedMap(_entries(was, other, mine, favour))
        case SharedArray(was), SharedArray(other), SharedArray(mine):
            return SharedArray(_nodes(was, other, mine, favour))
        case SharedText(was), SharedText(other), SharedText(mine):
            return SharedText(_runs(was, other, mine, favour))
        case SharedXmlFragment(was), SharedXmlFragment(other), SharedXmlFragment(mine):
            return SharedXmlFragment(_nodes(was, other, mine, favour))
        case SharedXmlText(was, had), SharedXmlText(other, has), SharedXmlText(mine, have):
            runs = _runs(was, other, mine, favour)
            return SharedXmlText(runs, _entries(had, has, have, favour))
        case (
            SharedXmlElement(tag, had, was),
            SharedXmlElement(second, has, other),
            SharedXmlElement(third, have, mine),
        ) if tag == second == third:
            attributes = _entries(had, has, have, favour)
            return SharedXmlElement(tag, attributes, _nodes(was, other, mine, favour))
        case _:
            return theirs if favour == "theirs" else ours


def _entries(
    base: dict[str, Node], theirs: dict[str, Node], ours: dict[str, Node], favour: Favour
) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for key in dict.fromkeys(chain(ours, theirs)):
        node = _node(base.get(key), theirs.get(key), ours.get(key), favour)
        if node is not None:
            found[key] = node
    return found


def _nodes(base: list[Node], theirs: list[Node], ours: list[Node], favour: Favour) -> list[Node]:
    became = [_became(base, side) for side in (theirs, ours)]
    keyed = [_keyed(side) for side in (base, theirs, ours)]
    for place, was in enumerate(base):
        other, mine = (found.get(place) for found in became)
        # What one side took away and the other changed is a piece that both changed.
        if (other is None and (mine is None or ours[mine] != was)) or (
            mine is None and other is not None and theirs[other] != was
        ):
            continue
        node = was
        if other is not None and mine is not None:
            merged = _node(was, theirs[other], ours[mine], favour)
            assert merged is not None, "all three are there"
            node = merged
        for side, at in zip(keyed, (place, other, mine), strict=True):
            if at is not None:
                side[at] = place, node
    return [node for _, node in _sequence(keyed[0], keyed[1], keyed[2], _key, favour)]


def _keyed(nodes: list[Node]) -> list[tuple[Hashable, Node]]:
    return [(node_digest(node), node) for node in nodes]


def _became(base: list[Node], side: list[Node]) -> dict[int, int]:
    """Which element of a side is which of the base: the same one, or one that it was made into."""
    found: dict[int, int] = {}
    at = shift = 0
    keys = ([node_digest(node) for node in each] for each in (base, side))
    for gap in [*align.changes(*keys), align.Change(len(base), len(base), len(side), len(side))]:
        found.update((kept, kept + shift) for kept in range(at, gap.start))
        at, shift = gap.stop, gap.end - gap.stop
        for old, new in align.pairs(base[gap.start : gap.stop], side[gap.begin : gap.end]):
            found[gap.start + old] = gap.begin + new
    return found


def _key(keyed: tuple[Hashable, object]) -> Hashable:
    return keyed[0]


def _runs(
    base: Sequence[Run], theirs: Sequence[Run], ours: Sequence[Run], favour: Favour
) -> tuple[Run, ...]:
    was, other, mine = (list(words(runs)) for runs in (base, theirs, ours))
    return joined(_sequence(was, other, mine, _key_of_run, favour))


def _key_of_run(run: Run) -> Hashable:
    insert = run.insert if isinstance(run.insert, str) else node_digest(run.insert)
    return insert, frozenset(run.attributes.items())


# ---------------------------------------------------------------- sequences


class _Edit(NamedTuple):
    """What one side put in the place of base[start:stop]."""

    start: int
    stop: int
    begin: int
    end: int
    is_theirs: bool


def _sequence(
    base: list[_T],
    theirs: list[_T],
    ours: list[_T],
    key: Callable[[_T], Hashable],
    favour: Favour,
) -> Iterator[_T]:
    """The edits of both sides; of a piece that each of them changed, the favoured one's."""
    was, other, mine = ([key(one) for one in side] for side in (base, theirs, ours))
    edits = [_Edit(*each, is_theirs=False) for each in align.changes(was, mine)]
    edits += [_Edit(*each, is_theirs=True) for each in align.changes(was, other)]
    edits.sort(key=lambda edit: (edit.start, edit.stop, edit.is_theirs))
    at = 0
    for met in _met(edits):
        start, stop = met[0].start, max(edit.stop for edit in met)
        yield from base[at:start]
        at = stop
        (mine_from, mine_to), (other_from, other_to) = (
            _span([edit for edit in met if edit.is_theirs == is_theirs], start, stop)
            for is_theirs in (False, True)
        )
        if mine_from is None:
            yield from theirs[other_from:other_to]
        elif other_from is None or mine[mine_from:mine_to] == other[other_from:other_to]:
            yield from ours[mine_from:mine_to]
        elif start == stop:
            yield from _added(
                (ours[mine_from:mine_to], mine[mine_from:mine_to]),
                (theirs[other_from:other_to], other[other_from:other_to]),
            )
        elif favour == "theirs":
            yield from theirs[other_from:other_to]
        else:
            yield from ours[mine_from:mine_to]
    yield from base[at:]


def _met(edits: list[_Edit]) -> Iterator[list[_Edit]]:
    """Edits that change the same piece, or add at the same place, together; others alone."""
    together: list[_Edit] = []
    end = -1
    for edit in edits:
        is_same_place = bool(together) and edit.start == edit.stop == end == together[0].start
        if together and not is_same_place and edit.start >= end:
            yield together
            together, end = [], -1
        together.append(edit)
        end = max(end, edit.stop)
    if together:
        yield together


def _span(edits: list[_Edit], start: int, stop: int) -> tuple[int | None, int]:
    """What a side has in the place of base[start:stop]; None: it changed nothing there."""
    if not edits:
        return None, 0
    first, last = edits[0], edits[-1]
    return first.begin - (first.start - start), last.end + (stop - last.stop)


def _added(
    mine: tuple[list[_T], list[Hashable]], other: tuple[list[_T], list[Hashable]]
) -> list[_T]:
    """What both added at one place; once, where one of them has at an end what the other added."""
    ours, our_keys = mine
    theirs, their_keys = other
    if their_keys in (our_keys[: len(theirs)], our_keys[-len(theirs) :]):
        return ours
    if our_keys in (their_keys[: len(ours)], their_keys[-len(ours) :]):
        return theirs
    return ours + theirs
