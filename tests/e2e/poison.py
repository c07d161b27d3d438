"""Updates that break yrs, found by mutating honest ones; and the mutator that found them.

A `Poison` needs its groundwork first, an honest update of client 200. `test_hostile.py` shows in its
set-up that it still does what it is named after, so that a fixed yrs is noticed.
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


HALF = Poison(
    bytes.fromhex("0101c8010008010161017e00"),
    bytes.fromhex("0102c8010188c8010001792800c801000178017e00"),
    "RuntimeError",
)
"""Names a parent that is no type; its first half has been applied by then."""

UNREAD = {
    "a panic": Poison(
        bytes.fromhex(
            "0104c801002101016d0161010101016102a7c80100012800c80103016b0177017601c801010003"
        ),
        bytes.fromhex("0101c801f288c80101027c3f80000044"),
        "PanicException",
    ),
}
"""Updates that break yrs, too, and are refused before it sees them."""

BRICKS = {
    "a deletion mark of no length": bytes.fromhex("010164010000002801016d0178017c3f80000000"),
    "JSON of no length": bytes.fromhex("010107000201016d00000178017c3f000000"),
    "clocks that run over": bytes.fromhex("01030701000100ffffffff0f000100"),
    "a value of no length": bytes.fromhex("0101070008010161000000"),
    "text that is not UTF-8": bytes.fromhex("0101070004010161 02c328 00".replace(" ", "")),
    "a section without structs": bytes.fromhex("0100070000"),
    "a gap at the beginning": bytes.fromhex("010207000a0188070001016100"),
    "a client twice": bytes.fromhex("0201070004010161016101070104010161016100"),
    "an origin in its own future": bytes.fromhex("010107008407050161 00".replace(" ", "")),
    "bytes behind the end": bytes.fromhex("01010700040101610161000000"),
}
"""Updates that yrs may take, after which it cannot encode or load the document, or others cannot
read it."""


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
