"""States written again without something: what is left reads as if it had never been."""

from __future__ import annotations

import itertools
import sys
import time
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from docstore import crdt
from docstore.history import content
from docstore.history.omission import Ranges, without
from docstore.history.rollback import undone
from tests.unit.docstore import writers
from tests.unit.docstore.history.journals import ANNA, Desk, at, root

NONE = Ranges()

RANGES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(1, 9)), max_size=12)


def ids(ranges: list[tuple[int, int, int]]) -> set[tuple[int, int]]:
    return {(client, clock + at) for client, clock, length in ranges for at in range(length)}


@given(RANGES, RANGES)
def test_ranges_are_sets(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    left, right = Ranges(one), Ranges(other)
    assert ids(list(left)) == ids(one)
    assert ids(list(left | right)) == ids(one) | ids(other)
    assert ids(list(left - right)) == ids(one) - ids(other)
    assert {place for place in ids(other) if place in left} == ids(one) & ids(other)
    assert list(left - left) == []
    found = crdt.delete_ranges(left.encoded())
    assert ids(found) == ids(one)
    for (client, clock, length), (after, start, _) in itertools.pairwise(found):
        assert client != after or clock + length < start


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_without_nothing_a_state_stays_as_it_is(seed: int) -> None:
    updates, _ = writers.session(seed, writers=3, steps=60)
    doc: Doc[Any] = Doc(skip_gc=True)
    crdt.apply_all(doc, [update.data for update in updates])
    state = doc.get_update()
    again = without(state, NONE, NONE, NONE)
    assert content.read(again) == content.read(state)
    assert again[: -len(NONE.encoded())] or again == crdt.NOTHING


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_a_state_without_what_was_drawn_by_lot_is_a_state_still(seed: int) -> None:
    random = Random(seed)
    updates, _ = writers.session(seed, writers=3, steps=30)
    doc: Doc[Any] = Doc(skip_gc=True)
    crdt.apply_all(doc, [update.data for update in updates])
    state = doc.get_update()
    clocks = writers.clocks(doc)

    def some() -> Ranges:
        return Ranges(
            (client, random.randrange(end), random.randrange(1, 6))
            for client, end in clocks.items()
            for _ in range(3)
        )

    # Chosen without sense: no history is like that, and still it is a document.
    again: Doc[Any] = Doc()
    crdt.apply_all(again, (without(state, some(), some(), some()),))
    content.read_doc(again)
    assert writers.clocks(again) == clocks


@pytest.mark.parametrize("end", [1, 5, 20, 40])
def test_a_state_that_ends_too_early_is_refused(end: int) -> None:
    doc: Doc[Any] = Doc(client_id=1)
    root(doc, "project").update({"name": "a name", "list": [1, {"a": None}, b"x"]})
    with pytest.raises(crdt.MalformedUpdate):
        without(doc.get_update()[:end], NONE, NONE, NONE)


def test_values_nested_deeper_than_the_stack_are_stepped_over() -> None:
    deep = b"\x75\x01" * 3_900 + b"\x7e"
    assert sys.getrecursionlimit() < 3_900
    update = b"\x01\x01\x05\x00\x28\x01\x01m\x01k\x01" + deep + b"\x00"
    assert without(update, NONE, NONE, NONE) == update


def test_an_editor_cannot_keep_the_server_busy_with_a_chain_that_is_only_claimed() -> None:
    # Two thousand million deleted values under one key, in a few bytes.
    claimed = b"\x01\x01\x05\x00\x21\x01\x01m\x01k\xff\xff\xff\xff\x07\x00"
    started = time.process_time()
    for cut in ((5, 0, 2**31 - 1), (5, 1000, 5)):
        again = without(claimed, Ranges([cut]), NONE, NONE)
        assert end_of(again) == 2**31 - 1
    assert time.process_time() - started < 0.1


def end_of(state: bytes) -> int:
    return crdt.read(state).sections[0].end


# ---------------------------------------------------------------- many links in one struct


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("last", range(6))
@pytest.mark.parametrize("shared", [False, True])
def test_any_part_of_a_chain_can_be_cut_out(first: int, last: int, *, shared: bool) -> None:
    desk = Desk()
    values = [Map({"n": number}) if shared else number for number in range(6)]
    for value in values:
        desk.edit(ANNA, lambda doc, value=value: root(doc, "project").update({"tempo": value}))
    wanted = undone(
        None,
        desk.rows,
        by=None,
        since=at(first),
        until=at(last),
        entities=None,
        now_state=desk.state,
    )
    left = [number for number in range(6) if not first <= number <= last]
    found = content.to_json(content.read(wanted))
    if not left:
        assert found == {}
    else:
        assert found == {"project": {"tempo": {"n": left[-1]} if shared else left[-1]}}


def test_text_under_a_key_is_cut_out_whole() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "notes").update({"k": Text("words 🎹 and more")}))
    desk.edit(ANNA, lambda doc: root(doc, "notes").update({"k": "plain"}))
    desk.edit(None, lambda doc: root(doc, "notes").update({"other": Text("é")}))
    wanted = undone(
        None,
        desk.rows,
        by=[ANNA],
        since=at(0),
        until=at(9),
        entities=None,
        now_state=desk.state,
    )
    assert content.to_json(content.read(wanted)) == {"notes": {"other": "é"}}
