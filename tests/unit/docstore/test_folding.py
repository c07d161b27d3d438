"""Folding computes a snapshot that is as good as the rows, here and in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text

from docstore import aside, crdt, folding, snapshots
from docstore.errors import SnapshotDamaged
from tests.unit.docstore import writers
from tests.unit.docstore.test_crdt import BEFORE_PANIC, PANIC

if TYPE_CHECKING:
    from random import Random


def opened(*updates: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    crdt.apply_all(doc, updates)
    crdt.settle(doc, updates)
    return doc


def unpacked(snapshot: snapshots.Packed) -> bytes:
    return snapshots.unpack(snapshot.body, snapshot.size, snapshot.sha256)


def letters(client: int, words: str) -> list[bytes]:
    doc: Doc[Any] = Doc(client_id=client)
    emitted: list[bytes] = []
    subscription = doc.observe(lambda event: emitted.append(event.update))
    text = doc.get("t", type=Text)
    for letter in words:
        text += letter
    doc.unobserve(subscription)
    return emitted


def test_everything_that_is_complete_goes_into_the_snapshot() -> None:
    folded = folding.fold(None, letters(7, "abc"))
    assert folded.waiting == ()
    assert folded.client_ids == (7,)
    assert crdt.to_json(unpacked(folded.snapshot)) == {"t": "abc"}


def test_what_waits_is_named_and_comes_in_later() -> None:
    a, b, c = letters(7, "abc")
    first = folding.fold(None, [a, c])
    assert first.waiting == (1,)
    assert crdt.to_json(unpacked(first.snapshot)) == {"t": "a"}
    second = folding.fold(first.snapshot, [c, b])
    assert second.waiting == ()
    assert crdt.to_json(unpacked(second.snapshot)) == {"t": "abc"}


def test_only_clients_with_something_new_are_named() -> None:
    first = folding.fold(None, letters(7, "ab"))
    assert folding.fold(first.snapshot, letters(8, "x")).client_ids == (8,)
    assert folding.fold(first.snapshot, letters(7, "ab")).client_ids == ()


def test_a_damaged_snapshot_is_noticed() -> None:
    snapshot = folding.fold(None, letters(7, "ab")).snapshot
    with pytest.raises(SnapshotDamaged):
        folding.fold(snapshot._replace(sha256=bytes(32)), [])


async def test_another_process_folds_alike() -> None:
    first = folding.fold(None, letters(7, "ab"))
    a, _, c = letters(9, "xyz")
    assert await aside.fold(first.snapshot, [a, c]) == folding.fold(first.snapshot, [a, c])


async def test_what_is_wrong_there_is_wrong_here() -> None:
    snapshot = folding.fold(None, letters(7, "ab")).snapshot
    with pytest.raises(crdt.MalformedUpdate, match="Cannot decode"):
        await aside.fold(None, [b"no update"])
    with pytest.raises(crdt.PoisonUpdate, match="PanicException"):
        await aside.fold(None, [BEFORE_PANIC, PANIC])
    with pytest.raises(SnapshotDamaged):
        await aside.fold(snapshot._replace(sha256=bytes(32)), [])


async def test_a_process_that_ends_without_an_answer_is_an_error() -> None:
    wrong: Any = "no update at all"
    with pytest.raises(aside.FoldingFailed, match="status 1: msgspec"):
        await aside.fold(None, [wrong])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    people=st.integers(1, 3),
    steps=st.integers(1, 40),
    order=st.randoms(use_true_random=False),
    share=st.floats(0.2, 1),
    rounds=st.integers(1, 3),
)
def test_folding_loses_nothing(
    seed: int, people: int, steps: int, order: Random, share: float, rounds: int
) -> None:
    """Rows arrive in any order, some never; snapshot and what waits are as good as the rows."""
    updates, everything = writers.session(seed, writers=people, steps=steps)
    arriving = [update.data for update in updates if order.random() < share]
    order.shuffle(arriving)
    snapshot = None
    journal: list[bytes] = []
    for part in range(rounds):
        journal += arriving[part::rounds]
        folded = folding.fold(snapshot, journal)
        snapshot = folded.snapshot
        journal = [journal[at] for at in folded.waiting]
    assert snapshot is not None
    after = opened(unpacked(snapshot), *journal)
    before = opened(*arriving)
    known, folded_known = writers.clocks(before), writers.clocks(after)
    assert all(folded_known[client] >= clock for client, clock in known.items())
    if not journal:
        assert folded_known == known
        assert crdt.to_json(after.get_update()) == crdt.to_json(before.get_update())
    # Else yrs may show more behind a gap than before; what it shows there is not settled.
    # And once the rest is there, nothing is missing.
    crdt.apply_all(after, [update.data for update in updates])
    assert crdt.settle(after, [update.data for update in updates]) == ()
    assert writers.clocks(after) == writers.clocks(everything)
    assert crdt.to_json(after.get_update()) == crdt.to_json(everything.get_update())
