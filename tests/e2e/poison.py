"""Updates that break yrs, found by mutating honest ones; and the mutator that found them.

Each needs its groundwork first, an honest update of the same author. `test_hostile.py` shows in its
set-up that they still do what they are named after, so that a fixed yrs is noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pycrdt

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator


class Poison(NamedTuple):
    groundwork: bytes
    """An honest update of client 200."""
    update: bytes
    error: str
    """The type of what pycrdt raises when both are applied."""


PANIC = Poison(
    bytes.fromhex("0104c801002101016d0161010101016102a7c80100012800c80103016b0177017601c801010003"),
    bytes.fromhex("0101c801f288c80101027c3f80000044"),
    "PanicException",
)
"""Unwraps a None in Rust: arrives in Python as a BaseException."""

HALF = Poison(
    bytes.fromhex(
        "0106c8010008010161027c3f8000007701782801016d01620177017888c80101017c3f800000"
        "47c80100020400c801040361626388c80103017c3f80000000"
    ),
    bytes.fromhex("0102c8050447c80100020400c801030361626300"),
    "RuntimeError",
)
"""Names a parent that is no type; its first half has been applied by then."""


def error_of(poison: Poison) -> str:
    """What pycrdt raises for it today."""
    doc: pycrdt.Doc[pycrdt.Map[object]] = pycrdt.Doc()
    doc.apply_update(poison.groundwork)
    try:
        doc.apply_update(poison.update)
    except BaseException as error:  # noqa: BLE001 (a PanicException is no Exception)
        return type(error).__name__
    return "nothing"


def honest_updates(luck: random.Random, author: int, count: int) -> list[bytes]:
    """Small edits of every kind by one author, each depending on those before it."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=author)
    settings = doc.get("pattern", type=pycrdt.Map[object])
    lyrics = doc.get("lyrics", type=pycrdt.Text)
    chat = doc.get("chat", type=pycrdt.Array[object])
    made: list[bytes] = []
    vector = doc.get_state()
    for turn in range(count):
        match luck.randrange(5):
            case 0:
                settings[luck.choice(["bpm", "key"])] = turn
            case 1:
                settings["nested"] = pycrdt.Map[object]({"value": turn})
            case 2:
                lyrics.insert(0, luck.choice(["la", "größer", "🥁"]))
            case 3 if len(chat) > 2:
                del chat[luck.randrange(len(chat))]
            case _:
                chat.append(f"line {turn}")
        made.append(doc.get_update(vector))
        vector = doc.get_state()
    return made


def mutations(luck: random.Random, honest: list[bytes]) -> Iterator[bytes]:
    """Endless variations: bytes nudged, replaced, inserted, removed; tails cut off."""
    while True:
        body = bytearray(luck.choice(honest))
        for _ in range(luck.randint(1, 3)):
            at = luck.randrange(len(body))
            match luck.randrange(6):
                case 0 | 1:
                    body[at] = (body[at] + luck.choice([1, -1, 2, 4, 16, 64, 128])) % 256
                case 2:
                    body[at] = luck.randrange(256)
                case 3:
                    body.insert(at, luck.randrange(256))
                case 4 if len(body) > 1:
                    del body[at]
                case _:
                    del body[max(at, 1) :]
        yield bytes(body)
