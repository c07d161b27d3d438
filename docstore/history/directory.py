"""Names of the things of a document, what they belong to, and what they refer to.

References are looked up, never believed: an id may be of another type, lead nowhere, or in a
circle. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from docstore.history.content import Plain, SharedMap
from docstore.history.entities import BOX_LABELS, Entity, entity_of, field_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docstore.history.content import Content, Node, Path

_DEEPEST: Final = 32
"""Steps from a thing up to the stem that holds it; a circle of boxes ends here."""

_ADDRESS: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=/|\Z)")
"""The box in an openDAW pointer: `uuid` or `uuid/field/…`."""

LONGEST_NAME: Final = 200
"""Characters of a name that are told; whoever names a thing may write a novel."""

UNIT: Final = "AudioUnitBox"
"""A channel of openDAW: the only box that holds others as a stem does."""

NO_SIGNATURE: Final = (4, 4)
"""Beats of a bar and what they are of, where nobody says otherwise."""

_MOST_BEATS: Final = 1024

_UNIT_INPUT: Final = "/22"
"""The field of an openDAW channel into which its instrument or bus plays."""

_COLLECTIONS: Final = frozenset({"NoteEventCollectionBox", "ValueEventCollectionBox"})
_OF_COLLECTION: Final = {
    "NoteRegionBox": "2",
    "ValueRegionBox": "2",
    "AudioRegionBox": "5",
    "NoteClipBox": "2",
    "ValueClipBox": "2",
    "AudioClipBox": "5",
}
"""Which field of a region or clip points to what is played in it; nothing points the other way."""

_STEM: Final = {"stemId": "stems"}
_REFERENCES: Final[dict[object, dict[str, str]]] = {
    "segments": _STEM,
    "comments": {**_STEM, "segmentId": "segments", "parent": "comments"},
    "markers": _STEM,
}
"""By root: the fields that hold an id, and the root where it is one."""


class Reference(NamedTuple):
    """One thing that needs another."""

    path: Path
    """Where the reference is; an entry's own path if its key is the reference."""
    target: Path


class Thing(NamedTuple):
    """A thing, as people are told of it."""

    entity: Entity
    name: str | None = None
    """As people call it; None if nobody gave it a name, or it is not there."""
    box: str | None = None
    """The class of an openDAW box."""
    holder: Entity | None = None
    """The stem, instrument or channel it is in."""
    holder_name: str | None = None


class Place(NamedTuple):
    """A place in a document, as people are told of it."""

    thing: Thing
    field: str | None
    """What it is called within the thing; None: it is the thing."""


def at(content: Content, path: Path) -> Node | None:
    """What is at a path through maps, if anything is there."""
    node = content.get(str(path[0]))
    for key in path[1:]:
        if not isinstance(node, SharedMap) or not isinstance(key, str):
            return None
        node = node.entries.get(key)
    return node


def field(node: Node | None, *keys: str) -> object:
    """A plain value somewhere in a thing, whether it is a shared map or a plain object."""
    for place, key in enumerate(keys):
        if isinstance(node, Plain):
            value: object = node.value
            for rest in keys[place:]:
                value = value.get(rest) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType] (any value may stand there)
            return value  # pyright: ignore[reportUnknownVariableType]
        node = node.entries.get(key) if isinstance(node, SharedMap) else None
    return node.value if isinstance(node, Plain) else None


def box_class(node: Node | None) -> str | None:
    """The class of an openDAW box."""
    name = field(node, "name")
    return name if isinstance(name, str) else None


def pointed(value: object) -> str | None:
    """The box an openDAW pointer points to; a text that only looks like one is told by nobody."""
    found = _ADDRESS.match(value) if isinstance(value, str) else None
    return found.group() if found else None


def references(path: Path, node: Node) -> Iterator[Reference]:
    """What an entry of a root (`path`: root and key) refers to, alive or not."""
    root, key = path[0], path[1]
    if root == "boxes":
        yield from _pointers((*path, "fields"), _child(node, "fields"))
        return
    if root == "events":
        yield Reference(path, ("segments", key))
        return
    for name, where in _REFERENCES.get(root, {}).items():
        target = field(node, name)
        if isinstance(target, str) and target:
            inside = isinstance(node, SharedMap)
            yield Reference((*path, name) if inside else path, (where, target))


def _child(node: Node | None, key: str) -> Node | None:
    return node.entries.get(key) if isinstance(node, SharedMap) else None


def _pointers(path: Path, node: Node | None) -> Iterator[Reference]:
    if isinstance(node, SharedMap):
        for key, child in node.entries.items():
            yield from _pointers((*path, key), child)
    elif isinstance(node, Plain):
        box = pointed(node.value)
        if box is not None:
            yield Reference(path, ("boxes", box))


