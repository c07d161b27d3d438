"""Updates that take the process down are refused before yrs sees them; honest ones are not.

What yrs would do with the bombs is tried in a process of its own, so that these tests say when a
newer yrs no longer needs this.
"""

from __future__ import annotations

import subprocess
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map

from docstore import crdt, screening
from tests.unit.docstore import writers

number = crdt.write_var_uint


def update_of(value: bytes, count: int = 1) -> bytes:
    """An update that puts one plain value, already encoded, into the array `a`."""
    return b"\x01\x01\x05\x00\x08\x01\x01a" + number(count) + value + b"\x00"


def nested_arrays(depth: int) -> bytes:
    return update_of(b"\x75\x01" * depth + b"\x7e")


def nested_objects(depth: int, keys: int = 1) -> bytes:
    return update_of((b"\x76" + number(keys) + b"\x01k") * depth + b"\x7e")


def subdocument(depth: int) -> bytes:
    return b"\x01\x01\x05\x00\x09\x01\x01a\x04guid" + b"\x75\x01" * depth + b"\x7e\x00"


BOMBS = {
    "arrays": nested_arrays(100_000),
    "objects": nested_objects(100_000),
    "options of a document": subdocument(100_000),
    "arrays that are not the first thing in what they are in": update_of(
        b"\x75\x03\x7e\x77\x05words" * 60_000 + b"\x7e"
    ),
    "arrays with lengths spelled out": update_of(b"\x75\x81\x80\x00" * 60_000 + b"\x7e"),
    "arrays behind a long harmless part": update_of(
        b"\x77" + number(50_000) + b"x" * 50_000 + b"\x75\x01" * 60_000 + b"\x7e", count=2
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_depth_bomb_is_refused(name: str) -> None:
    with pytest.raises(crdt.MalformedUpdate, match="nested deeper than 4000"):
        crdt.screen(BOMBS[name])
    with pytest.raises(crdt.MalformedUpdate, match="nested deeper than 4000"):
        crdt.to_json(BOMBS[name])


@pytest.mark.parametrize("name", ["arrays", "objects", "options of a document"])
def test_without_the_screen_a_depth_bomb_ends_the_process(name: str) -> None:
    program = "import sys, pycrdt; pycrdt.Doc().apply_update(sys.stdin.buffer.read())"
    ended = subprocess.run([sys.executable, "-c", program], input=BOMBS[name], check=False)
    assert ended.returncode < 0, "yrs survives this now; the screen may be loosened"


def test_what_passes_the_screen_does_not_end_the_process() -> None:
    deepest = (
        nested_arrays(screening.DEEPEST),
        nested_objects(screening.DEEPEST),
        subdocument(3999),
    )
    for update in deepest:
        crdt.screen(update)
        doc: Doc[Any] = Doc()
        doc.apply_update(update)
        copy: Doc[Any] = Doc()
        copy.apply_update(doc.get_update())
        assert copy.get_state() == doc.get_state()


@pytest.mark.parametrize("depth", [screening.DEEPEST, screening.DEEPEST + 1])
def test_the_limit_is_where_it_says(depth: int) -> None:
    for update in (nested_arrays(depth), nested_objects(depth)):
        assert (screening.update_fault(update) is None) == (depth <= screening.DEEPEST)


@pytest.mark.parametrize("depth", [1, 2, 30])
@pytest.mark.parametrize("keys", [20_000, 100_000_000, 2**32 - 1])
def test_an_object_that_announces_more_keys_than_fit_is_refused(depth: int, keys: int) -> None:
    with pytest.raises(crdt.MalformedUpdate, match="announces more"):
        crdt.screen(nested_objects(depth, keys))


def test_claims_that_fit_one_by_one_but_not_together_are_refused() -> None:
    claims = update_of(
        (b"\x76" + number(20_000) + b"\x01k") * 3 + b"\x74" + number(40_000) + b"x" * 40_000
    )
    with pytest.raises(crdt.MalformedUpdate, match="announces more"):
        crdt.screen(claims)


def test_a_count_of_clients_that_cannot_be_is_refused() -> None:
    for clients in (200, 50_000_000, 2**32 - 1):
        with pytest.raises(crdt.MalformedUpdate, match="announces more"):
            crdt.screen(number(clients) + b"\x01\x05\x00")
        with pytest.raises(crdt.MalformedUpdate, match="announces more"):
            crdt.screen_state(number(clients) + b"\x05\x01")
    for cut in (b"", b"\xff", b"\xff" * 12):
        with pytest.raises(crdt.MalformedUpdate):
            crdt.screen_state(cut)
    crdt.screen_state(b"\x00")
    crdt.screen_state(crdt.encode_state_vector(dict.fromkeys(range(2**31, 2**31 + 300), 7)))


def test_an_object_with_many_keys_passes() -> None:
    doc: Doc[Any] = Doc({"a": Array([{f"k{at}": at for at in range(20_000)}])})
    update = doc.get_update()
    assert screening._LARGE_OBJECT.search(update)
    crdt.screen(update)


def test_a_document_of_many_small_arrays_passes() -> None:
    doc: Doc[Any] = Doc({"events": Map[Any]()})
    with doc.transaction():
        for at in range(5_000):
            doc["events"][f"n{at}"] = [at, 1.5, 60, {"v": at, "u": "uvw" * 3}]
    update = doc.get_update()
    assert update.count(b"u") > screening.DEEPEST
    crdt.screen(update)


def test_long_prose_passes() -> None:
    # Full of "uv" and of letters behind "v" that take two and three bytes: never an array.
    prose = "uvuw vé v世 u\x01u " * 20_000
    doc: Doc[Any] = Doc({"a": Array([prose]), "m": Map({prose[:9]: prose})})
    crdt.screen(doc.get_update())


@pytest.mark.parametrize("seed", range(25))
def test_the_walk_knows_every_struct_that_writers_write(seed: int) -> None:
    updates, everything = writers.session(seed, writers=3, steps=80)
    for update in [*(update.data for update in updates), everything.get_update()]:
        assert screening._walk(update) is None
        assert screening.update_fault(update) is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers(-(2**53), 2**53)
    | st.binary()
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=40,
)


@given(st.lists(VALUES, max_size=4), st.dictionaries(st.text(), VALUES, max_size=4))
def test_the_walk_knows_every_plain_value(elements: list[Any], keys: dict[str, Any]) -> None:
    doc: Doc[Any] = Doc({"a": Array(elements), "m": Map(keys)})
    assert screening._walk(doc.get_update()) is None


def test_an_empty_object_at_the_very_end_passes() -> None:
    empty: dict[str, Any] = {}
    doc: Doc[Any] = Doc({"a": Array([{"k": b"v\xbb\x9f\xf6", "l": [empty]}])})
    update = doc.get_update()
    assert screening._LARGE_OBJECT.search(update)
    crdt.screen(update)


@given(st.binary(max_size=200))
def test_any_bytes_are_judged_without_an_error(data: bytes) -> None:
    for judge in (screening.update_fault, screening._walk, screening.state_fault):
        fault = judge(data)
        assert fault is None or fault
    assert screening.is_shallow(data)


@pytest.mark.parametrize("seed", range(4))
def test_what_the_walk_refuses_yrs_refuses_too(seed: int) -> None:
    """But for damage that gives a struct a form that Yjs does not write: one in twenty at most."""
    random = Random(seed)
    updates, _ = writers.session(seed, writers=2, steps=60)
    refused = taken = 0
    for _ in range(3_000):
        damaged = bytearray(random.choice(updates).data)
        damaged[random.randrange(len(damaged))] = random.randrange(256)
        if screening._walk(bytes(damaged)) is None:
            continue
        refused += 1
        try:
            with crdt.guarded():
                Doc[Any]().apply_update(bytes(damaged))
        except (crdt.MalformedUpdate, crdt.PoisonUpdate):
            continue
        taken += 1
    assert refused > 100
    assert taken * 20 <= refused
