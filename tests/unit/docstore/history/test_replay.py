"""The past told again: states at any moment, also from rows out of order, and times of work."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc

from docstore import crdt
from docstore.history import content, replay
from docstore.segments import Row
from tests.unit.docstore import writers
from tests.unit.docstore.history.journals import ANNA, END, START, Journal, at


def journal_of(updates: list[bytes]) -> list[Row]:
    journal = Journal()
    for update in updates:
        journal.add(ANNA, update)
    return journal.rows


def content_of(*updates: bytes) -> content.Content:
    doc: Doc[Any] = Doc()
    crdt.apply_all(doc, updates)
    return content.read_doc(doc)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60))
def test_the_state_at_a_moment_is_that_of_the_rows_up_to_it(seed: int, moment: int) -> None:
    updates, _ = writers.session(seed, writers=3, steps=60)
    rows = journal_of([update.data for update in updates])
    so_far = [row.payload for row in rows[: moment + 1]]
    assert content.read(replay.state_at(None, rows, at(moment))) == content_of(*so_far)
    base = replay.state_at(None, rows, at(moment // 2))
    assert content.read(replay.state_at(base, rows, at(moment))) == content_of(*so_far)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_rows_in_any_order_make_the_same_document(seed: int) -> None:
    updates, whole = writers.session(seed, writers=3, steps=50)
    shuffled = [update.data for update in updates]
    Random(seed).shuffle(shuffled)
    rows = journal_of(shuffled)
    past = replay.replay(None, rows)
    assert not past.missing
    assert content.read_doc(past.doc) == content.read_doc(whole)
    assert {step.row.seq for step in past.steps} <= {row.seq for row in rows}
    # No step waits for a later one: they can be applied one by one.
    doc: Doc[Any] = Doc()
    for step in past.steps:
        crdt.apply_all(doc, (step.update,))
        assert crdt.is_integrated(step.update, doc.get_state())
    assert content.read_doc(doc) == content.read_doc(whole)


def test_what_waits_at_the_moment_is_not_in_the_state_and_holds_nothing_up() -> None:
    a, b, c = writers.typed("abc")
    other = writers.typed("x", client=9, root="u")[0]
    rows = journal_of([a, c, other, b])
    assert content.to_json(content.read(replay.state_at(None, rows, at(2)))) == {
        "t": "a",
        "u": "x",
    }
    assert [row.payload for row in replay.replay(None, rows[:3]).missing] == [c]
    assert content.to_json(content.read(replay.state_at(None, rows, END)))["t"] == "abc"


def test_rows_count_by_their_time_and_follow_each_other_by_their_number() -> None:
    a, b, c = writers.typed("abc")
    # The second was committed a little before the first.
    rows = [Row(2, ANNA, b, at(1)), Row(1, ANNA, a, at(1.01)), Row(3, ANNA, c, at(2))]
    assert content.read(replay.state_at(None, rows, at(1))) == {}
    assert content.to_json(content.read(replay.state_at(None, rows, at(1.5)))) == {"t": "ab"}


def test_rows_that_cannot_be_read_are_left_out_and_named() -> None:
    a, b = writers.typed("ab")
    rows = journal_of([a, b"\xff\xff nothing", b])
    past = replay.replay(None, rows)
    assert past.missing == [rows[1]]
    assert content.to_json(content.read_doc(past.doc)) == {"t": "ab"}


def test_nothing_was_there_before_the_first_row() -> None:
    rows = journal_of(writers.typed("ab"))
    assert content.read(replay.state_at(None, rows, START - timedelta(seconds=1))) == {}
    assert content.read(replay.state_at(None, [], END)) == {}
