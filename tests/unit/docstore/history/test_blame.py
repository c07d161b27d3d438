"""Blame names the last change of each entry, and of nothing that was not changed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlFragment, XmlText

from docstore.history import content
from docstore.history.blame import Touch, blame, blame_through
from docstore.history.replay import replay
from docstore.history.touches import touches
from docstore.segments import Row
from tests.unit.docstore import writers
from tests.unit.docstore.history.journals import (
    ANNA,
    BERT,
    CARL,
    START,
    Desk,
    Journal,
    apart,
    at,
    root,
)

if TYPE_CHECKING:
    from docstore.history.content import Path


def seqs(desk: Desk, *below: Path) -> dict[str, int]:
    """By path the number of the row; negative where it took the entry away."""
    found = blame(desk.base, desk.rows, below or None)
    return {
        "/".join(map(str, path)): ~touch.seq if touch.removed else touch.seq
        for path, touch in found.items()
    }


def test_each_entry_knows_who_changed_it_last_and_when() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0, "name": "Bass"})}))
    desk.edit(BERT, lambda doc: root(doc, "stems")["s"].update({"pan": 1}))
    desk.edit(CARL, lambda doc: root(doc, "project").update({"tempo": 90}))
    assert blame(None, desk.rows) == {
        ("stems",): Touch(BERT, at(1), 1),
        ("stems", "s"): Touch(BERT, at(1), 1),
        ("stems", "s", "pan"): Touch(BERT, at(1), 1),
        ("stems", "s", "name"): Touch(ANNA, at(0), 0),
        ("project",): Touch(CARL, at(2), 2),
        ("project", "tempo"): Touch(CARL, at(2), 2),
    }


def test_what_was_there_before_the_first_row_has_no_answer() -> None:
    base: Doc[Any] = Doc(client_id=1)
    root(base, "stems").update({"s": Map({"pan": 0, "name": "Bass"}), "t": 1})
    desk = Desk(base.get_update())
    desk.edit(BERT, lambda doc: root(doc, "stems")["s"].update({"pan": 1}))
    assert seqs(desk) == {"stems": 0, "stems/s": 0, "stems/s/pan": 0}


def test_of_what_was_removed_only_that_is_known() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0})}))
    desk.edit(BERT, lambda doc: root(doc, "stems").pop("s"))
    assert seqs(desk) == {"stems": 1, "stems/s": ~1}
    desk.edit(CARL, lambda doc: root(doc, "stems").update({"s": Map({"name": "new"})}))
    assert seqs(desk) == {"stems": 2, "stems/s": 2, "stems/s/name": 2}


def test_what_is_replaced_begins_anew() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0, "old": 1})}))
    desk.edit(BERT, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0})}))
    assert seqs(desk) == {"stems": 1, "stems/s": 1, "stems/s/pan": 1}


def test_texts_and_lists_are_one_entry_each() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: doc.get("notes", type=Text).insert(0, "intro"))
    desk.edit(BERT, lambda doc: doc.get("chat", type=Array).append(Map({"text": "hello"})))
    desk.edit(ANNA, lambda doc: doc.get("chat", type=Array)[0].update({"text": "changed"}))
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": Map({"tags": Array(["a"])})}))
    desk.edit(BERT, lambda doc: root(doc, "stems")["s"]["tags"].append("b"))
    assert seqs(desk) == {"notes": 0, "chat": 2, "stems": 4, "stems/s": 4, "stems/s/tags": 4}


def test_roots_that_we_do_not_know_count_too() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "mine").update({"k": 1}))
    desk.edit(BERT, lambda doc: doc.get("words", type=Text).insert(0, "x"))
    desk.edit(CARL, lambda doc: doc.get("list", type=Array).append(1))
    desk.edit(ANNA, lambda doc: doc.get("page", type=XmlFragment).children.append(XmlText("x")))
    assert seqs(desk) == {"mine": 0, "mine/k": 0, "words": 1, "list": 2, "page": 3}


def test_deep_changes_count_for_the_fifth_name() -> None:
    deep = {"a": Map({"b": Map({"c": Map({"d": Map({"e": 1})})})})}
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "boxes").update(deep))
    path = ["boxes", "a", "b", "c", "d"]
    everything = {"/".join(path[:length]): 0 for length in range(1, 6)}
    assert seqs(desk) == everything
    desk.edit(BERT, lambda doc: root(doc, "boxes")["a"]["b"]["c"]["d"].update({"e": 2}))
    assert seqs(desk) == dict.fromkeys(everything, 1)


def test_only_what_was_asked_for_is_told() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0}), "t": 1}))
    desk.edit(BERT, lambda doc: root(doc, "project").update({"tempo": 1}))
    assert seqs(desk, ("stems", "s")) == {"stems/s": 0, "stems/s/pan": 0}
    assert seqs(desk, ("project",), ("stems", "t")) == {
        "project": 1,
        "project/tempo": 1,
        "stems/t": 0,
    }
    assert seqs(desk, ("stems", "unknown"), ("chat", 0)) == {}


def test_a_change_that_lost_against_another_changed_nothing() -> None:
    base: Doc[Any] = Doc(client_id=1)
    root(base, "project")["tempo"] = 100
    desk = Desk(base.get_update())
    loses = apart(base, lambda doc: root(doc, "project").update({"tempo": 90}), 2)
    desk.edit(ANNA, lambda doc: root(doc, "project").update({"tempo": 140}))
    desk.add(BERT, loses)
    assert seqs(desk, ("project", "tempo")) == {"project/tempo": 0}


def test_an_editor_cannot_hide_the_history_behind_what_yrs_cannot_report() -> None:
    # Formatting where a value should be: an attribute of XML, and an entry of a map.
    element = b"\x01\x01\x05\x00\x07\x01\x04page\x03\x01p\x00"
    attribute = b"\x01\x01\x05\x01\x26\x00\x05\x00\x01k\x04bold\x04null\x00"
    entry = b"\x01\x01\x05\x02\x26\x01\x05stems\x01k\x04bold\x04null\x00"
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": 1}))
    for update in (element, attribute, entry):
        desk.add(BERT, update)
    desk.edit(CARL, lambda doc: root(doc, "stems").update({"t": 1}))
    assert seqs(desk, ("stems",)) == {"stems": 4, "stems/s": 0, "stems/t": 4}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_an_entry_is_blamed_on_the_last_row_that_changed_its_content(seed: int) -> None:
    updates, _ = writers.session(seed, writers=3, steps=60)
    random = Random(seed)
    journal = Journal()
    for update in updates:
        journal.add(random.choice((ANNA, BERT, CARL)), update.data)
    doc: Doc[Any] = Doc()
    changed: dict[str, Row] = {}
    before: dict[str, Any] = {}
    for row in journal.rows:
        doc.apply_update(row.payload)
        now = content.read_doc(doc).get("map")
        after = {} if now is None else dict(now.entries)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownVariableType] (a map, here)
        for key in {*before, *after}:
            if before.get(key) != after.get(key):
                changed[key] = row
        before = after
    found = blame(None, journal.rows)
    for key, row in changed.items():
        touch = found["map", key]
        assert touch.seq >= row.seq  # it may have been set to what it was
        assert touch.removed == (key not in before)
    assert {path[1] for path in found if path[0] == "map" and len(path) == 2} >= set(changed)


def test_what_waited_is_blamed_on_who_wrote_it() -> None:
    first, second = writers.typed("ab", root="notes")
    rows = [Row(0, ANNA, second, at(0)), Row(1, BERT, first, at(1))]
    assert [step.row.author for step in replay(None, rows).steps] == [BERT, ANNA]
    assert blame(None, rows) == {("notes",): Touch(ANNA, at(0), 0)}


# ---------------------------------------------------------------- one entry, through several pasts


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_of_one_entry_the_same_is_told_as_of_all(seed: int, mixed: object) -> None:
    updates, _ = writers.session(seed, writers=3, steps=40)
    journal = Journal()
    random = Random(seed)
    for update in updates:
        journal.add(random.choice((ANNA, BERT, None)), update.data)
    if mixed:
        # As they may arrive: then none of them can be heard just as it is.
        random.shuffle(journal.rows)
        shuffled = enumerate(journal.rows)
        journal.rows = [Row(seq, row.author, row.payload, at(seq)) for seq, row in shuffled]
    whole = blame(None, journal.rows)
    for path in {path[:length] for path in whole for length in (1, 2)}:
        below = {each: touch for each, touch in whole.items() if each[: len(path)] == path}
        assert dict(blame_through([(None, journal.rows)], path)) == below


def test_a_past_goes_on_where_the_one_before_ends() -> None:
    first = Desk()
    first.edit(ANNA, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0, "gain": 0})}))
    first.edit(ANNA, lambda doc: root(doc, "stems").update({"t": 1}))
    second = Desk(first.state)
    second.edit(BERT, lambda doc: root(doc, "stems")["s"].update({"pan": 1}))
    second.edit(BERT, lambda doc: root(doc, "stems").pop("t"))
    pasts = [(None, first.rows), (second.base, second.rows)]
    told = {
        path: (touch.author, touch.past) for path, touch in blame_through(pasts, ("stems", "s"))
    }
    assert told == {
        ("stems", "s"): (BERT, 1),
        ("stems", "s", "gain"): (ANNA, 0),
        ("stems", "s", "pan"): (BERT, 1),
    }
    ((_, gone),) = blame_through(pasts, ("stems", "t"))
    assert (gone.author, gone.removed) == (BERT, True)
    assert blame_through(pasts, ("stems", "u")) == []


def test_each_row_tells_what_it_touched() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0}), "t": 1}))
    desk.edit(BERT, lambda doc: root(doc, "stems")["s"].update({"pan": 1}))
    desk.edit(BERT, lambda doc: doc.get("notes", type=Text).insert(0, "x"))
    told = touches(None, desk.rows, since=START, most=9)
    assert {seq: sorted(paths) for seq, paths in told.items()} == {
        0: [("stems", "s"), ("stems", "t")],
        1: [("stems", "s")],
        2: [("notes",)],
    }
    assert touches(None, desk.rows, since=START, entity=("stems", "t"), most=9) == {
        0: [("stems", "t")]
    }
    assert list(touches(None, desk.rows, since=at(1), most=9)) == [1, 2]
    assert len(touches(None, desk.rows, since=START, most=1)[0]) == 1
