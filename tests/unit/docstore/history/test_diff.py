"""Diffs in musical terms: what is added, removed, changed, moved, and how it is counted."""

from __future__ import annotations

import time
from typing import Any

import pytest

from docstore.history.changes_json import diff_json
from docstore.history.content import Plain, SharedMap
from docstore.history.diff import diff
from docstore.history.entities import entity_of
from tests.unit.docstore.history.contents import box, of, text, uuid


def only(before: Any, after: Any) -> Any:
    (change,) = diff(before, after).changes
    return change


def shown_json(before: Any, after: Any) -> Any:
    shown: Any = diff_json(diff(before, after))
    (change,) = shown["changes"]
    return change


def song(**changed: Any) -> Any:
    return of(
        **{
            "project": {"tempo": 120},
            "stems": {"s1": {"name": "Bass", "order": "a", "volume": 1}},
            "segments": {"g1": {"name": "Intro", "stemId": "s1", "start": 0, "end": 4}},
            "events": {"g1": {f"n{at}": [at, 480, 60, 0.5, 0] for at in range(20)}},
            **changed,
        }
    )


def notes(**changed: Any) -> Any:
    kept = {f"n{at}": [at, 480, 60, 0.5, 0] for at in range(20)}
    return {"g1": {key: value for key, value in {**kept, **changed}.items() if value is not None}}


def test_a_new_stem_is_added_whole() -> None:
    change = only(of(), of(stems={"s1": {"name": "Bass"}}))
    assert (change.kind, change.name, change.fields) == ("added", "Bass", ())
    assert change.entity == entity_of(("stems", "s1"))
    assert change.before is None
    assert change.after == SharedMap({"name": Plain("Bass")})


def test_a_changed_knob_is_a_field_with_what_it_was() -> None:
    change = only(
        song(), song(stems={"s1": {"name": "Bass", "order": "a", "volume": 0.5, "fx": {"gain": 2}}})
    )
    assert change.kind == "changed"
    assert [(each.name, each.before, each.after, each.kind) for each in change.fields] == [
        ("fx", None, SharedMap({"gain": Plain(2)}), "added"),
        ("volume", Plain(1), Plain(0.5), "changed"),
    ]


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"start": 8, "end": 12}, "moved"),
        ({"stemId": "s2"}, "moved"),
        ({"end": 8}, "changed"),
        ({"start": 2}, "changed"),
        ({"start": 8, "end": 12, "name": "Outro"}, "changed"),
        ({"start": "x", "end": 12}, "changed"),
    ],
)
def test_a_segment_moves_when_only_its_place_changes_and_not_its_length(
    changed: dict[str, Any], kind: str
) -> None:
    segment = {"name": "Intro", "stemId": "s1", "start": 0, "end": 4}
    assert only(song(), song(segments={"g1": {**segment, **changed}})).kind == kind


def test_a_stem_of_which_only_the_order_changed_moved() -> None:
    assert (
        only(song(), song(stems={"s1": {"name": "Bass", "order": "b", "volume": 1}})).kind
        == "moved"
    )


def test_notes_are_one_change_of_their_segment_and_counted_by_the_note() -> None:
    changed = notes(n0=[99, 480, 60, 0.5, 0], n1=[1, 480, 61, 0.5, 0], n2=None, new=[5, 1, 2, 3, 4])
    found = diff(song(), song(events=changed))
    (change,) = found.changes
    assert change.entity == entity_of(("events", "g1"))
    assert (change.name, change.holder_name) == ("Intro", "Bass")
    assert change.counts == {"added": 1, "removed": 1, "changed": 1, "moved": 1}
    assert [each.name for each in change.fields] == ["n0", "n1", "n2", "new"]
    assert found.summary == (
        "1 note added in Bass, 1 note removed in Bass, 1 note changed in Bass, 1 note moved in Bass"
    )


def test_a_segment_with_its_notes_is_counted_with_them() -> None:
    gone = diff(song(), song(segments={}, events={}))
    assert gone.summary == "1 segment removed in Bass, 20 notes removed in Bass"
    assert diff(of(), song()).summary == (
        "1 stem added, 1 segment added in Bass, 20 notes added in Bass, 1 project setting added"
    )


def test_notes_of_no_stem_are_counted_by_their_segment() -> None:
    segments = {"g1": {"name": "Intro"}}
    found = diff(song(segments=segments), song(segments=segments, events=notes(n3=None)))
    assert found.summary == "1 note removed in Intro"
    found = diff(song(segments={}), song(segments={}, events=notes(n3=None)))
    assert found.summary == "1 note removed in g1"


def test_two_stems_of_one_name_are_two() -> None:
    stems = {"s1": {"name": "Bass"}, "s2": {"name": "Bass"}}
    found = diff(
        of(stems=stems), of(stems=stems, segments={"a": {"stemId": "s1"}, "b": {"stemId": "s2"}})
    )
    assert found.summary == "1 segment added in Bass, 1 segment added in Bass"


