"""The changes of a diff in numbers and in a line, with what a musician wants to know first.

Tracks and stems before segments, these before notes, automation, devices and settings. What is
selected, how windows stand and boxes that only hold others together are said where nothing else
changed. Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from docstore.history.content import SharedMap
from docstore.history.directory import UNIT
from docstore.history.entities import ASIDE, family, nouns, rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docstore.history.diff import Change, ChangeKind
    from docstore.history.entities import Entity, EntityType

LONGEST: Final = 8
"""Counts that a summary says before it says "and more"."""

_IN_PATTERN: Final = 3
"""Length of the path to a step or an instrument."""


class Count(NamedTuple):
    """How many things of one type, in one stem, underwent the same."""

    kind: ChangeKind
    type: EntityType
    box: str | None
    number: int
    holder: Entity | None
    holder_name: str | None

    @property
    def noun(self) -> str:
        """What they are called, so many of them."""
        return self.noun_of(self.number)

    def noun_of(self, number: int) -> str:
        """What these are called when there are so many of them."""
        one, several = nouns(self.type, self.box)
        return one if number == 1 else several

    def __str__(self) -> str:
        """In words."""
        said = f"{self.number:,} {self.noun} {self.kind}"
        if self.holder is None:
            return said
        return f"{said} in {self.holder_name or self.holder.id[:8]}"


def counted(changes: Sequence[Change]) -> tuple[Count, ...]:
    """Things that underwent the same, counted; notes by the note and not by the segment.

    In the order in which people want to hear of them; of boxes of one rank the most first, for
    they are in no order of their own.
    """
    found: Counter[tuple[ChangeKind, EntityType, str | None, Entity | None]] = Counter()
    held: dict[Entity, str | None] = {}
    told = {change.entity.path[:2] for change in changes if _is_in_pattern(change)}
    for change in changes:
        holder, name = change.holder, change.holder_name
        if change.entity.path in told and _is_empty(change):
            continue  # what is or was in it is counted
        if change.entity.type == "notes" and change.counts:
            if holder is None:  # of a segment without a stem
                holder, name = change.parent, change.name
            for kind, number in change.counts.items():
                found[kind, "note", None, holder] += number
        else:
            found[change.kind, change.entity.type, family(change.box), holder] += 1
        if holder is not None:
            held[holder] = name
    counts = [
        Count(kind, entity_type, box, number, holder, held.get(holder) if holder else None)
        for (kind, entity_type, box, holder), number in found.items()
    ]
    counts.sort(key=_place)
    return tuple(counts)


def _is_in_pattern(change: Change) -> bool:
    path = change.entity.path
    return path[0] == "pattern" and len(path) == _IN_PATTERN


def _is_empty(change: Change) -> bool:
    """Whether it is a map that came before all that is in it, or went after that."""
    node = change.before if change.after is None else change.after
    return change.kind in {"added", "removed"} and isinstance(node, SharedMap) and not node.entries


def _place(count: Count) -> tuple[int, bool, int]:
    is_box = count.type == "box"
    return rank(count.type, count.box), is_box, -count.number if is_box else 0


def in_words(counts: Sequence[Count]) -> str:
    """Counts in one line: `2 stems added, 14 notes changed in Bass`.

    Where that gets long, those of many stems or channels are said together: `1,104 notes added in
    18 channels`.
    """
    if not counts:
        return "nothing changed"
    said = [each for each in counts if rank(each.type, each.box) != ASIDE] or list(counts)
    words = [str(each) for each in said]
    if len(words) > LONGEST:
        words = _together(said)
    more = len(words) - LONGEST
    line = ", ".join(words[:LONGEST])
    return f"{line} and {more} more" if more > 0 else line


def _together(counts: Sequence[Count]) -> list[str]:
    """In words, those that differ in nothing but their holders said as one; in the same order."""
    groups: dict[tuple[ChangeKind, EntityType, str | None, bool], list[Count]] = {}
    for each in counts:
        key = (each.kind, each.type, each.box, each.holder is None)
        groups.setdefault(key, []).append(each)
    return [str(group[0]) if len(group) == 1 else _sum(group) for group in groups.values()]


def _sum(group: Sequence[Count]) -> str:
    first = group[0]
    number = sum(each.number for each in group)
    said = f"{number:,} {first.noun_of(number)} {first.kind}"
    types: list[EntityType] = [each.holder.type for each in group if each.holder is not None]
    place = nouns(types[0], UNIT if types[0] == "box" else None)[1]
    if any(each != types[0] for each in types):
        place = "places"
    return f"{said} in {len(group)} {place}"
