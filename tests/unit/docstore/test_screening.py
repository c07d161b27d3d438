"""Short edits are recognised at a glance, and nothing that needs a closer look is taken for one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

from docstore import crdt, outline, screening
from tests.e2e import poison
from tests.unit.docstore import writers

number = crdt.write_var_uint

Edit = Callable[[Text, "Array[Any]"], None]


def emitted(edit: Edit, client: int = 7) -> bytes:
    """What one edit of a document with a text, an array and a map sends."""
    doc: Doc[Any] = Doc(
        {"t": Text("hello"), "a": Array([1, 2]), "m": Map({"k": 1})}, client_id=client
    )
    made: list[bytes] = []
    subscription = doc.observe(lambda event: made.append(event.update))
    edit(doc.get("t", type=Text), doc.get("a", type=Array[Any]))
    doc.unobserve(subscription)
    (update,) = made
    return update


PLAIN: dict[str, Edit] = {
    "a letter": lambda text, _: text.insert(5, "x"),
    "a letter between others": lambda text, _: text.insert(2, "x"),
    "words": lambda text, _: text.insert(5, "some more words"),
    "a deletion": lambda text, _: text.__delitem__(slice(1, 3)),
    "a number in an array": lambda _, array: array.append(5.0),
    "nothing in an array": lambda _, array: array.append(None),
    "a boolean in an array": lambda _, array: array.insert(1, True),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("client", [7, 2**32 - 1])
def test_one_keystroke_number_or_deletion_is_plain(name: str, client: int) -> None:
    update = emitted(PLAIN[name], client)
    assert screening.is_plain(update)
    crdt.read(update)


NOT_PLAIN: dict[str, Edit] = {
    "text that is not ASCII": lambda text, _: text.insert(5, "ö"),
    "long text": lambda text, _: text.insert(5, "x" * 128),
    "two values": lambda _, array: array.extend([1.0, 2.0]),
    "an array": lambda _, array: array.append([1]),
    "an object": lambda _, array: array.append({"k": 1}),
    "a string": lambda _, array: array.append("x"),
    "a shared type": lambda _, array: array.append(Map({"k": 1})),
    "formatting": lambda text, _: text.insert(5, "x", {"bold": True}),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_everything_else_needs_a_closer_look_and_passes_it(name: str) -> None:
    update = emitted(NOT_PLAIN[name])
    assert not screening.is_plain(update)
    crdt.read(update)


def judged_rightly(update: bytes) -> None:
    """What is plain has one struct or one deletion, and nothing wrong but what it builds upon."""
    if not screening.is_plain(update):
        return
    with contextlib.suppress(outline.Unfit):
        found = outline.outline(update)
        assert sum(one.structs for one in found.sections) + len(found.deletions) == 1
        return
    with pytest.raises(outline.Unfit, match=outline.OWN_FUTURE):
        outline.outline(update)


@given(st.binary(max_size=40))
@example(bytes.fromhex("01010500848500000161ff"))
def test_any_bytes_are_judged_rightly(data: bytes) -> None:
    judged_rightly(data)
    judged_rightly(b"\x01\x01" + data)
    judged_rightly(b"\x01\x01\x05\x07\x84" + data)
    judged_rightly(b"\x01\x01\x05\x07\xc8" + data)
    judged_rightly(b"\x00\x01" + data)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("seed", range(3))
def test_damaged_short_edits_are_judged_rightly(name: str, seed: int) -> None:
    random = Random(seed)
    whole = emitted(PLAIN[name])
    plain = 0
    for _ in range(2_000):
        update = bytearray(whole)
        for _ in range(random.choice((1, 1, 2))):
            at = random.randrange(len(update))
            update[at : at + random.randrange(2)] = random.randbytes(random.randrange(1, 3))
        judged_rightly(bytes(update))
        plain += screening.is_plain(bytes(update))
    assert 100 < plain < 1_900


@pytest.mark.parametrize("name", [*poison.UNREAD, *poison.BRICKS])
def test_of_what_spoils_documents_only_one_that_needs_itself_looks_plain(name: str) -> None:
    spoils = poison.UNREAD[name].update if name in poison.UNREAD else poison.BRICKS[name]
    judged_rightly(spoils)


@pytest.mark.parametrize("seed", range(25))
def test_the_screen_lets_all_pass_that_writers_write(seed: int) -> None:
    updates, everything = writers.session(seed, writers=3, steps=80)
    for update in [*(update.data for update in updates), everything.get_update()]:
        judged_rightly(update)
        crdt.read(update)


def test_a_document_of_many_small_arrays_passes() -> None:
    doc: Doc[Any] = Doc({"events": Map[Any]()})
    with doc.transaction():
        for at in range(5_000):
            doc["events"][f"n{at}"] = [at, 1.5, 60, {"v": at, "u": "uvw" * 3}]
    update = doc.get_update()
    assert update.count(b"u") > outline.DEEPEST
    crdt.read(update)


def test_long_prose_passes() -> None:
    # Full of "uv" and of letters behind "v" that take two and three bytes: never an array.
    prose = "uvuw vé v世 u\x01u " * 20_000
    doc: Doc[Any] = Doc({"a": Array([prose]), "m": Map({prose[:9]: prose})})
    crdt.read(doc.get_update())


# ---------------------------------------------------------------- state vectors


@pytest.mark.parametrize("lines", [200, 50_000_000, 2**32 - 1])
def test_a_state_vector_that_announces_more_than_it_holds_is_refused(lines: int) -> None:
    with pytest.raises(crdt.MalformedUpdate, match="announces more"):
        crdt.screen_state(number(lines) + b"\x05\x01")


@pytest.mark.parametrize("cut", [b"", b"\xff", b"\xff" * 12])
def test_a_state_vector_that_cannot_be_read_is_refused(cut: bytes) -> None:
    with pytest.raises(crdt.MalformedUpdate):
        crdt.screen_state(cut)


def test_state_vectors_of_many_clients_pass() -> None:
    crdt.screen_state(b"\x00")
    crdt.screen_state(crdt.encode_state_vector(dict.fromkeys(range(2**31, 2**31 + 300), 7)))


# ---------------------------------------------------------------- shared types


@given(st.binary(max_size=200))
def test_few_bytes_cannot_hold_dangerously_many_shared_types(data: bytes) -> None:
    assert screening.is_shallow(data)


def test_many_shared_types_are_not_called_shallow() -> None:
    doc: Doc[Any] = Doc({"a": Array[Any]()})
    with doc.transaction():
        for _ in range(outline.DEEPEST + 1):
            doc["a"].append(Map[Any]())
    assert not screening.is_shallow(doc.get_update())
