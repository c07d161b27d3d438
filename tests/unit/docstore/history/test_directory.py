"""Names, parents and references, also where somebody wrote nonsense."""

from __future__ import annotations

from typing import Any

import pytest

from docstore.history.content import Plain, SharedMap
from docstore.history.directory import (
    LONGEST_NAME,
    Directory,
    Place,
    Reference,
    Thing,
    at,
    field,
    pointed,
    references,
)
from docstore.history.entities import entity_of
from tests.unit.docstore.history.contents import box, of, shared, uuid

SONG = of(
    stems={"s1": {"name": "Bass", "order": "a"}},
    segments={"g1": {"name": "Intro", "stemId": "s1"}, "lost": {"stemId": 3}},
    events={"g1": {"n1": [0, 480, 60, 0.5, 0]}},
    comments={
        "c1": {"text": "louder", "segmentId": "g1"},
        "c2": {"text": "no", "parent": "c1", "segmentId": "g1"},
        "plain": Plain({"text": "!", "stemId": "s1"}),
    },
    pattern={"instruments": {"kick": {"name": "Kick"}}, "steps": {"kick:4": 1}},
)

CHANNEL, TRACK, REGION, LIST, NOTE, TAPE, BUS = map(uuid, range(7))
OPENDAW = of(
    boxes={
        CHANNEL: box("AudioUnitBox", _1="instrument", _2=f"{uuid(90)}/20"),
        TAPE: box("TapeDeviceBox", _1=f"{CHANNEL}/22", _2="Tambourine", _3="Tape"),
        uuid(7): box("DelayDeviceBox", _1=f"{CHANNEL}/23", _2=0, _3="Echo"),
        TRACK: box("TrackBox", _1=f"{CHANNEL}/20", _2=CHANNEL),
        REGION: box("NoteRegionBox", _1=f"{TRACK}/3", _2=f"{LIST}/2", _16="Chorus"),
        LIST: box("NoteEventCollectionBox"),
        NOTE: box("NoteEventBox", _1=f"{LIST}/1", _10=0),
        BUS: box("AudioBusBox", _2=f"{uuid(8)}/22", _6="Output"),
        uuid(8): box("AudioUnitBox", _1="output"),
    }
)


def test_things_are_called_what_people_called_them() -> None:
    names = Directory(SONG)
    assert names.name(entity_of(("stems", "s1"))) == "Bass"
    assert names.name(entity_of(("events", "g1"))) == "Intro"
    assert names.name(entity_of(("segments", "lost"))) is None
    assert names.name(entity_of(("segments", "unknown"))) is None
    assert names.name(entity_of(("project", "tempo"))) == "tempo"
    assert names.name(entity_of(("pattern", "instruments", "kick"))) == "Kick"


def test_what_is_gone_is_looked_up_where_it_was() -> None:
    names = Directory(of(stems={"s1": {"name": "New"}}), SONG)
    assert names.name(entity_of(("stems", "s1"))) == "New"
    assert names.name(entity_of(("segments", "g1"))) == "Intro"


def test_a_note_is_in_a_segment_and_a_segment_in_a_stem() -> None:
    names = Directory(SONG)
    note = entity_of(("events", "g1", "n1"))
    segment = entity_of(("segments", "g1"))
    assert names.parent(note) == segment
    assert names.parent(segment) == names.holder(note) == entity_of(("stems", "s1"))
    assert names.parent(entity_of(("comments", "c2"))) == entity_of(("comments", "c1"))
    assert names.holder(entity_of(("comments", "c2"))) == entity_of(("stems", "s1"))
    assert names.holder(entity_of(("comments", "plain"))) == entity_of(("stems", "s1"))
    assert names.parent(entity_of(("pattern", "steps", "kick:4"))) == entity_of(
        ("pattern", "instruments", "kick")
    )
    assert names.parent(entity_of(("stems", "s1"))) is None
    assert names.parent(entity_of(("segments", "lost"))) is None


def test_openDAWs_notes_are_in_the_channel_of_their_region() -> None:
    names = Directory(OPENDAW)
    note, channel = entity_of(("boxes", NOTE)), entity_of(("boxes", CHANNEL))
    assert names.parent(note) == entity_of(("boxes", LIST))
    assert names.parent(entity_of(("boxes", LIST))) == entity_of(("boxes", REGION))
    assert names.holder(note) == channel
    assert names.parent(channel) is None
    assert names.name(channel) == "Tambourine"
    assert names.name(entity_of(("boxes", uuid(8)))) == "Output"
    assert names.name(entity_of(("boxes", REGION))) == "Chorus"
    assert names.name(entity_of(("boxes", uuid(7)))) == "Echo"
    assert names.name(note) is None
    assert names.box_class(note) == "NoteEventBox"
    assert names.box_class(entity_of(("stems", "s1"))) is None


def test_who_is_in_a_circle_is_in_nothing() -> None:
    one, two = uuid(1), uuid(2)
    names = Directory(
        of(
            comments={"a": {"parent": "b"}, "b": {"parent": "a"}, "self": {"parent": "self"}},
            boxes={one: box("TrackBox", _1=two), two: box("TrackBox", _1=one)},
        )
    )
    assert names.holder(entity_of(("comments", "a"))) is None
    assert names.holder(entity_of(("comments", "self"))) is None
    assert names.holder(entity_of(("boxes", one))) is None