class Directory:
    """Looks things up in one content, or in the first of several that has them."""

    def __init__(self, *contents: Content) -> None:
        self._contents = contents
        self._regions: dict[str, str] | None = None
        self._units: dict[str, str] = {}
        self._holders: dict[Entity, Entity | None] = {}
        self._signature = NO_SIGNATURE

    def find(self, path: Path) -> Node | None:
        """What is at a path."""
        for content in self._contents:
            node = at(content, path)
            if node is not None:
                return node
        return None

    def name(self, entity: Entity) -> str | None:
        """How people call a thing: its own name; None if nobody gave it one."""
        if entity.type == "notes":
            return self.name(entity_of(("segments", entity.id)))
        if entity.type in {"project", "pattern", "step", "text", "root"}:
            return entity.id
        node = self.find(entity.path)
        if entity.type == "box":
            return self._box_name(entity.id, node)
        for key in ("name", "label", "title"):
            name = field(node, key)
            if isinstance(name, str) and name:
                return _short(name)
        return None

    def thing(self, entity: Entity) -> Thing:
        """A thing with all that people call it by."""
        holder = self.holder(entity)
        return Thing(
            entity,
            self.name(entity),
            self.box_class(entity),
            holder,
            None if holder is None else self.name(holder),
        )

    def place(self, path: Path) -> Place:
        """A place by its path. Raises ValueError for a path to nothing."""
        thing = self.thing(entity_of(path))
        inner = path[len(thing.entity.path) :]
        return Place(thing, field_name(thing.entity, inner, thing.box) if inner else None)

    @property
    def signature(self) -> tuple[int, int]:
        """Beats of a bar, and what they are of, as openDAW's timeline says it."""
        self._index()
        return self._signature

    def parent(self, entity: Entity) -> Entity | None:
        """What a thing belongs to, as it says itself."""
        if entity.type in {"notes", "note"}:
            return entity_of(("segments", entity.path[1]))
        if entity.type == "step":
            instrument, separator, _ = entity.id.partition(":")
            return entity_of(("pattern", "instruments", instrument)) if separator else None
        node = self.find(entity.path)
        if entity.type == "box":
            return self._box_parent(entity.id, node)
        for key, root in (("parent", "comments"), ("segmentId", "segments"), ("stemId", "stems")):
            if key in _REFERENCES.get(entity.path[0], {}):
                target = field(node, key)
                if isinstance(target, str) and target:
                    return entity_of((root, target))
        return None

    def holder(self, entity: Entity) -> Entity | None:
        """The stem, the instrument, or openDAW's channel that a thing is in, if it is in one."""
        above = self.parent(entity)
        if above is None:
            return None
        if above not in self._holders:
            self._holders[above] = self._holding(above)
        return self._holders[above]

    def _holding(self, thing: Entity) -> Entity | None:
        """A thing itself, or the next above it, that holds others."""
        above: Entity | None = thing
        for _ in range(_DEEPEST):
            if above is None:
                return None
            if above.type in {"stem", "instrument"}:
                return above
            if above.type == "box" and self.box_class(above) == UNIT:
                return above
            above = self.parent(above)
        return None

    def box_class(self, entity: Entity) -> str | None:
        """The class of a box; None for everything else."""
        return box_class(self.find(entity.path)) if entity.type == "box" else None

    def _box_name(self, uuid: str, node: Node | None) -> str | None:
        name = box_class(node)
        if name is None:
            return None
        if name == UNIT:
            self._index()
            return self._units.get(uuid)
        return _label(name, node)

    def _box_parent(self, uuid: str, node: Node | None) -> Entity | None:
        name = box_class(node)
        if name in _COLLECTIONS:
            self._index()
            above = (self._regions or {}).get(uuid)
        elif name == UNIT:
            return None  # a channel stands at the top
        else:
            above = pointed(field(node, "fields", "1"))
        return entity_of(("boxes", above)) if above is not None else None

    def _index(self) -> None:
        """Pointers the other way round, where only those tell. Read once, when first needed."""
        if self._regions is not None:
            return
        self._regions = {}
        for content in reversed(self._contents):
            boxes = content.get("boxes")
            if not isinstance(boxes, SharedMap):
                continue
            for uuid, node in boxes.entries.items():
                name = box_class(node)
                if name == "TimelineBox":
                    self._signature = _signature(node)
                elif name in _OF_COLLECTION:
                    collection = pointed(field(node, "fields", _OF_COLLECTION[name]))
                    if collection is not None:
                        self._regions[collection] = uuid
                elif name is not None and (name == "AudioBusBox" or name.endswith("DeviceBox")):
                    self._name_unit(name, node)

    def _name_unit(self, name: str, node: Node) -> None:
        host = field(node, "fields", "2" if name == "AudioBusBox" else "1")
        unit, label = pointed(host), _label(name, node)
        if unit is not None and label is not None and host == unit + _UNIT_INPUT:
            self._units[unit] = label


def _label(name: str, node: Node | None) -> str | None:
    places = (BOX_LABELS[name],) if name in BOX_LABELS else ("2", "3")
    if name not in BOX_LABELS and not name.endswith("DeviceBox"):
        return None
    for place in places:
        label = field(node, "fields", place)
        if isinstance(label, str) and label:
            return _short(label)
    return None


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _signature(timeline: Node) -> tuple[int, int]:
    beats, of = (_beats(field(timeline, "fields", "10", part)) for part in ("1", "2"))
    return NO_SIGNATURE if beats is None or of is None else (beats, of)


def _beats(value: object) -> int | None:
    if isinstance(value, int | float) and 1 <= value <= _MOST_BEATS:
        return int(value)
    return None
