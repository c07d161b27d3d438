"""References whose end the other side has deleted, and what is put back with it."""

from __future__ import annotations

from typing import Any

from docstore.history.changes_json import conflict_json
from docstore.history.merge import Conflict, conflicts, settled, stands
from tests.unit.docstore.history.contents import box, of, uuid


def only(base: Any, ours: Any, theirs: Any) -> Conflict:
    (found,) = (each for each in conflicts(base, ours, theirs) if each.kind == "dangling")
    return found


def kinds(base: Any, ours: Any, theirs: Any) -> list[Any]:
    return [(each.kind, each.path) for each in conflicts(base, ours, theirs)]


STEM = {"s1": {"name": "Bass"}}
BASE = of(stems=STEM)
NEW_SEGMENT = of(stems=STEM, segments={"g1": {"stemId": "s1"}})
NO_STEM = of()


def test_a_segment_whose_stem_the_other_side_deleted() -> None:
    found = only(BASE, NEW_SEGMENT, NO_STEM)
    assert found.path == ("segments", "g1")
    assert [each.path for each in found.needed] == [("stems", "s1")]
    assert found.theirs is None
    assert found.entity.type == "segment"


def test_it_is_found_from_both_sides() -> None:
    found = only(BASE, NO_STEM, NEW_SEGMENT)
    assert found.path == ("segments", "g1")
    assert found.ours is None


def test_both_the_reference_and_the_deletion_stand_until_one_is_chosen() -> None:
    found = only(BASE, NEW_SEGMENT, NO_STEM)
    merged = of(segments={"g1": {"stemId": "s1"}})
    assert stands(found, merged) == "both"
    keep, drop = settled(merged, [found], "ours"), settled(merged, [found], "theirs")
    assert keep == NEW_SEGMENT
    assert drop == of()
    assert (stands(found, keep), stands(found, drop)) == ("ours", "theirs")
    assert settled(merged, [found], "crdt") == merged


def test_a_conflict_as_json_says_what_is_absent_by_leaving_it_out() -> None:
    found = only(BASE, NEW_SEGMENT, NO_STEM)
    assert conflict_json(found, "both") == {
        "kind": "dangling",
        "path": ["segments", "g1"],
        "entity": {"type": "segment", "id": "g1", "path": ["segments", "g1"]},
        "ours": {"stemId": "s1"},
        "needs": [{"type": "stem", "id": "s1", "path": ["stems", "s1"]}],
        "stands": "both",
    }


def test_a_segment_that_was_moved_into_what_is_gone_is_moved_back() -> None:
    def song(stem: str | None, volume: int = 1) -> Any:
        stems: Any = {"s1": {}, "s2": {}} if stem else {"s1": {}}
        return of(stems=stems, segments={"g1": {"stemId": stem or "s1", "volume": volume}})

    base, ours, theirs = song("s1"), song("s2"), song(None, 5)
    found = only(base, ours, theirs)
    assert found.path == ("segments", "g1", "stemId")
    merged = of(stems={"s1": {}}, segments={"g1": {"stemId": "s2", "volume": 5}})
    assert settled(merged, [found], "theirs") == theirs
    kept = of(stems={"s1": {}, "s2": {}}, segments={"g1": {"stemId": "s2", "volume": 5}})
    assert settled(merged, [found], "ours") == kept


def test_notes_for_a_segment_that_is_gone() -> None:
    base = of(segments={"g1": {}})
    ours = of(segments={"g1": {}}, events={"g1": {"n": [1]}})
    found = only(base, ours, of())
    assert found.path == ("events", "g1")
    assert settled(of(events={"g1": {"n": [1]}}), [found], "ours") == ours


def test_notes_in_a_segment_whose_stem_is_gone_would_be_seen_by_nobody() -> None:
    segments = {"g1": {"stemId": "s1"}}
    base = of(stems=STEM, segments=segments)
    found = only(
        base, of(stems=STEM, segments=segments, events={"g1": {"n": [1]}}), of(segments=segments)
    )
    assert found.path == ("segments", "g1", "stemId")
    merged = of(segments=segments, events={"g1": {"n": [1]}})
    assert stands(found, merged) == "theirs"
    assert settled(merged, [found], "theirs") == merged
    kept = settled(merged, [found], "ours")
    assert kept == of(stems=STEM, segments=segments, events={"g1": {"n": [1]}})
    assert stands(found, kept) == "ours"
    exchanged = only(base, of(segments=segments), kept)
    assert (stands(exchanged, merged), stands(exchanged, kept)) == ("ours", "theirs")


def test_who_deletes_a_stem_with_all_in_it_has_it_back_with_all_in_it() -> None:
    base = of(stems=STEM, segments={"g1": {"stemId": "s1"}}, events={"g1": {"n": [1]}})
    ours = of(
        stems=STEM,
        segments={"g1": {"stemId": "s1"}, "g2": {"stemId": "s1"}},
        events={"g1": {"n": [1]}},
    )
    found = only(base, ours, of())
    assert found.path == ("segments", "g2")
    assert {each.path for each in found.needed} == {
        ("stems", "s1"),
        ("segments", "g1"),
        ("events", "g1"),
    }
    assert settled(of(segments={"g2": {"stemId": "s1"}}), [found], "ours") == ours


