"""Folding computes a snapshot that is as good as the rows, here and in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc

from docstore import aside, crdt, folding, loading, snapshots, waiting
from docstore.errors import SnapshotDamaged
from tests.e2e import poison
from tests.unit.docstore import writers
from tests.unit.docstore.test_crdt import BEFORE_PANIC, PANIC

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random


def opened(*updates: bytes) -> Doc[Any]:
    """What comes of updates in any order."""
    doc: Doc[Any] = Doc()
    waiting.advance_document(doc, map(waiting.Waiting, updates), set())
    return doc


def flagged(updates: Iterable[bytes], state: bytes = b"\x00") -> list[folding.Update]:
    """Rows as a room stores them that gets these updates when it is in this state."""
    clocks = waiting.Clocks(state)
    rows: list[folding.Update] = []
    for update in updates:
        part, whole = waiting.ready(update, crdt.read(update), clocks)
        if whole:
            rows.append(folding.Update(update))
            continue
        if part != crdt.NOTHING:
            rows.append(folding.Update(part))
        rows.append(folding.Update(update, waiting=True))
    return rows


def unpacked(snapshot: snapshots.Packed) -> bytes:
    return snapshots.unpack(snapshot.body, snapshot.size, snapshot.sha256)


def letters(client: int, words: str) -> list[folding.Update]:
    return [folding.Update(update) for update in writers.typed(words, client)]


def waits(row: folding.Update) -> folding.Update:
    return row._replace(waiting=True)


def test_everything_that_is_complete_goes_into_the_snapshot() -> None:
    folded = folding.fold(None, letters(7, "abc"))
    assert folded.staying == ()
    assert folded.client_ids == (7,)
    assert crdt.to_json(unpacked(folded.snapshot)) == {"t": "abc"}


@pytest.mark.parametrize("known", [True, False])
def test_what_waits_is_named_and_comes_in_later(known: bool) -> None:
    """Also what was stored as applied and waits all the same."""
    a, b, c = letters(7, "abc")
    c = c._replace(waiting=known)
    first = folding.fold(None, [a, c])
    assert first.staying == (1,)
    assert crdt.to_json(unpacked(first.snapshot)) == {"t": "a"}
    second = folding.fold(first.snapshot, [c, b])
    assert second.staying == ()
    assert crdt.to_json(unpacked(second.snapshot)) == {"t": "abc"}


HALF = folding.Update(poison.HALF.update)


@pytest.mark.parametrize(
    "spoils", [HALF, waits(HALF), folding.Update(b"no"), folding.Update(b"no", waiting=True)]
)
def test_what_cannot_be_applied_stays_and_the_rest_is_folded(spoils: folding.Update) -> None:
    a, b, c = letters(7, "abc")
    groundwork = folding.Update(poison.HALF.groundwork)
    folded = folding.fold(None, [groundwork, a, spoils, waits(c), b])
    assert folded.staying == (2,)
    assert crdt.to_json(unpacked(folded.snapshot))["t"] == "abc"
    assert folded.client_ids == (7, 200)
    # It is no better and no worse the next time.
    again = folding.fold(folded.snapshot, [spoils, *letters(8, "x")])
    assert again.staying == (0,)
    assert again.client_ids == (8,)


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
    rows = [a, waits(c)]
    assert await aside.fold(first.snapshot, rows) == folding.fold(first.snapshot, rows)


async def test_what_is_wrong_there_is_wrong_here() -> None:
    snapshot = folding.fold(None, letters(7, "ab")).snapshot
    broken = snapshots.pack(b"no state")
    with pytest.raises(crdt.MalformedUpdate, match="Cannot decode"):
        await aside.fold(broken, letters(7, "ab"))
    many = [folding.Update(b"no update")] * (loading.MOST_LEFT_OUT + 1)
    with pytest.raises(crdt.MalformedUpdate, match="Cannot decode"):
        await aside.fold(None, many)
    many = [folding.Update(PANIC)] * (loading.MOST_LEFT_OUT + 1)
    with pytest.raises(crdt.PoisonUpdate, match="PanicException"):
        await aside.fold(None, [folding.Update(BEFORE_PANIC), *many])
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
    journal: list[folding.Update] = []
    for part in range(rounds):
        known = opened(
            b"\x00\x00" if snapshot is None else unpacked(snapshot),
            *(row.payload for row in journal),
        )
        journal += flagged(arriving[part::rounds], known.get_state())
        folded = folding.fold(snapshot, journal)
        snapshot = folded.snapshot
        journal = [journal[at] for at in folded.staying]
    assert snapshot is not None
    after = opened(unpacked(snapshot), *(row.payload for row in journal))
    before = opened(*arriving)
    assert writers.clocks(after) == writers.clocks(before)
    assert crdt.to_json(after.get_update()) == crdt.to_json(before.get_update())
    # And once the rest is there, nothing is missing.
    whole = opened(
        after.get_update(), *(row.payload for row in journal), *(u.data for u in updates)
    )
    assert writers.clocks(whole) == writers.clocks(everything)
    assert crdt.to_json(whole.get_update()) == crdt.to_json(everything.get_update())
