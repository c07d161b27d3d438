"""A document opens, whatever became of single pieces of what is stored of it."""

from __future__ import annotations

from random import Random
from typing import Any

import pycrdt
import pytest
from pycrdt import Doc

from docstore import crdt, loading, waiting
from tests.e2e import poison
from tests.unit.docstore import writers
from tests.unit.docstore.test_crdt import BEFORE_PANIC, PANIC


def built(
    updates: list[bytes], kept: list[bytes] | None = None, snapshot: bytes | None = None
) -> loading.Built:
    waits = [waiting.Waiting(update, row=at) for at, update in enumerate(kept or [])]
    return loading.build(pycrdt.Doc, loading.prepare(snapshot, updates, waits))


def shown(found: loading.Built) -> dict[str, Any]:
    return crdt.to_json(found.doc.get_update())


def rows(found: list[waiting.Waiting]) -> list[int | None]:
    return [one.row for one in found]


def test_of_nothing_an_empty_document_is_made() -> None:
    found = built([])
    assert shown(found) == {}
    assert found[1:5] == ([], [], [], [])


@pytest.mark.parametrize("seed", range(10))
def test_a_snapshot_and_what_came_since_make_the_document(seed: int) -> None:
    updates, everything = writers.session(seed, writers=3, steps=40)
    data = [update.data for update in updates]
    half = built(data[: len(data) // 2]).doc.get_update()
    found = built(data[len(data) // 2 :], snapshot=half)
    assert found[1:5] == ([], [], [], [])
    assert writers.clocks(found.doc) == writers.clocks(everything)
    assert shown(found) == crdt.to_json(everything.get_update())


@pytest.mark.parametrize("seed", range(30))
def test_rows_that_waited_come_in_whatever_their_order(seed: int) -> None:
    """As a room stores them: what was ready is applied, the rest flagged."""
    updates, everything = writers.session(seed, writers=3, steps=30)
    arriving = [update.data for update in updates]
    Random(seed).shuffle(arriving)
    doc: Doc[Any] = Doc()
    applied: list[bytes] = []
    flagged: list[bytes] = []
    for update in arriving:
        clocks = waiting.Clocks(doc.get_state())
        part, whole = waiting.ready(update, crdt.read(update), clocks)
        crdt.apply_all(doc, [part])
        applied.append(part)
        if not whole:
            flagged.append(update)
    found = built(applied, flagged)
    assert found[1:5] == ([], [], [], [])
    assert writers.clocks(found.doc) == writers.clocks(everything)
    assert shown(found) == crdt.to_json(everything.get_update())


def test_what_waits_on_is_named_and_not_in_the_document() -> None:
    a, b, c, d = writers.typed("abcd")
    found = built([a], [d, b])
    assert shown(found) == {"t": "ab"}
    assert rows(found.waiting) == [0]
    assert found.refused == []
    assert rows(built([a], [d, c]).waiting) == [0, 1]


def test_what_waited_and_cannot_be_applied_is_refused_and_the_rest_is_had() -> None:
    a, b, c = writers.typed("abc")
    found = built([a, poison.HALF.groundwork], [poison.HALF.update, c, b])
    assert rows(found.refused) == [0]
    assert found.waiting == []
    assert shown(found)["t"] == "abc"
    assert writers.clocks(found.doc) == {7: 3, 200: 1}


def test_what_is_loose_already_is_no_matter() -> None:
    a, b = writers.typed("ab")
    found = built([a, b], [b, a])
    assert found[1:5] == ([], [], [], [])
    assert shown(found) == {"t": "ab"}


@pytest.mark.parametrize(
    ("before", "spoils"),
    [(poison.HALF.groundwork, poison.HALF.update), (BEFORE_PANIC, PANIC), (b"\x00\x00", b"no")],
)
def test_an_update_that_cannot_be_applied_any_more_is_left_out_and_named(
    before: bytes, spoils: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    a, b, c = writers.typed("abc")
    found = built([a, before, b, spoils, c])
    capfd.readouterr()  # Rust reports its panics on stderr
    assert found.left_out == [3]
    assert (found.waiting, found.refused, found.late) == ([], [], [])
    assert shown(found)["t"] == "abc"


def test_several_are_left_out_up_to_a_number_that_means_damage() -> None:
    letters = writers.typed("x" * 30)
    few: list[bytes] = []
    for letter in letters[: loading.MOST_LEFT_OUT]:
        few += [letter, b"no update"]
    found = built(few)
    assert found.left_out == list(range(1, 2 * loading.MOST_LEFT_OUT, 2))
    assert shown(found) == {"t": "x" * loading.MOST_LEFT_OUT}
    with pytest.raises(crdt.MalformedUpdate):
        built([*few, b"no update"])


def test_a_snapshot_that_cannot_be_applied_is_no_document() -> None:
    with pytest.raises(crdt.MalformedUpdate):
        built(writers.typed("abc"), snapshot=b"no state")


def test_what_was_applied_and_has_lost_its_groundwork_waits_now() -> None:
    a, b, c = writers.typed("abc")
    theirs = writers.typed("x", client=8)
    found = built([a, c, *theirs])
    assert found.late == [1]
    assert (found.left_out, found.refused) == ([], [])
    assert writers.clocks(found.doc) == {7: 1, 8: 1}
    # And comes in when its groundwork does.
    found = built([a, c, *theirs], [b])
    assert found.late == []
    assert writers.clocks(found.doc) == {7: 3, 8: 1}


@pytest.mark.parametrize("seed", range(30))
def test_a_document_outlives_the_loss_of_any_row(seed: int) -> None:
    updates, everything = writers.session(seed, writers=3, steps=30)
    data = [update.data for update in updates]
    lost = data.pop(Random(seed).randrange(len(data)))
    found = built(data)
    assert found.left_out == []
    full = found.doc.get_update()
    _, whole = waiting.ready(full, crdt.read(full), waiting.Clocks(b"\x00"))
    assert whole
    assert {id(one.update) for one in found.waiting} == {id(data[at]) for at in found.late}
    again = built(data, [lost])
    assert again.late == []
    assert writers.clocks(again.doc) == writers.clocks(everything)
    assert shown(again) == crdt.to_json(everything.get_update())


def test_what_came_loose_is_named_once() -> None:
    a, b, c = writers.typed("abc")
    found = built([a], [b])
    assert [one.update for one in found.loose] == [b]
    # A deletion that is done stays ready as long as the rest of its update waits.
    doc: Doc[Any] = Doc()
    crdt.apply_all(doc, [a, b])
    deletes_and_waits = c[:-1] + bytes.fromhex("01 07 01 00 01")
    struct_of_another = deletes_and_waits.replace(b"\x01\x01\x07\x02", b"\x01\x01\x07\x09", 1)
    first = built([a, b], [struct_of_another])
    assert len(first.loose) == 1
    assert shown(first) == {"t": "b"}
    again = built([a, b, first.loose[0].update], [struct_of_another])
    assert again.loose == []
    assert rows(again.waiting) == [0]
    assert shown(again) == {"t": "b"}
