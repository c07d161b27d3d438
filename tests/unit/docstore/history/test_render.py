"""Diffs and logs as text, and what somebody could hide in a name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from docstore.history.content import Plain
from docstore.history.dag import lanes
from docstore.history.diff import diff
from docstore.history.render import LogEntry, clean, diff_text, log_text
from tests.unit.docstore.history.contents import box, of, text, uuid

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def shown(before: Any, after: Any, **how: Any) -> str:
    return diff_text(diff(before, after), **how)


def test_a_diff_is_read_from_the_summary_down() -> None:
    before = of(
        project={"tempo": 120},
        stems={"s1": {"name": "Bass", "volume": 1}},
        segments={"g1": {"name": "Intro", "stemId": "s1"}},
        events={"g1": {"n1": [0, 1, 60], "n2": [0, 1, 60]}},
    )
    after = of(
        project={"tempo": 90},
        stems={"s1": {"name": "Bass", "volume": 0.5, "muted": True}, "s2": {"name": "Drums"}},
        segments={"g1": {"name": "Intro", "stemId": "s1"}},
        events={"g1": {"n1": [0, 1, 62], "n3": [0, 1, 60]}},
    )
    assert shown(before, after) == (
        "1 stem changed, 1 stem added, 1 note added in Bass, 1 note removed in Bass,"
        " 1 note changed in Bass, 1 project setting changed\n"
        "\n"
        "stems\n"
        "  ~ Bass\n"
        "      muted: true (new)\n"
        "      volume: 1 → 0.5\n"
        "  + Drums\n"
        '      {"name":"Drums"}\n'
        "\n"
        "notes\n"
        "  ~ Intro in Bass  1 added, 1 removed, 1 changed +-~\n"
        "      n2: pitch 60 at tick 0 (gone)\n"
        "      n3: pitch 60 at tick 0 (new)\n"
        "      n1: pitch 60 → 62 at tick 0\n"
        "\n"
        "project settings\n"
        "  ~ tempo\n"
        "      120 → 90\n"
    )


def test_notes_are_told_as_they_are_played() -> None:
    before = of(events={"g1": {f"n{at}": [480 * at, 240, 60, 90, 0] for at in range(12)}})
    after = of(
        events={
            "g1": {f"n{at}": [480 * at, 240, 60, 90, 0] for at in range(12)}
            | {
                "n10": [4800, 240, 60, 20, 0],
                "n2": [960, 240, 64, 90, 0],
                "n1": [480, 240, 60, 90, 0, "cc"],
                "solo": [0, 120, 72, 127, 1],
            }
        }
    )
    assert shown(before, after).splitlines()[2:] == [
        "notes",
        "  ~ g1  1 added, 3 changed +~~~",
        '      n1: [480,240,60,90,0] → [480,240,60,90,0,"cc"]',
        "      solo: pitch 72 at tick 0, velocity 127 (new)",
        "      n2: pitch 60 → 64 at tick 960",
        "      n10: pitch 60 at tick 4800, velocity 90 → 20",
    ]


def test_notes_of_openDAW_are_told_by_channel_as_they_are_played() -> None:
    channel, track, region, events = map(uuid, range(4))
    first, second, third, fourth, odd = map(uuid, range(10, 15))
    rest = {
        channel: box("AudioUnitBox"),
        uuid(9): box("TapeDeviceBox", _1=f"{channel}/22", _2="Pad 1"),
        track: box("TrackBox", _1=f"{channel}/20"),
        region: box("NoteRegionBox", _1=f"{track}/3", _2=f"{events}/2", _16="Chorus"),
        events: box("NoteEventCollectionBox"),
        uuid(8): box("TimelineBox", _10={"1": 3, "2": 4}),
    }

    def note(**fields: Any) -> dict[str, Any]:
        return box("NoteEventBox", _1=f"{events}/1", _11=240, **fields)

    before = {
        first: note(_10=8640, _20=60, _21=90),
        second: note(_10=0, _20=60, _21=90, _25=100),
        third: note(_10=2880, _20=48, _21=64),
        odd: note(_10="here", _20=60),
    }
    after = {
        first: note(_10=8640, _20=60, _21=20),
        second: note(_10=0, _20=60, _21=90, _25=50),
        fourth: note(_10=3900, _20=50, _21=1),
        odd: note(_10="there", _20=60),
    }
    text = shown(of(boxes=rest | before), of(boxes=rest | after))
    assert text.splitlines()[2:] == [
        "notes",
        f"  > NoteEventBox {odd} in Pad 1",
        '      position: "here" → "there"',
        "  ~ pitch 60 at 1.1 in Pad 1",
        "      chance: 100 → 50",
        "  - pitch 48 at 2.1, velocity 64 in Pad 1",
        "  + pitch 50 at 2.2+60, velocity 1 in Pad 1",
        "  ~ pitch 60 at 4.1, velocity 90 → 20 in Pad 1",
    ]


def test_a_small_edit_of_a_long_text_is_shown_by_line() -> None:
    lines = [f"line {at}" for at in range(3000)]
    edited = [*lines[:1500], "a new one", "and another", *lines[1501:]]
    found = shown(of(notes=text("\n".join(lines))), of(notes=text("\n".join(edited))))
    assert found.splitlines()[3:] == [
        "  ~ notes",
        "       line 1499",
        "      -line 1500",
        "      +a new one",
        "      +and another",
        "       line 1501",
    ]
    wide = [*lines[:1], *(f"other {at}" for at in range(2000)), *lines[-1:]]
    far = shown(of(notes=text("\n".join(lines))), of(notes=text("\n".join(wide))))
    assert "3000 lines → 2002 lines" in far


def test_without_details_every_thing_is_one_line() -> None:
    short = shown(of(), of(stems={"s1": {"name": "Bass"}, "s2": {}}), details=False)
    assert short == "2 stems added\n\nstems\n  + Bass\n  + s2\n"


def test_nothing_is_said_to_be_nothing() -> None:
    assert shown(of(), of()) == "nothing changed\n"


def test_a_text_is_compared_by_line() -> None:
    found = shown(of(notes=text("one\ntwo\nthree")), of(notes=text("one\nTWO\nthree")))
    assert found.splitlines()[3:] == [
        "  ~ notes",
        "       one",
        "      -two",
        "      +TWO",
        "       three",
    ]
    assert "its formatting changed" in shown(of(notes=text("a")), of(notes=text(("a", {"b": 1}))))
    long = shown(of(notes=text("a")), of(notes=text("x\n" * 100)))
    assert "… and 81 more lines" in long
    endless = shown(of(notes=text("a")), of(notes=text("x\n" * 5000)))
    assert "1 lines → 5000 lines" in endless


def test_plain_objects_are_compared_by_key() -> None:
    assert "[] → [1]" in shown(of(markers={"m": []}), of(markers={"m": [1]}))
    before: Any
    after: Any
    before, after = {"at": 1, "label": "A", "gone": None}, {"at": 2, "label": "A", "new": None}
    assert shown(of(chat=([before],)), of(chat=([after],))).count("→") == 1
    by_key = shown(of(tempoMap={"t": Plain(before)}), of(tempoMap={"t": Plain(after)}))
    assert [line.strip() for line in by_key.splitlines()[4:]] == [
        "at: 1 → 2",
        "gone: null → nothing",
        "new: nothing → null",
    ]


def test_many_fields_and_notes_are_not_all_shown() -> None:
    after = shown(of(stems={"s": {}}), of(stems={"s": {f"k{at}": 1 for at in range(50)}}))
    assert "… and 38 more" in after
    many = shown(of(), of(events={"g": {f"n{at}": [at] for at in range(5000)}}))
    assert many.splitlines()[-1] == "  + g  5000 added " + "+" * 40


@pytest.mark.parametrize(
    "name",
    [
        "\x1b[2J\x1b[H",
        "a\nb",
        "a\rb",
        "\u202egnp.exe",
        "\u2066x\u2069",
        "\x07",
        "\x9b31m",
        "\ud800",
    ],
)
def test_no_name_steers_the_terminal_of_who_reads_it(name: str) -> None:
    assert clean(name).isprintable()
    content = of(stems={"s": {"name": name}}, mine={name: name})
    for line in shown(of(), of(mine={name: name[:-1]})), shown(of(), content, details=False):
        assert line.replace("\n", "").isprintable()
    entry = LogEntry(UUID(int=1), AT, name, name, (name,), name)
    assert log_text([entry]).replace("\n", "").isprintable()


def test_letters_of_every_language_stay_and_long_ones_end() -> None:
    assert clean("Bässe 低音 🎹") == "Bässe 低音 🎹"
    assert clean("x" * 100) == "x" * 59 + "…"


def test_a_log_says_who_when_and_what() -> None:
    entries = [
        LogEntry(
            UUID(int=2), AT, "anna", "Louder\n\nMuch louder", ("main", "tag: v1"), "1 stem changed"
        ),
        LogEntry(UUID(int=1), AT, None, ""),
    ]
    assert log_text(entries).splitlines() == [
        f"{UUID(int=2)} (main, tag: v1) 2026-03-01 12:30:00 anna",
        "    Louder …",
        "    1 stem changed",
        f"{UUID(int=1)} 2026-03-01 12:30:00 somebody",
        "",
    ]
    assert log_text([]) == ""


def test_a_merge_is_drawn() -> None:
    one, left, right, merge = (UUID(int=at) for at in range(1, 5))
    graph = {merge: (left, right), left: (one,), right: (one,), one: ()}
    lines = {line.commit: line for line in lanes(graph, [merge, right, left, one])}
    drawn = log_text(
        [LogEntry(each, AT, "a", "m") for each in (merge, right, left, one)], lines
    ).splitlines()
    assert [line[:4].ljust(4) for line in drawn] == [
        "*   ",
        "|\\  ",
        "| * ",
        "| | ",
        "* | ",
        " \\| ",
        "  * ",
        "    ",
    ]