def test_what_was_left_dangling_by_who_deleted_costs_nobody_anything() -> None:
    segments = {"g1": {"stemId": "s1"}}
    assert (
        kinds(
            of(stems=STEM, segments=segments),
            of(stems=STEM, segments=segments),
            of(segments=segments),
        )
        == []
    )


def test_what_led_nowhere_before_is_no_news() -> None:
    base = of(segments={"g1": {"stemId": "lost", "v": 1}}, stems=STEM)
    ours = of(segments={"g1": {"stemId": "lost", "v": 2}}, stems=STEM)
    assert kinds(base, ours, of(segments={"g1": {"stemId": "lost", "v": 1}})) == []


def test_who_deletes_may_lead_references_elsewhere() -> None:
    stems: Any = {"s1": {}, "s2": {}}
    base = of(stems=stems, segments={"g1": {"stemId": "s1", "v": 1}})
    ours = of(stems=stems, segments={"g1": {"stemId": "s1", "v": 2}})
    theirs = of(stems={"s2": {}}, segments={"g1": {"stemId": "s2", "v": 1}})
    assert kinds(base, ours, theirs) == []


def test_who_deletes_a_segment_that_the_other_edits_is_one_conflict_not_two() -> None:
    base = of(stems=STEM, segments={"g1": {"stemId": "s1", "v": 1}})
    ours = of(stems=STEM, segments={"g1": {"stemId": "s1", "v": 2}})
    assert kinds(base, ours, of()) == [("deleted", ("segments", "g1"))]


def test_comments_hang_on_stems_segments_and_each_other() -> None:
    base = of(stems=STEM, comments={"c1": {"text": "?"}})
    ours = of(
        stems=STEM,
        comments={"c1": {"text": "?"}, "c2": {"parent": "c1"}, "c3": {"stemId": "s1"}},
    )
    assert kinds(base, ours, of()) == [
        ("dangling", ("comments", "c2")),
        ("dangling", ("comments", "c3")),
    ]


def test_an_openDAW_pointer_to_a_box_that_is_gone() -> None:
    unit, track, region, notes, tape = map(uuid, range(5))
    boxes = {
        unit: box("AudioUnitBox"),
        track: box("TrackBox", _1=f"{unit}/20"),
        tape: box("TapeDeviceBox", _1=f"{unit}/22"),
    }
    other = {uuid(8): box("AudioUnitBox")}
    base = of(boxes={**boxes, **other})
    added = {
        region: box("NoteRegionBox", _1=f"{track}/3", _2=f"{notes}/2"),
        notes: box("NoteEventCollectionBox"),
    }
    found = only(base, of(boxes={**boxes, **other, **added}), of(boxes=other))
    assert found.path == ("boxes", region)
    assert {each.path[1] for each in found.needed} == {unit, track, tape}
    assert found.needed[0].path == ("boxes", track)
    merged = of(boxes={**other, **added})
    assert settled(merged, [found], "ours") == of(boxes={**boxes, **other, **added})
    assert settled(merged, [found], "theirs") == of(
        boxes={**other, notes: box("NoteEventCollectionBox")}
    )


def test_a_change_far_from_what_is_gone_is_no_conflict() -> None:
    unit, track, send = map(uuid, range(3))
    base = of(
        boxes={
            unit: box("AudioUnitBox", _25=send, _12=0),
            send: box("AudioBusBox"),
            track: box("TrackBox", _1=f"{unit}/20", _10=0),
        }
    )
    ours = of(
        boxes={
            unit: box("AudioUnitBox", _25=send, _12=0),
            send: box("AudioBusBox"),
            track: box("TrackBox", _1=f"{unit}/20", _10=1),
        }
    )
    theirs = of(
        boxes={
            unit: box("AudioUnitBox", _25=send, _12=0),
            track: box("TrackBox", _1=f"{unit}/20", _10=0),
        }
    )
    assert kinds(base, ours, theirs) == []


def test_circles_and_nonsense_end() -> None:
    base = of(comments={"a": {"parent": "b"}, "b": {"parent": "a"}}, stems=STEM)
    ours = of(comments={"a": {"parent": "b", "x": 1}, "b": {"parent": "a"}}, stems=STEM)
    assert kinds(base, ours, of(comments={"a": {"parent": "b"}, "b": {"parent": "a"}})) == []
    assert kinds(of(stems=STEM), of(stems=STEM, segments={"g": 3}, events=[1]), of()) == []


def test_an_explicit_deletion_is_kept_where_the_rest_comes_back() -> None:
    base = of(stems=STEM, segments={"g1": {"stemId": "s1", "v": 1}})
    ours = of(stems=STEM, segments={"g1": {"stemId": "s1", "v": 2}, "g2": {"stemId": "s1"}})
    found = conflicts(base, ours, of())
    assert [(each.kind, each.path) for each in found] == [
        ("deleted", ("segments", "g1")),
        ("dangling", ("segments", "g2")),
    ]
    merged = of(segments={"g2": {"stemId": "s1"}})
    wanted = settled(merged, found, "ours", {("segments", "g1"): "theirs"})
    assert wanted == of(stems=STEM, segments={"g2": {"stemId": "s1"}})
    assert settled(merged, found, "ours") == ours
