"""Which musical thing a place in a document is: a stem, a note, a step, a box of openDAW.

The shape of documents is in docs/protocol. A document may hold what it likes, so nothing here
believes that a thing has the fields it should have; what is not known is an entry of its root.
Names and references of things are in `directory.py`. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docstore.history.content import Path

EntityType: TypeAlias = Literal[
    "project",
    "text",
    "stem",
    "segment",
    "notes",
    "note",
    "tempo",
    "marker",
    "comment",
    "pattern",
    "instrument",
    "step",
    "asset",
    "message",
    "box",
    "entry",
    "root",
]
"""`notes` is all that is played in one segment, `pattern` and `project` one of their settings;
`entry` is one in a root that nobody has described, `root` such a root as a whole."""


class Entity(NamedTuple):
    """One thing of a document."""

    type: EntityType
    id: str
    path: Path
    """Where it is, from the root's name on."""


_ENTRY_TYPES: Final[Mapping[object, EntityType]] = {
    "project": "project",
    "stems": "stem",
    "segments": "segment",
    "events": "notes",
    "tempoMap": "tempo",
    "markers": "marker",
    "comments": "comment",
    "assets": "asset",
    "pattern": "pattern",
    "chat": "message",
    "boxes": "box",
}

_PATTERN_PARTS: Final[Mapping[object, EntityType]] = {"instruments": "instrument", "steps": "step"}

_TEXTS: Final = frozenset({"description", "notes"})

_IN_SEGMENT: Final = 3
"""Length of a path to one note or one step."""


def entity_of(path: Path) -> Entity:
    """The thing a path leads to or into. Raises ValueError for a path to nothing."""
    if not path:
        raise ValueError("a path begins with the name of a root")
    root = path[0]
    if len(path) == 1:
        return Entity("text" if root in _TEXTS else "root", str(root), path)
    if isinstance(path[1], int) and root != "chat":
        return Entity("entry", str(path[1]), path[:2])  # a list where nobody expects one
    if len(path) >= _IN_SEGMENT:
        inner: EntityType | None = (
            "note"
            if root == "events"
            else _PATTERN_PARTS.get(path[1])
            if root == "pattern"
            else None
        )
        if inner is not None:
            return Entity(inner, str(path[2]), path[:3])
    return Entity(_ENTRY_TYPES.get(root, "entry"), str(path[1]), path[:2])


# ---------------------------------------------------------------- what belongs to a place

_PLACES: Final[Mapping[EntityType, frozenset[Path]]] = {
    "stem": frozenset({("order",)}),
    "segment": frozenset({("stemId",), ("order",), ("start",), ("end",), ("position",), ("lane",)}),
    "tempo": frozenset({("at",), ("tick",), ("position",), ("time",)}),
    "marker": frozenset({("at",), ("tick",), ("position",), ("time",), ("order",)}),
    "comment": frozenset({("at",), ("stemId",), ("segmentId",), ("parent",), ("position",)}),
    "instrument": frozenset({("order",)}),
    "note": frozenset({("tick",), ("start",), ("position",)}),
    "entry": frozenset({("order",), ("index",), ("parent",)}),
}
"""Fields that say where a thing is, not what it is: a thing of which only these changed moved."""

_BOX_PLACES: Final[Mapping[str, frozenset[str]]] = {
    "NoteEventBox": frozenset({"1", "10"}),
    "ValueEventBox": frozenset({"1", "10", "11"}),
    "NoteRegionBox": frozenset({"1", "10"}),
    "AudioRegionBox": frozenset({"1", "10"}),
    "ValueRegionBox": frozenset({"1", "10"}),
    "TrackBox": frozenset({"1", "10"}),
    "AudioUnitBox": frozenset({"2", "11"}),
    "AudioBusBox": frozenset({"1"}),
    "MarkerBox": frozenset({"1", "2"}),
}
_EFFECT_PLACES: Final = frozenset({"1", "2"})


