"""Damaged updates: nothing but MalformedUpdate and PoisonUpdate comes out of the guarded path."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from pycrdt import Doc

from docstore import crdt
from docstore.errors import DocumentTooDeep
from tests.unit.docstore import writers

ROUNDS = 2_000
PLAYED = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x75, 0x76)
"""Bytes that mean much: ends of numbers, "continued", heads of arrays and objects."""


def damaged(random: Random, updates: list[bytes]) -> bytes:
    """An update with one to four things wrong with it."""
    data = bytearray(random.choice(updates))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(data)) if data else 0
        match random.randrange(6):
            case 0:
                data[at : at + 1] = random.randbytes(1)
            case 1:
                data[at : at + 1] = bytes((random.choice(PLAYED),))
            case 2:
                del data[at : at + random.randrange(1, 4)]
            case 3:
                data[at:at] = random.randbytes(random.randrange(1, 4))
            case 4:
                del data[at:]
            case _:
                other = random.choice(updates)
                start = random.randrange(len(other))
                data[at : at + 8] = other[start : start + 8]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_updates_are_malformed_or_poison_or_taken(
    seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    updates, everything = writers.session(seed, writers=3, steps=120)
    whole = everything.get_update()
    pieces = [update.data for update in updates] + [whole]
    random = Random(seed)
    outcomes: Counter[str] = Counter()
    for _ in range(ROUNDS):
        outcomes[outcome(whole, damaged(random, pieces))] += 1
    capfd.readouterr()  # Rust reports its panics on stderr
    assert sum(outcomes.values()) == ROUNDS
    # The mix has every outcome in it, or it would prove nothing.
    assert outcomes["taken"] > ROUNDS // 20
    assert outcomes["malformed"] > ROUNDS // 20
    assert outcomes["poison"] > 0


def outcome(whole: bytes, update: bytes) -> str:
    """What became of an update, on a document with something in it. Other errors fail the test."""
    doc: Doc[Any] = Doc()
    doc.apply_update(whole)
    try:
        crdt.apply_all(doc, [update])
    except crdt.MalformedUpdate:
        # Decoding fails before anything is applied.
        assert writers.clocks(doc) == writers.clocks(document(whole))
        return "malformed"
    except crdt.PoisonUpdate:
        return "poison"
    try:
        crdt.is_integrated(update, doc.get_state())
        with crdt.guarded():
            full = doc.get_update()
        crdt.to_json(full)
    except (crdt.MalformedUpdate, crdt.PoisonUpdate, DocumentTooDeep):
        return "poison"
    return "taken"


def document(update: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return doc