def test_a_place_is_told_with_all_that_people_call_it_by() -> None:
    names = Directory(OPENDAW)
    note = names.place(("boxes", NOTE, "fields", "20"))
    assert note.field == "pitch"
    channel = entity_of(("boxes", CHANNEL))
    assert note.thing == Thing(
        entity_of(("boxes", NOTE)), None, "NoteEventBox", channel, names.name(channel)
    )
    assert names.name(channel) is not None
    intro = Directory(SONG).place(("events", "g1", "n1"))
    bass = entity_of(("stems", "s1"))
    assert intro == Place(Thing(entity_of(("events", "g1", "n1")), None, None, bass, "Bass"), None)
    gone = Directory().place(("stems", "s1", "fx", "gain"))
    assert gone == Place(Thing(bass), "fx/gain")
    assert Directory(of(chat=("hi",))).place(("chat", 0, "text")).field == "text"


def test_a_long_name_is_told_short() -> None:
    boxes = {TAPE: box("TapeDeviceBox", _2="b" * 1000)}
    names = Directory(of(stems={"s": {"name": "a" * 1000}}, boxes=boxes))
    assert names.name(entity_of(("stems", "s"))) == "a" * (LONGEST_NAME - 1) + "…"
    assert names.name(entity_of(("boxes", TAPE))) == "b" * (LONGEST_NAME - 1) + "…"


def test_notes_in_a_clip_are_in_its_channel() -> None:
    clip = {uuid(50): box("NoteClipBox", _1=f"{TRACK}/4", _2=f"{uuid(51)}/2", _12="Fill")}
    events = {uuid(51): box("NoteEventCollectionBox")}
    note = {uuid(52): box("NoteEventBox", _1=f"{uuid(51)}/1")}
    boxes = shared(clip | events | note)
    entries = OPENDAW["boxes"]
    assert isinstance(boxes, SharedMap)
    assert isinstance(entries, SharedMap)
    names = Directory({"boxes": SharedMap({**entries.entries, **boxes.entries})})
    assert names.holder(entity_of(("boxes", uuid(52)))) == entity_of(("boxes", CHANNEL))
    assert names.name(entity_of(("boxes", uuid(50)))) == "Fill"


@pytest.mark.parametrize(
    ("said", "signature"),
    [
        ({"1": 3, "2": 4}, (3, 4)),
        ({"1": 7.0, "2": 8.0}, (7, 8)),
        ({"1": 0, "2": 4}, (4, 4)),
        ({"1": float("nan"), "2": 4}, (4, 4)),
        ({"1": 1e300, "2": 4}, (4, 4)),
        ({"1": "3", "2": 4}, (4, 4)),
        ("3/4", (4, 4)),
    ],
)
def test_the_timeline_says_how_many_beats_a_bar_has(said: Any, signature: tuple[int, int]) -> None:
    timeline = of(boxes={uuid(60): box("TimelineBox", _10=said)})
    assert Directory(timeline).signature == signature
    assert Directory(of()).signature == (4, 4)


def test_nonsense_is_no_name_and_no_parent() -> None:
    names = Directory(
        of(
            stems=3,
            segments={"g": [1], "h": {"name": {"deep": 1}, "stemId": {}}},
            boxes={"u": "text"},
        )
    )
    for path in (("stems", "x"), ("segments", "g"), ("segments", "h"), ("boxes", "u")):
        assert names.name(entity_of(path)) is None
        assert names.parent(entity_of(path)) is None
        assert names.holder(entity_of(path)) is None


def test_references_of_an_entry() -> None:
    def found(root: str, key: str) -> set[Reference]:
        node = at(SONG, (root, key))
        assert node is not None
        return set(references((root, key), node))

    assert found("segments", "g1") == {Reference(("segments", "g1", "stemId"), ("stems", "s1"))}
    assert found("segments", "lost") == set()
    assert found("events", "g1") == {Reference(("events", "g1"), ("segments", "g1"))}
    assert found("comments", "c2") == {
        Reference(("comments", "c2", "segmentId"), ("segments", "g1")),
        Reference(("comments", "c2", "parent"), ("comments", "c1")),
    }
    # In a plain object nothing can be changed on its own.
    assert found("comments", "plain") == {Reference(("comments", "plain"), ("stems", "s1"))}
    assert found("stems", "s1") == set()


def test_openDAWs_pointers_are_references_at_every_depth() -> None:
    node = shared(box("X", _1=f"{TRACK}/3", _2="words", _30={"1": TAPE, "2": None}))
    assert set(references(("boxes", "u"), node)) == {
        Reference(("boxes", "u", "fields", "1"), ("boxes", TRACK)),
        Reference(("boxes", "u", "fields", "30", "1"), ("boxes", TAPE)),
    }


def test_what_only_looks_like_a_pointer_is_none() -> None:
    assert pointed(uuid(3)) == pointed(f"{uuid(3)}/2/1") == uuid(3)
    for found in (f"{uuid(3)}x", f" {uuid(3)}", uuid(3)[:-1], "", None, 3, [uuid(3)]):
        assert pointed(found) is None


def test_values_are_found_in_maps_and_in_objects_alike() -> None:
    node = shared({"a": {"b": Plain({"c": 1})}})
    assert field(node, "a", "b", "c") == 1
    assert field(node, "a", "b", "c", "d") is None
    assert field(node, "a") is None
    assert field(None, "a") is None
    assert at(SONG, ("stems", 0)) is None
    assert at(SONG, ("segments", "g1", "name", "more")) is None
