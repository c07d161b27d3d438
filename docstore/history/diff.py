"""What is different between two contents, in musical terms: by stem, segment, note, box.

A change names one entry of a root: a stem, the notes of a segment, one step of the pattern. What
is inside an entry are its fields. Where nothing differs nothing is named, so the changes are all
that leads from the first content to the second. Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from docstore.history import align
from docstore.history.content import Plain, SharedArray, SharedMap, node_digest
from docstore.history.counting import Count, counted, in_words
from docstore.history.directory import NO_SIGNATURE, Directory, box_class
from docstore.history.entities import Entity, entity_of, field_name, is_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from docstore.history.content import Content, Node, Path

ChangeKind: TypeAlias = Literal["added", "removed", "changed", "moved"]

KINDS: Final[tuple[ChangeKind, ...]] = ("added", "removed", "changed", "moved")

Touched: TypeAlias = "Mapping[str, AbstractSet[str] | None]"

_GONE: Final[Mapping[str, Node]] = {}
"""The entries of a map that is not there."""


class Field(NamedTuple):
    """Something within an entry that differs."""

    path: Path
    """From the entry on."""
    name: str
    """As people call it."""
    before: Node | None
    """None: it was not there."""
    after: Node | None
    """None: it is not there any more."""

    @property
    def kind(self) -> ChangeKind:
        """What happened to it; a field never moves."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


class Change(NamedTuple):
    """One thing that is not as it was."""

    kind: ChangeKind
    entity: Entity
    """Of a list's element, the position is that in the second content; of a removed one, that in
    the first."""
    name: str | None
    parent: Entity | None
    holder: Entity | None
    """The stem, instrument or channel it is in."""
    holder_name: str | None
    before: Node | None
    after: Node | None
    fields: tuple[Field, ...]
    """What differs within, when it was a map before and after; else it was replaced as a whole."""
    counts: Mapping[ChangeKind, int]
    """For the notes of a segment: how many of them."""
    box: str | None
    """The class of an openDAW box."""


class Diff(NamedTuple):
    """All that differs."""

    changes: tuple[Change, ...]
    counts: tuple[Count, ...]

    signature: tuple[int, int] = NO_SIGNATURE
    """Beats of a bar, and what they are of: to say where notes of openDAW are."""

    @property
    def summary(self) -> str:
        """In one line: `2 stems added, 14 notes changed in Bass`."""
        return in_words(self.counts)


def diff(before: Content, after: Content, within: Touched | None = None) -> Diff:
    """What leads from one content to another, ordered by root and key.

    within: where it is known that nothing else differs, this is what has to be looked at: by root
    the keys of its entries; None instead of keys: all of the root.
    """
    names = Directory(after, before)
    looked_at = within if within is not None else dict.fromkeys(before.keys() | after.keys())
    changes = tuple(
        change
        for root in sorted(looked_at, key=_root_order)
        for change in _of_root(root, before.get(root), after.get(root), names, looked_at[root])
    )
    has_notes = any(change.box == "NoteEventBox" for change in changes)
    return Diff(changes, counted(changes), names.signature if has_notes else NO_SIGNATURE)


_ORDER: Final = {
    root: place
    for place, root in enumerate(
        ("project", "description", "notes", "tempoMap", "markers", "stems", "segments", "events")
    )
}


def _root_order(root: str) -> tuple[int, str]:
    return _ORDER.get(root, len(_ORDER)), root


# ---------------------------------------------------------------- by entry


def _of_root(
    root: str,
    before: Node | None,
    after: Node | None,
    names: Directory,
    keys: AbstractSet[str] | None,
) -> Iterator[Change]:
    maps = _entries(before), _entries(after)
    if maps[0] is not None and maps[1] is not None:
        yield from _of_map((root,), maps[0], maps[1], names, keys)
    elif before == after:
        return
    elif isinstance(before, SharedArray | None) and isinstance(after, SharedArray | None):
        yield from _of_list(root, before, after, names)
    else:
        yield _change(entity_of((root,)), before, after, names)


def _entries(node: Node | None) -> Mapping[str, Node] | None:
    """A root that is not there is an empty one."""
    if node is None:
        return _GONE
    return node.entries if isinstance(node, SharedMap) else None


def _of_map(
    path: Path,
    before: Mapping[str, Node],
    after: Mapping[str, Node],
    names: Directory,
    keys: AbstractSet[str] | None = None,
) -> Iterator[Change]:
    for key in _differing(before, after, keys):
        was, now = before.get(key), after.get(key)
        inner = (*path, key)
        if inner in _SPLIT:
            yield from _of_parts(inner, was, now, names)
        else:
            yield _change(entity_of(inner), was, now, names)


def _of_parts(path: Path, was: Node | None, now: Node | None, names: Directory) -> Iterator[Change]:
    """By entry, also where the map itself is new or gone: it comes first or goes last, empty."""
    before, after = _entries(was), _entries(now)
    if before is None or after is None:
        yield _change(entity_of(path), was, now, names)
        return
    if was is None:
        yield _change(entity_of(path), None, SharedMap({}), names)
    yield from _of_map(path, before, after, names)
    if now is None:
        yield _change(entity_of(path), SharedMap({}), None, names)