def test_a_long_summary_says_the_stems_together() -> None:
    many = {f"g{at}": {"stemId": f"s{at}"} for at in range(12)}
    loose = {"events": {"g0": {}, "x": {"n": [0, 1, 60]}}}
    found = diff(of(), of(segments=many | {"g12": {"stemId": "s1"}}, **loose))
    assert found.summary == (
        "13 segments added in 12 stems, 1 list of notes added in s0, 1 note added in x"
    )
    assert len(found.counts) == 14
    few = diff(of(), of(segments={f"g{at}": {"stemId": f"s{at}"} for at in range(8)}))
    assert few.summary.startswith("1 segment added in s0, 1 segment added in s1")
    crowd = {f"g{at}": {f"n{each}": [each, 1, 60] for each in range(200)} for at in range(12)}
    assert diff(of(segments=many), of(segments=many, events=crowd)).summary == (
        "2,400 notes added in 12 stems"
    )


def test_a_longer_summary_ends() -> None:
    roots = {f"root{at}": {"a": 1} for at in range(3)}
    rest = {root: {"a": {"name": root}} for root in ("comments", "assets", "markers", "tempoMap")}
    boxes = {uuid(at): box(name) for at, name in enumerate(("TrackBox", "TapeDeviceBox"))}
    project: Any = {"project": {"bpm": 1}, "stems": {"s": {}}, "pattern": {"bpm": 1}}
    found = diff(of(), of(**roots, **rest, **project, boxes=boxes, notes=text("a")))
    assert found.summary == (
        "1 stem added, 1 track added, 1 device added, 1 project setting added,"
        " 1 tempo change added, 1 pattern setting added, 1 text added, 1 marker added and 3 more"
    )


def test_what_says_nothing_to_a_musician_is_said_where_there_is_nothing_else() -> None:
    idle = {
        uuid(1): box("SelectionBox"),
        uuid(2): box("UserInterfaceBox"),
        uuid(3): box("NoteEventCollectionBox"),
        uuid(4): box("NoteEventCollectionBox"),
    }
    assert diff(of(), of(boxes=idle)).summary == "2 boxes added, 1 selection added, 1 view added"
    found = diff(of(), of(boxes=idle | {uuid(5): box("TimelineBox")}))
    assert found.summary == "1 timeline added"
    assert sum(each.number for each in found.counts) == 5


def test_a_musician_hears_of_channels_before_regions_notes_automation_and_devices() -> None:
    classes = (
        "MarkerBox",
        "TimelineBox",
        "DelayDeviceBox",
        "ValueEventBox",
        "NoteEventBox",
        "NoteRegionBox",
        "AudioUnitBox",
    )
    boxes = {uuid(at): box(name) for at, name in enumerate(classes)}
    assert diff(of(), of(boxes=boxes)).summary == (
        "1 channel added, 1 note region added, 1 note added, 1 automation point added,"
        " 1 device added, 1 timeline added, 1 marker added"
    )


def test_a_new_pattern_is_counted_by_step() -> None:
    beat = {
        "bpm": 120,
        "instruments": {"kick": {"volume": 1}, "hat": {"volume": 1}},
        "steps": {f"kick:{at}": 1 for at in range(4)} | {f"hat:{at}": 1 for at in range(8)},
    }
    there, back = diff(of(), of(pattern=beat)), diff(of(pattern=beat), of())
    assert there.summary == (
        "2 instruments added, 8 steps added in hat, 4 steps added in kick, 1 pattern setting added"
    )
    assert back.summary == there.summary.replace("added", "removed")
    # The maps themselves: there before what is in them, gone after it.
    paths = [change.entity.path for change in there.changes]
    assert paths.index(("pattern", "steps")) < paths.index(("pattern", "steps", "kick:0"))
    paths = [change.entity.path for change in back.changes]
    assert paths.index(("pattern", "steps")) > paths.index(("pattern", "steps", "kick:0"))


def test_a_map_of_steps_without_steps_is_something_too() -> None:
    assert diff(of(pattern={"bpm": 1}), of(pattern={"bpm": 1, "steps": {}})).summary == (
        "1 pattern setting added"
    )


def test_steps_and_instruments_of_a_pattern_are_things() -> None:
    before = of(
        pattern={"bpm": 120, "steps": {"kick:4": 1}, "instruments": {"kick": {"volume": 1}}}
    )
    after = of(
        pattern={
            "bpm": 90,
            "steps": {"kick:4": 0.5, "kick:8": 1},
            "instruments": {"kick": {"volume": 0}},
        }
    )
    assert [
        (each.kind, each.entity.type, each.entity.id) for each in diff(before, after).changes
    ] == [
        ("changed", "pattern", "bpm"),
        ("changed", "instrument", "kick"),
        ("changed", "step", "kick:4"),
        ("added", "step", "kick:8"),
    ]