def is_place(entity: Entity, field: Path, box: str | None, *, number: bool) -> bool:
    """Whether a field says where the thing is.

    `box`: the class, if it is one; `number`: what the field holds is a number. The second field
    of a device is an effect's position in its chain, or an instrument's label.
    """
    if entity.type != "box":
        return field in _PLACES.get(entity.type, frozenset())
    if box is None or len(field) != 2 or field[0] != "fields":
        return False
    if box.endswith("DeviceBox"):
        return field[1] == "1" or (number and field[1] in _EFFECT_PLACES)
    return field[1] in _BOX_PLACES.get(box, frozenset())


# ---------------------------------------------------------------- openDAW's boxes

BOX_LABELS: Final[Mapping[str, str]] = {
    "NoteRegionBox": "16",
    "AudioRegionBox": "15",
    "ValueRegionBox": "15",
    "NoteClipBox": "12",
    "AudioClipBox": "12",
    "ValueClipBox": "12",
    "AudioBusBox": "6",
    "AudioFileBox": "3",
    "SoundfontFileBox": "1",
    "ProjectMetaBox": "1",
    "GrooveShuffleBox": "1",
    "WerkstattParameterBox": "2",
    "WerkstattSampleBox": "2",
    "MarkerBox": "4",
}
"""The field with the name that a person gave to a box."""

_REGION: Final[Mapping[str, str]] = {
    "1": "track",
    "10": "position",
    "11": "duration",
    "12": "loop offset",
    "13": "loop duration",
}
_CLIP: Final[Mapping[str, str]] = {
    "1": "track",
    "2": "events",
    "3": "index",
    "10": "duration",
    "11": "mute",
    "12": "label",
    "13": "hue",
}
_DEVICE: Final[Mapping[str, str]] = {"1": "host", "4": "enabled", "5": "minimized"}

_BOX_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "NoteEventBox": {
        "1": "events",
        "10": "position",
        "11": "duration",
        "20": "pitch",
        "21": "velocity",
        "22": "play count",
        "23": "play curve",
        "24": "cent",
        "25": "chance",
    },
    "ValueEventBox": {
        "1": "events",
        "10": "position",
        "11": "index",
        "12": "interpolation",
        "13": "value",
    },
    "NoteRegionBox": {
        **_REGION,
        "2": "events",
        "14": "event offset",
        "15": "mute",
        "16": "label",
        "17": "hue",
    },
    "ValueRegionBox": {**_REGION, "2": "events", "14": "mute", "15": "label", "16": "hue"},
    "AudioRegionBox": {
        **_REGION,
        "2": "file",
        "4": "time base",
        "5": "events",
        "7": "waveform offset",
        "8": "play mode",
        "14": "mute",
        "15": "label",
        "16": "hue",
        "17": "gain",
        "18": "fading",
    },
    "NoteClipBox": _CLIP,
    "ValueClipBox": _CLIP,
    "AudioClipBox": {**_CLIP, "2": "file", "5": "events"},
    "AudioUnitBox": {
        "1": "type",
        "11": "index",
        "12": "volume",
        "13": "panning",
        "14": "mute",
        "15": "solo",
        "25": "output",
        "26": "capture",
    },
    "AudioBusBox": {
        "2": "output",
        "4": "enabled",
        "5": "icon",
        "6": "label",
        "7": "color",
        "8": "minimized",
    },
    "TrackBox": {"1": "tracks", "2": "target", "10": "index", "11": "type", "20": "enabled"},
    "MarkerBox": {"1": "track", "2": "position", "3": "plays", "4": "label", "5": "hue"},
    "TimelineBox": {"10": "signature", "11": "loop area", "30": "duration", "31": "bpm"},
}
"""What the numbers mean, for the boxes that people look at; the rest keep their numbers."""


def field_name(entity: Entity, field: Path, box: str | None) -> str:
    """How a person would call a field of a thing; `field` is its path within the thing."""
    if entity.type != "box" or field[:1] != ("fields",) or len(field) == 1:
        return "/".join(map(str, field))
    number = str(field[1])
    known = _BOX_FIELDS.get(box or "", _DEVICE if (box or "").endswith("DeviceBox") else {})
    return "/".join((known.get(number, number), *map(str, field[2:])))


# ---------------------------------------------------------------- words

