"""How much of an update is ready, against the only judge there is: a document of yrs."""

from __future__ import annotations

from random import Random
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc

from docstore import crdt, outline, readiness, waiting
from docstore.numbers import write_var_uint as number
from tests.unit.docstore import writers


class Receiver:
    """A document that gets of each update what is ready, and keeps the rest."""

    def __init__(self) -> None:
        self.doc: Doc[Any] = Doc()
        self.kept: list[waiting.Waiting] = []

    def hears(self, update: bytes) -> None:
        found = crdt.read(update)
        clocks = waiting.Clocks(self.doc.get_state())
        part, whole = waiting.ready(update, found, clocks)
        self.doc.apply_update(part)
        self.holds_exactly(clocks)
        if not whole:
            self.kept.append(waiting.Waiting(update, outline=found))
        self.kept, _ = waiting.advance_document(self.doc, self.kept, set())

    def holds_exactly(self, clocks: waiting.Clocks) -> None:
        """What was said to be there afterwards is there, and yrs keeps nothing aside."""
        now = writers.clocks(self.doc)
        assert {client: now.get(client, 0) for client in clocks} == clocks
        full = self.doc.get_update()
        fresh = waiting.Clocks(b"\x00")
        _, whole = waiting.ready(full, crdt.read(full), fresh)
        assert whole
        assert fresh == now


def shuffled(seed: int, **size: int) -> tuple[list[bytes], Doc[Any]]:
    updates, everything = writers.session(seed, **size)
    arriving = [update.data for update in updates]
    Random(seed).shuffle(arriving)
    return arriving, everything


def chain(links: int) -> bytes:
    """Sections of one struct each, every one beside a struct of the next; the last waits for none.

    yrs has to meet them in the order that is the worst.
    """
    out = [number(links)]
    for link in range(links):
        client = 10_000 + link
        beside = b"\x84" + number(client + 1) + b"\x00"
        place = beside if link < links - 1 else b"\x04\x01\x01t"
        out.append(b"\x01" + number(client) + b"\x00" + place + b"\x01x")
    return b"".join(out) + b"\x00"


def nothing(_client: int) -> int:
    return 0


# ---------------------------------------------------------------- any order


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_once_everything_has_come_the_order_does_not_matter(start: int) -> None:
    for seed in range(start, start + 50):
        arriving, everything = shuffled(seed, writers=3, steps=20)
        receiver = Receiver()
        for update in arriving:
            receiver.hears(update)
        assert receiver.kept == []
        assert writers.clocks(receiver.doc) == writers.clocks(everything)
        assert crdt.to_json(receiver.doc.get_update()) == crdt.to_json(everything.get_update())


def test_yrs_alone_forgets_some_of_what_came_early() -> None:
    forgotten = 0
    for seed in range(60):
        arriving, everything = shuffled(seed, writers=3, steps=20)
        alone: Doc[Any] = Doc()
        for update in arriving:
            alone.apply_update(update)
        forgotten += writers.clocks(alone) != writers.clocks(everything)
    assert forgotten, "yrs sees by itself now what has come; keeping updates may go"


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    people=st.integers(1, 4),
    steps=st.integers(1, 40),
    order=st.randoms(use_true_random=False),
    share=st.floats(0.1, 1),
)
def test_what_is_lost_holds_up_only_what_needs_it(
    seed: int, people: int, steps: int, order: Random, share: float
) -> None:
    updates, everything = writers.session(seed, writers=people, steps=steps)
    arriving = [update.data for update in updates]
    lost = [update for update in arriving if order.random() > share]
    came = [update for update in arriving if update not in lost]
    order.shuffle(came)
    receiver = Receiver()
    for update in came:
        receiver.hears(update)
    in_order = Receiver()
    for update in arriving:
        if update not in lost:
            in_order.hears(update)
    assert writers.clocks(receiver.doc) == writers.clocks(in_order.doc)
    assert {one.update for one in receiver.kept} == {one.update for one in in_order.kept}
    for update in lost:
        receiver.hears(update)
    assert receiver.kept == []
    assert writers.clocks(receiver.doc) == writers.clocks(everything)
    assert crdt.to_json(receiver.doc.get_update()) == crdt.to_json(everything.get_update())


@pytest.mark.parametrize("seed", range(40))
def test_merged_updates_with_holes_come_in_as_the_holes_are_filled(seed: int) -> None:
    random = Random(seed)
    updates, everything = writers.session(seed, writers=3, steps=25)
    pieces = [update.data for update in updates]
    random.shuffle(pieces)
    receiver = Receiver()
    while pieces:
        count = random.choice((1, 2, 4))
        receiver.hears(pycrdt.merge_updates(*pieces[:count]))
        del pieces[:count]
    assert receiver.kept == []
    assert writers.clocks(receiver.doc) == writers.clocks(everything)
    assert crdt.to_json(receiver.doc.get_update()) == crdt.to_json(everything.get_update())


@pytest.mark.parametrize("seed", range(20))
def test_an_update_that_came_before_changes_nothing(seed: int) -> None:
    arriving, everything = shuffled(seed, writers=3, steps=20)
    receiver = Receiver()
    for update in (*arriving, *arriving[::-1]):
        receiver.hears(update)
    assert receiver.kept == []
    assert crdt.to_json(receiver.doc.get_update()) == crdt.to_json(everything.get_update())
    known = waiting.Clocks(everything.get_state())
    for update in arriving:
        part, whole = waiting.ready(update, crdt.read(update), known)
        assert whole
        assert part[:1] == b"\x00", "structs that are known are not given to yrs"