def test_a_text_is_one_thing_also_when_only_its_formatting_changed() -> None:
    change = only(of(notes=text("loud")), of(notes=text(("loud", {"bold": True}))))
    assert change.entity.type == "text"
    shown = shown_json(of(notes=text("a")), of(notes=text(("a", {"b": 1}))))
    assert shown["before"] == shown["after"] == "a"
    assert shown["formatting"] == [
        [{"insert": "a", "attributes": {}}],
        [{"insert": "a", "attributes": {"b": 1}}],
    ]


def test_a_type_that_changed_is_told() -> None:
    shown = shown_json(of(mine={"k": text("a")}), of(mine={"k": "a"}))
    assert (shown["before"], shown["after"], shown["types"]) == ("a", "a", ["text", "value"])


def test_null_is_not_absent() -> None:
    shown = shown_json(of(stems={"s": {}}), of(stems={"s": {"key": None}}))
    (field,) = shown["fields"]
    assert "before" not in field
    assert field["after"] is None


def test_chat_is_told_by_message() -> None:
    one, two, three = ({"id": str(at), "text": "hi"} for at in range(3))
    found = diff(of(chat=(one, two)), of(chat=(two, three)))
    assert [(each.kind, each.entity.path) for each in found.changes] == [
        ("removed", ("chat", 0)),
        ("added", ("chat", 1)),
    ]
    assert found.summary == "1 message removed, 1 message added"


def test_a_map_within_a_list_changes_by_field() -> None:
    before = of(sections=({"name": "A", "bars": 4}, {"name": "B"}))
    change = only(before, of(sections=({"name": "A", "bars": 8}, {"name": "B"})))
    assert (change.entity.path, change.fields[0].name) == (("sections", 0), "bars")
    both = of(sections=({"name": "new"}, {"name": "A", "bars": 8}, {"name": "B"}))
    assert [(each.kind, each.entity.path) for each in diff(before, both).changes] == [
        ("added", ("sections", 0)),
        ("changed", ("sections", 1)),
    ]


def test_openDAWs_boxes_differ_by_field() -> None:
    channel, track, region, events, note = map(uuid, range(5))
    boxes = {
        channel: box("AudioUnitBox"),
        uuid(9): box("TapeDeviceBox", _1=f"{channel}/22", _2="Bass"),
        track: box("TrackBox", _1=f"{channel}/20"),
        region: box("NoteRegionBox", _1=f"{track}/3", _2=f"{events}/2", _10=0, _16="Chorus"),
        events: box("NoteEventCollectionBox"),
        note: box("NoteEventBox", _1=f"{events}/1", _10=0, _20=60),
    }
    changed = {
        **boxes,
        region: box("NoteRegionBox", _1=f"{track}/3", _2=f"{events}/2", _10=3840, _16="Chorus"),
        note: box("NoteEventBox", _1=f"{events}/1", _10=0, _20=62),
    }
    found = diff(of(boxes=boxes), of(boxes=changed))
    assert found.summary == "1 note region moved in Bass, 1 note changed in Bass"
    note_change = found.changes[1]
    assert (note_change.box, note_change.fields[0].name) == ("NoteEventBox", "pitch")
    assert note_change.fields[0].path == ("fields", "20")
    gone = diff(of(boxes=boxes), of(boxes={k: v for k, v in boxes.items() if k != note}))
    assert gone.summary == "1 note removed in Bass"


def test_a_root_that_became_another_type_is_replaced_whole() -> None:
    change = only(of(mine={"a": 1}), of(mine=(1, 2)))
    assert (change.kind, change.entity.type, change.entity.path) == ("changed", "root", ("mine",))


def test_a_list_that_was_made_to_be_slow_to_compare_is_not() -> None:
    before = of(chat=tuple(at % 2 for at in range(30_000)))
    after = of(chat=tuple((at // 2) % 2 for at in range(30_001)))
    started = time.perf_counter()
    diff(before, after)
    assert time.perf_counter() - started < 5


def test_two_large_states_of_which_little_differs_are_compared_fast() -> None:
    def large(pitch: int) -> Any:
        return {
            "events": SharedMap(
                {
                    f"g{segment}": SharedMap(
                        {
                            f"n{at}": Plain([at, 480, 60 if segment else pitch, 0.5, 0])
                            for at in range(100)
                        }
                    )
                    for segment in range(300)
                }
            )
        }

    before, after = large(60), large(61)
    assert diff(before, after).summary == "100 notes changed in g0"
    best = 1.0
    for _ in range(3):
        started = time.perf_counter()
        diff(before, after)
        best = min(best, time.perf_counter() - started)
    assert best < 0.1
