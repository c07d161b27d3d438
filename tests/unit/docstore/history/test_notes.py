"""What is played, in words: of openDAW's boxes and of packed lists, and of what is neither."""

from __future__ import annotations

from typing import Any

import pytest

from docstore.history import notes
from docstore.history.content import Plain
from tests.unit.docstore.history.contents import box, shared, uuid


def boxed(**fields: Any) -> Any:
    return shared(box("NoteEventBox", _1=f"{uuid(1)}/1", **fields))


def said(before: Any, after: Any) -> str:
    found = notes.pair(before, after, notes.of_box)
    assert found is not None
    return notes.told(found, notes.by_bar((4, 4)))


def packed(before: Any, after: Any) -> str | None:
    was, now = (None if side is None else Plain(side) for side in (before, after))
    found = notes.pair(was, now, notes.of_list)
    return None if found is None else notes.told(found, notes.by_tick)


def test_a_note_is_told_by_pitch_place_and_velocity() -> None:
    note = boxed(_10=4800, _11=240, _20=60, _21=0.5)
    assert said(None, note) == said(note, None) == "pitch 60 at 2.2, velocity 0.5"
    assert said(note, boxed(_10=4800, _11=240, _20=60, _21=0.25)) == (
        "pitch 60 at 2.2, velocity 0.5 → 0.25"
    )
    assert said(note, boxed(_10=3840, _11=480, _20=62, _21=0.5)) == (
        "pitch 60 → 62 at 2.2 → 2.1, length 240 → 480"
    )
    assert packed([480, 240, 60, 90, 0], [480, 240, 60, 20, 1]) == (
        "pitch 60 at tick 480, velocity 90 → 20, channel 0 → 1"
    )
    assert packed(None, [480.5, 240, 60]) == "pitch 60 at tick 480.5"
    assert packed([0, 1, 60], [0, 1, 60, 7]) == "pitch 60 at tick 0, velocity nothing → 7"


@pytest.mark.parametrize(
    ("signature", "ticks", "place"),
    [
        ((4, 4), 0, "1.1"),
        ((4, 4), 3839, "1.4+959"),
        ((4, 4), 3840.0, "2.1"),
        ((3, 4), 2880, "2.1"),
        ((6, 8), 2880 + 480, "2.2"),
        ((4, 4), -960, "0.4"),
        ((7, 9), 1, "1.1+1"),
    ],
)
def test_a_place_is_a_bar_and_a_beat(signature: tuple[int, int], ticks: float, place: str) -> None:
    assert notes.by_bar(signature)(ticks) == place


@pytest.mark.parametrize(
    "value",
    [
        "text",
        [],
        [0, 1],
        [0, 1, "60"],
        [0, 1, 60, None],
        [0, True, 60],
        [0, 1, float("nan")],
        [0, 1, 60, 1, 1, "cc"],
        {"tick": 0},
        None,
    ],
)
def test_what_does_not_look_like_a_note_is_none(value: Any) -> None:
    assert notes.of_list(Plain(value)) is None
    assert notes.pair(Plain([0, 1, 60]), Plain(value), notes.of_list) is None
    assert notes.of_box(boxed(_10=0, _20=value)) is None
    assert notes.of_box(Plain(value)) is None


def test_names_with_numbers_are_in_the_order_of_these() -> None:
    names = ["n10", "n9", "n1", "m", "n01", "12", "a²", "9" * 10_000, ""]
    told = ["", "12", "9" * 10_000, "a²", "m", "n1", "n01", "n9", "n10"]
    assert sorted(names, key=notes.natural) == told
