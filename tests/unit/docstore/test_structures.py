"""Structs of every kind in every place: whatever we let yrs have, the document outlives it.

That is: what changed can be told to others and stored, and the document made anew of what is
stored is the same document.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pycrdt
import pytest

from docstore import crdt, loading, numbers, outline, waiting
from tests.unit.docstore import structures, writers

CASES = 500
"""For each seed."""


@cache
def groundwork(seed: int) -> tuple[bytes, ...]:
    """What honest people wrote before."""
    updates, _ = writers.session(seed, writers=3, steps=14)
    return tuple(update.data for update in updates)


class Keeper:
    """A document, its journal, and what waits: the room's way with updates, in little."""

    def __init__(self, ground: tuple[bytes, ...]) -> None:
        self.journal: list[bytes] = []
        self.stored: list[waiting.Waiting] = []
        """Rows of the journal that waited when they came; they stay there."""
        self.kept: list[waiting.Waiting] = []
        """Those that wait still."""
        self.ends: Counter[str] = Counter()
        """What became of the updates."""
        self._open(pycrdt.Doc())
        for update in ground:
            self.take(update)

    def _open(self, doc: pycrdt.Doc[Any]) -> None:
        self.doc = doc
        self._emitted: list[bytes] = []
        self._subscription = doc.observe(lambda event: self._emitted.append(event.update))

    def take(self, update: bytes) -> None:
        """Apply what is ready of an update, and what comes loose with it."""
        try:
            found = crdt.read(update)
        except crdt.MalformedUpdate:
            self.ends["refused"] += 1
            return
        clocks = waiting.Clocks(self.doc.get_state())
        part, whole = waiting.ready(update, found, clocks)
        try:
            self._apply(part)
        except crdt.MalformedUpdate:
            # yrs could not decode it, so nothing of it is in.
            self.ends["undecodable"] += 1
            return
        except crdt.PoisonUpdate:
            self.ends["poison"] += 1
            self._rebuild()
            return
        assert self.clocks() == {**self.clocks(), **{c: n for c, n in clocks.items() if n}}
        self.ends["whole" if whole else "waits"] += 1
        if not whole:
            self.stored.append(waiting.Waiting(update, outline=found))
            self.kept.append(self.stored[-1])
        try:
            self.kept = waiting.advance(
                self.kept, self.doc.get_state(), lambda _one, ready: self._apply(ready)
            )
        except (crdt.PoisonUpdate, crdt.MalformedUpdate):
            self.ends["poison later"] += 1
            self._rebuild()

    def clocks(self) -> dict[int, int]:
        return numbers.decode_state_vector(self.doc.get_state())

    def _apply(self, update: bytes) -> None:
        self._emitted.clear()
        crdt.apply_all(self.doc, (update,))
        for delta in self._emitted:
            try:
                crdt.read(delta)
            except crdt.MalformedUpdate as unfit:
                # The room does not tell or store what others could not read.
                raise crdt.PoisonUpdate(str(unfit)) from unfit
            if delta != crdt.NOTHING:
                self.journal.append(delta)

    def _rebuild(self) -> None:
        """Begin again from the journal, without what failed."""
        built = loading.build(pycrdt.Doc, loading.prepare(None, self.journal, self.stored))
        assert not built.left_out
        assert not built.late
        self._open(built.doc)
        self.stored = [one for one in self.stored if one not in built.refused]
        self.kept = built.waiting
        self.journal += [one.update for one in built.loose]


def check(keeper: Keeper) -> None:
    """The document can be encoded, stored and made anew."""
    state = keeper.doc.get_state()
    full = keeper.doc.get_update()
    again: pycrdt.Doc[Any] = pycrdt.Doc()
    crdt.apply_all(again, (full,))
    assert again.get_state() == state
    again.get_update()
    # Nothing in it waits: yrs was never given what has to.
    _, whole = waiting.ready(full, outline.outline(full, lenient=True), waiting.Clocks(b"\x00"))
    assert whole
    built = loading.build(pycrdt.Doc, loading.prepare(None, keeper.journal, keeper.stored))
    assert built.doc.get_state() == state
    assert (built.left_out, built.late, built.refused) == ([], [], [])
    assert built.waiting == keeper.kept


def run(seed: int, case: int) -> Counter[str]:
    """One case; what became of its updates."""
    random = Random(f"{seed} {case}")
    keeper = Keeper(groundwork(random.randrange(12)))
    keeper.ends.clear()
    maker = structures.Maker(random)
    for _ in range(random.choice((1, 2, 4, 6))):
        keeper.take(maker.update(keeper.clocks()))
    check(keeper)
    return keeper.ends


@pytest.mark.parametrize("seed", range(6))
def test_a_document_outlives_whatever_is_not_refused(
    seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    ends: Counter[str] = Counter()
    for case in range(CASES):
        ends += run(seed, case)
    capfd.readouterr()  # Rust reports its panics on stderr
    # The mix has every end in it, or it would prove little.
    assert min(ends[end] for end in ("refused", "whole", "waits")) > CASES // 5