def _differing(
    before: Mapping[str, Node], after: Mapping[str, Node], within: AbstractSet[str] | None
) -> list[str]:
    """Keys under which not the same stands, in order."""
    keys = before.keys() | after.keys() if within is None else within
    return sorted(
        key
        for key in keys
        if (was := before.get(key)) is not (now := after.get(key)) and was != now
    )


_SPLIT: Final = frozenset({("pattern", "instruments"), ("pattern", "steps")})
"""Maps within a root, each of whose entries is a thing of its own."""


def _of_list(
    root: str, before: SharedArray | None, after: SharedArray | None, names: Directory
) -> Iterator[Change]:
    was, now = before.elements if before else [], after.elements if after else []
    for gap in _gaps(was, now):
        old, new = was[gap.start : gap.stop], now[gap.begin : gap.end]
        if len(old) == len(new):
            paired = {place: place for place in range(len(old))}
        else:
            paired = dict(align.pairs(old, new))
        stay = {new_place: place for place, new_place in paired.items()}
        for place, node in enumerate(old):
            if place not in paired:
                yield _change(entity_of((root, gap.start + place)), node, None, names)
        for place, node in enumerate(new):
            first = old[stay[place]] if place in stay else None
            yield _change(entity_of((root, gap.begin + place)), first, node, names)


def _gaps(was: list[Node], now: list[Node]) -> list[align.Change]:
    """Where two lists differ. What is the same at their ends is not even hashed."""
    head, tail = align.common(was, now)
    first, second = (
        [node_digest(node) for node in side[head : len(side) - tail]] for side in (was, now)
    )
    return [align.Change(*(place + head for place in gap)) for gap in align.changes(first, second)]


def _change(entity: Entity, before: Node | None, after: Node | None, names: Directory) -> Change:
    node = before if after is None else after
    box = box_class(node) if entity.type == "box" else None
    fields: tuple[Field, ...] = ()
    counts: Mapping[ChangeKind, int] = {}
    kind: ChangeKind = "added" if before is None else "removed" if after is None else "changed"
    if isinstance(before, SharedMap) and isinstance(after, SharedMap):
        fields = tuple(_fields(entity, (), before.entries, after.entries, box))
        if all(_is_place(entity, each, box) for each in fields) and _is_as_long(before, after):
            kind = "moved"
    elif entity.type == "note" and _only_moved(before, after):
        kind = "moved"
    if entity.type == "notes":
        counts = _count_notes(before, after)
    if entity.path[0] == "chat" or isinstance(entity.path[-1], int):
        # Elements have no place of their own, under which they could be looked up.
        name, parent, holder = None, None, None
    else:
        name, parent, holder = names.name(entity), names.parent(entity), names.holder(entity)
    return Change(
        kind,
        entity,
        name,
        parent,
        holder,
        names.name(holder) if holder is not None else None,
        before,
        after,
        fields,
        counts,
        box,
    )


def _fields(
    entity: Entity,
    path: Path,
    before: Mapping[str, Node],
    after: Mapping[str, Node],
    box: str | None,
) -> Iterator[Field]:
    for key in sorted(before.keys() | after.keys(), key=_by_number):
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        inner = (*path, key)
        if isinstance(was, SharedMap) and isinstance(now, SharedMap):
            yield from _fields(entity, inner, was.entries, now.entries, box)
        else:
            yield Field(inner, field_name(entity, inner, box), was, now)


def _by_number(key: str) -> tuple[int, str]:
    """Numbered fields in the order of their numbers, as openDAW lists them."""
    return len(key) if key.isdecimal() else 0, key


def _is_place(entity: Entity, field: Field, box: str | None) -> bool:
    number = isinstance(field.after, Plain) and isinstance(field.after.value, int | float)
    return is_place(entity, field.path, box, number=number)


def _is_as_long(before: SharedMap, after: SharedMap) -> bool:
    """Whether what has a start and an end lasts as long as before; what has not, does."""
    lengths: list[float | None] = []
    for side in (before.entries, after.entries):
        start, end = side.get("start"), side.get("end")
        if end is None:
            lengths.append(None)
        elif (
            isinstance(start, Plain)
            and isinstance(end, Plain)
            and isinstance(start.value, int | float)
            and isinstance(end.value, int | float)
        ):
            lengths.append(end.value - start.value)
        else:
            return False
    return lengths[0] == lengths[1]


# ---------------------------------------------------------------- counting


def _count_notes(before: Node | None, after: Node | None) -> Mapping[ChangeKind, int]:
    was, now = _entries(before), _entries(after)
    if was is None or now is None:
        return {}
    found: Counter[ChangeKind] = Counter()
    for key in was.keys() | now.keys():
        old, new = was.get(key), now.get(key)
        if old is None:
            found["added"] += 1
        elif new is None:
            found["removed"] += 1
        elif old != new:
            found["moved" if _only_moved(old, new) else "changed"] += 1
    return {kind: found[kind] for kind in KINDS if found[kind]}


def _only_moved(before: Node | None, after: Node | None) -> bool:
    """Whether of a packed note, `[tick, duration, pitch, …]`, only the tick is another."""
    if not isinstance(before, Plain) or not isinstance(after, Plain):
        return False
    was, now = before.value, after.value
    return (
        isinstance(was, list)
        and isinstance(now, list)
        and len(was) > 1
        and Plain(was[1:]) == Plain(now[1:])
    )