# ---------------------------------------------------------------- parts


def test_what_is_ready_comes_at_once_and_the_rest_later() -> None:
    # Two letters; the third beside one of client 9; and in it a deletion of theirs.
    update = bytes.fromhex(
        "0103 07 00 0401017402 6162 84 09 00 01 63 84 07 02 01 64".replace(" ", "")
    )
    update = update.replace(b"\x01\x03", b"\x01\x03", 1) + bytes.fromhex(
        "010901 0001".replace(" ", "")
    )
    receiver = Receiver()
    receiver.hears(update)
    assert writers.clocks(receiver.doc) == {7: 2}
    assert crdt.to_json(receiver.doc.get_update()) == {"t": "ab"}
    assert len(receiver.kept) == 1
    receiver.hears(bytes.fromhex("010109000401017401 7a 00".replace(" ", "")))
    assert receiver.kept == []
    assert writers.clocks(receiver.doc) == {7: 4, 9: 1}
    found: Any = crdt.to_json(receiver.doc.get_update())["t"]
    assert sorted(found) == ["a", "b", "c", "d"]


def test_of_a_deletion_what_is_there_is_deleted_at_once() -> None:
    receiver = Receiver()
    receiver.hears(bytes.fromhex("0101070004010174026162 00".replace(" ", "")))
    receiver.hears(bytes.fromhex("00 01 07 01 01 03".replace(" ", "")))
    assert crdt.to_json(receiver.doc.get_update()) == {"t": "a"}
    assert len(receiver.kept) == 1
    receiver.hears(bytes.fromhex("01010702 840701 03 636465 00".replace(" ", "")))
    assert crdt.to_json(receiver.doc.get_update()) == {"t": "ae"}
    assert receiver.kept == []


def test_what_the_document_has_may_need_what_it_has_not() -> None:
    """As nobody honest writes it: a struct of ours, again, beside one that is missing."""
    receiver = Receiver()
    receiver.hears(bytes.fromhex("0101070004010174016100"))
    again = bytes.fromhex("0101 07 00 84 05 00 01 61 00".replace(" ", ""))
    longer = bytes.fromhex("0101 07 00 84 05 00 02 61 62 00".replace(" ", ""))
    for update in (again, longer):
        receiver.hears(update)
        assert writers.clocks(receiver.doc) == {7: 1}
    receiver.hears(bytes.fromhex("0101050004010174017a00"))
    assert receiver.kept == []
    assert writers.clocks(receiver.doc) == {5: 1, 7: 2}


# ---------------------------------------------------------------- entangled


@pytest.mark.parametrize("backwards", [False, True])
def test_entangled_sections_take_no_more_steps_than_there_are(backwards: bool) -> None:
    links = 20_000
    found = outline.outline(chain(links))
    if backwards:
        found.sections.reverse()
    asked = 0

    class Counted(list[outline.Need]):
        """Counts how often a need is looked at."""

        def __getitem__(self, at: int) -> outline.Need:  # pyright: ignore[reportIncompatibleMethodOverride] (no slices)
            nonlocal asked
            asked += 1
            return super().__getitem__(at)

    counted = found._replace(
        sections=[section._replace(needs=Counted(section.needs)) for section in found.sections]
    )
    upto = readiness.reached(counted, nothing)
    assert upto.whole
    assert set(upto.clocks.values()) == {1}
    assert asked <= 3 * links


def test_entangled_sections_with_nothing_to_build_upon_all_wait() -> None:
    found = outline.outline(chain(2_000))
    cut = found._replace(sections=found.sections[:-1])
    upto = readiness.reached(cut, nothing)
    assert not upto.whole
    assert set(upto.clocks.values()) == {0}


def test_sections_that_wait_for_each_other_by_turns_finish() -> None:
    """Two clients, each struct beside the last one of the other."""
    turns = 5_000
    sections: list[bytes] = []
    for client, other in ((7, 8), (8, 7)):
        structs = [b"\x04\x01\x01t\x01x"] if client == 8 else []
        for turn in range(len(structs), turns):
            clock = turn if client == 7 else turn - 1
            structs.append(b"\x84" + number(other) + number(clock) + b"\x01x")
        sections.append(number(turns) + number(client) + b"\x00" + b"".join(structs))
    update = b"\x02" + b"".join(sections) + b"\x00"
    found = outline.outline(update)
    upto = readiness.reached(found, nothing)
    assert upto.whole
    assert upto.clocks == {7: turns, 8: turns}
    receiver = Receiver()
    receiver.hears(update)
    assert writers.clocks(receiver.doc) == {7: turns, 8: turns}


def test_two_that_wait_for_each_other_wait_for_ever() -> None:
    update = bytes.fromhex("02 01 08 00 84 07 00 01 78 01 07 00 84 08 00 01 78 00".replace(" ", ""))
    receiver = Receiver()
    receiver.hears(update)
    assert writers.clocks(receiver.doc) == {}
    assert [one.update for one in receiver.kept] == [update]