_NOUNS: Final[Mapping[EntityType, tuple[str, str]]] = {
    "project": ("project setting", "project settings"),
    "text": ("text", "texts"),
    "stem": ("stem", "stems"),
    "segment": ("segment", "segments"),
    "notes": ("list of notes", "lists of notes"),
    "note": ("note", "notes"),
    "tempo": ("tempo change", "tempo changes"),
    "marker": ("marker", "markers"),
    "comment": ("comment", "comments"),
    "pattern": ("pattern setting", "pattern settings"),
    "instrument": ("instrument", "instruments"),
    "step": ("step", "steps"),
    "asset": ("asset", "assets"),
    "message": ("message", "messages"),
    "box": ("box", "boxes"),
    "entry": ("entry", "entries"),
    "root": ("list or text", "lists or texts"),
}

_BOX_NOUNS: Final[Mapping[str, tuple[str, str]]] = {
    "NoteEventBox": ("note", "notes"),
    "ValueEventBox": ("automation point", "automation points"),
    "ValueEventCurveBox": ("automation curve", "automation curves"),
    "NoteRegionBox": ("note region", "note regions"),
    "AudioRegionBox": ("audio region", "audio regions"),
    "ValueRegionBox": ("automation region", "automation regions"),
    "AudioUnitBox": ("channel", "channels"),
    "AudioBusBox": ("bus", "buses"),
    "AuxSendBox": ("send", "sends"),
    "TrackBox": ("track", "tracks"),
    "MarkerBox": ("marker", "markers"),
    "AudioFileBox": ("audio file", "audio files"),
    "SoundfontFileBox": ("soundfont", "soundfonts"),
    "NoteClipBox": ("note clip", "note clips"),
    "AudioClipBox": ("audio clip", "audio clips"),
    "ValueClipBox": ("automation clip", "automation clips"),
    "PlayfieldSampleBox": ("sample", "samples"),
    "WarpMarkerBox": ("warp marker", "warp markers"),
    "SignatureEventBox": ("time signature", "time signatures"),
    "TimelineBox": ("timeline", "timelines"),
    "GrooveShuffleBox": ("groove", "grooves"),
    "ProjectMetaBox": ("project description", "project descriptions"),
    "SelectionBox": ("selection", "selections"),
    "UserInterfaceBox": ("view", "views"),
}


def nouns(entity_type: EntityType, box: str | None = None) -> tuple[str, str]:
    """One of these, and several of them."""
    if entity_type != "box" or box is None:
        return _NOUNS[entity_type]
    if box.endswith("DeviceBox"):
        return ("device", "devices")
    return _BOX_NOUNS.get(box, _NOUNS["box"])


_REST: Final = 6
ASIDE: Final = 7
"""The rank of what says nothing to a musician: what is selected, how windows stand, and boxes that
only hold others together."""

_RANKED: Final[tuple[frozenset[str], ...]] = (
    frozenset({"stem", "instrument", "AudioUnitBox", "TrackBox", "AudioBusBox", "AuxSendBox"}),
    frozenset(
        {
            "segment",
            "NoteRegionBox",
            "AudioRegionBox",
            "ValueRegionBox",
            "NoteClipBox",
            "AudioClipBox",
            "ValueClipBox",
        }
    ),
    frozenset({"notes", "note", "step", "NoteEventBox"}),
    frozenset({"ValueEventBox", "ValueEventCurveBox"}),
    frozenset({"DeviceBox", "PlayfieldSampleBox"}),
    frozenset(
        {
            "project",
            "pattern",
            "tempo",
            "TimelineBox",
            "SignatureEventBox",
            "GrooveShuffleBox",
            "ProjectMetaBox",
        }
    ),
)
_RANKS: Final = {name: rank for rank, names in enumerate(_RANKED) for name in names}


def family(box: str | None) -> str | None:
    """Boxes that are called the same are one family; None: nobody has a word for these."""
    if box is None:
        return None
    if box.endswith("DeviceBox"):
        return "DeviceBox"
    return box if box in _BOX_NOUNS else None


def rank(entity_type: EntityType, box: str | None = None) -> int:
    """How soon people want to hear of such things: 0 at once, ASIDE if there is nothing else."""
    if entity_type != "box":
        return _RANKS.get(entity_type, _REST)
    known = family(box)
    if known is None or known in {"SelectionBox", "UserInterfaceBox"}:
        return ASIDE
    return _RANKS.get(known, _REST)
