"""What new documents begin with, and that it never changes."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, Map

from docstore import crdt, plain, seeding


def seed(kind: str, name: str = "Night drive") -> bytes:
    update = seeding.seed(kind, name)
    assert update is not None
    return update


def test_a_studio_begins_with_what_a_song_has() -> None:
    assert crdt.to_json(seed("studio")) == {
        "project": {"name": "Night drive", "schema": 1, "tempo": 120, "timeSignature": [4, 4]}
    }


def test_a_pattern_begins_with_an_empty_grid() -> None:
    found = crdt.to_json(seed("pattern"))
    assert found["pattern"] == {
        "bpm": 120,
        "keyNote": 0,
        "flavor": "Salsa",
        "instruments": {},
        "steps": {},
    }
    assert found["project"] == crdt.to_json(seed("studio"))["project"]


def test_openDAW_fills_its_document_itself() -> None:
    assert seeding.seed("opendaw", "x") is None


def test_there_are_no_other_kinds() -> None:
    assert set(seeding.KINDS) == {"studio", "pattern", "opendaw"}
    with pytest.raises(ValueError, match="unknown kind"):
        seeding.seed("Studio", "x")


@pytest.mark.parametrize("kind", ["studio", "pattern"])
def test_a_seed_is_the_same_every_time_and_written_by_client_one(kind: str) -> None:
    assert seed(kind) == seed(kind)
    (section,) = crdt.read(seed(kind)).sections
    assert section.client == seeding.CLIENT == 1


def test_released_seeds_never_change() -> None:
    # Exported states build upon these operations by their numbers; see the module.
    assert seed("studio", "N").hex() == (
        "0104010028010770726f6a65637406736368656d61017c3f800000280107"
        "70726f6a656374046e616d650177014e28010770726f6a65637405"
        "74656d706f017c42f0000028010770726f6a6563740d74696d655369676e"
        "617475726501750"
        "27c408000007c4080000000"
    )


def test_one_kinds_state_sent_into_the_other_kind_meets_what_it_knows() -> None:
    pattern: Doc[Any] = Doc()
    pattern.apply_update(seed("pattern", "Theirs"))
    pattern.get("pattern", type=Map)["bpm"] = 90
    pattern.get("project", type=Map)["tempo"] = 90
    studio: Doc[Any] = Doc()
    studio.apply_update(seed("studio", "Ours"))
    studio.apply_update(pattern.get_update())
    found: Any = plain.roots(studio)
    assert found["project"] == {
        "name": "Ours",
        "schema": 1,
        "tempo": 90,
        "timeSignature": [4, 4],
    }
    assert found["pattern"]["bpm"] == 90


def test_two_clients_of_a_seeded_document_share_its_nested_types() -> None:
    one: Doc[Any] = Doc()
    two: Doc[Any] = Doc()
    for doc, step in ((one, "clave:0"), (two, "conga:3")):
        doc.apply_update(seed("pattern"))
        doc.get("pattern", type=Map)["steps"][step] = 100
    one.apply_update(two.get_update())
    found: Any = plain.roots(one)
    assert found["pattern"]["steps"] == {"clave:0": 100, "conga:3": 100}
