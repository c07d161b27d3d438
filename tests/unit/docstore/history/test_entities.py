"""Which thing a place is, and how its fields are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docstore.history.entities import Entity, entity_of, field_name, is_place, nouns

if TYPE_CHECKING:
    from docstore.history.content import Path

BOX = Entity("box", "u", ("boxes", "u"))


@pytest.mark.parametrize(
    ("path", "entity"),
    [
        (("project", "tempo"), ("project", "tempo", 2)),
        (("description",), ("text", "description", 1)),
        (("notes",), ("text", "notes", 1)),
        (("stems", "s1"), ("stem", "s1", 2)),
        (("stems", "s1", "volume"), ("stem", "s1", 2)),
        (("segments", "g1", "audio"), ("segment", "g1", 2)),
        (("events", "g1"), ("notes", "g1", 2)),
        (("events", "g1", "n1"), ("note", "n1", 3)),
        (("events", "g1", "n1", 2), ("note", "n1", 3)),
        (("tempoMap", "t"), ("tempo", "t", 2)),
        (("markers", "m"), ("marker", "m", 2)),
        (("comments", "c", "text"), ("comment", "c", 2)),
        (("assets", "a"), ("asset", "a", 2)),
        (("pattern", "bpm"), ("pattern", "bpm", 2)),
        (("pattern", "steps"), ("pattern", "steps", 2)),
        (("pattern", "steps", "kick:4"), ("step", "kick:4", 3)),
        (("pattern", "instruments", "kick", "volume"), ("instrument", "kick", 3)),
        (("chat", 4), ("message", "4", 2)),
        (("boxes", "u", "fields", "10"), ("box", "u", 2)),
        (("mine", "k"), ("entry", "k", 2)),
        (("mine", 3, "k"), ("entry", "3", 2)),
        (("mine",), ("root", "mine", 1)),
    ],
)
def test_a_path_leads_into_one_thing(path: Path, entity: tuple[str, str, int]) -> None:
    found = entity_of(path)
    assert (found.type, found.id, len(found.path)) == entity
    assert found.path == path[: entity[2]]


def test_a_list_where_a_map_should_be_is_a_list() -> None:
    assert entity_of(("stems", 2)) == Entity("entry", "2", ("stems", 2))


def test_a_path_to_nothing_is_no_thing() -> None:
    with pytest.raises(ValueError, match="root"):
        entity_of(())


def test_numbers_of_known_boxes_have_names() -> None:
    assert field_name(BOX, ("fields", "20"), "NoteEventBox") == "pitch"
    assert field_name(BOX, ("fields", "18", "1"), "AudioRegionBox") == "fading/1"
    assert field_name(BOX, ("fields", "4"), "TapeDeviceBox") == "enabled"
    assert field_name(BOX, ("fields", "77"), "TapeDeviceBox") == "77"
    assert field_name(BOX, ("fields", "77"), "UnheardOfBox") == "77"
    assert field_name(BOX, ("fields",), "NoteEventBox") == "fields"
    assert field_name(BOX, ("name",), None) == "name"
    assert field_name(Entity("stem", "s", ("stems", "s")), ("fx", "gain"), None) == "fx/gain"


def test_a_place_is_where_a_thing_is() -> None:
    stem = entity_of(("stems", "s"))
    assert is_place(stem, ("order",), None, number=False)
    assert not is_place(stem, ("volume",), None, number=True)
    assert is_place(BOX, ("fields", "10"), "NoteEventBox", number=True)
    assert not is_place(BOX, ("fields", "20"), "NoteEventBox", number=True)
    assert not is_place(BOX, ("fields", "10"), None, number=True)


def test_the_second_field_of_an_effect_is_its_place_and_of_an_instrument_its_name() -> None:
    assert is_place(BOX, ("fields", "2"), "DelayDeviceBox", number=True)
    assert not is_place(BOX, ("fields", "2"), "TapeDeviceBox", number=False)
    assert is_place(BOX, ("fields", "1"), "TapeDeviceBox", number=False)


def test_things_have_words() -> None:
    assert nouns("stem") == ("stem", "stems")
    assert nouns("box", "NoteEventBox") == ("note", "notes")
    assert nouns("box", "UnheardOfDeviceBox") == ("device", "devices")
    assert nouns("box", "UnheardOf") == nouns("box") == ("box", "boxes")
