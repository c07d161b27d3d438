"""Yjs documents and updates: numbers, guarding, applying, what they delete."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from base.errors import AppError
from docstore import crdt, waiting
from docstore.crdt import MalformedUpdate, PoisonUpdate
from docstore.errors import DocumentTooDeep
from tests.e2e import poison
from tests.unit.docstore import writers

NUMBERS = st.integers(min_value=0, max_value=2**53)
CLOCKS = st.dictionaries(NUMBERS, st.integers(min_value=0, max_value=2**31 - 1), max_size=40)

# A value in `array`, and an update of no elements behind something that nobody has.
BEFORE_PANIC = bytes.fromhex("0101ef07000801056172726179017c4150000000")
PANIC = bytes.fromhex("0101ef0701887f0700017900")

# A text, and bytes that hang below one of its characters as if that were a shared type.
BEFORE_ERROR = bytes.fromhex("0101e80700040104746578740375767700")
ERROR = bytes.fromhex("010101070344e807000368617400")


def document(*updates: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    return doc


# ---------------------------------------------------------------- numbers


@given(NUMBERS, st.binary(max_size=4), st.binary(max_size=4))
def test_a_number_is_read_back_where_it_was_written(
    number: int, before: bytes, after: bytes
) -> None:
    written = crdt.write_var_uint(number)
    assert crdt.read_var_uint(before + written + after, len(before)) == (
        number,
        len(before) + len(written),
    )


@pytest.mark.parametrize("cut", [b"", b"\x80", b"\xff\xff", b"\x80" * 12])
def test_a_number_cut_short_or_endless_is_malformed(cut: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        crdt.read_var_uint(cut, 0)


@given(CLOCKS)
def test_a_state_vector_is_read_back_as_it_was_written(clocks: dict[int, int]) -> None:
    assert crdt.decode_state_vector(crdt.encode_state_vector(clocks)) == clocks


def test_a_state_vector_of_yjs_is_read() -> None:
    doc: Doc[Any] = Doc({"t": Text("hello")}, client_id=77)
    assert crdt.decode_state_vector(doc.get_state()) == {77: 5}
    assert crdt.decode_state_vector(b"\x00") == {}


@given(st.binary(max_size=30))
def test_any_bytes_are_a_state_vector_or_malformed(data: bytes) -> None:
    try:
        clocks = crdt.decode_state_vector(data)
    except MalformedUpdate:
        return
    assert len(clocks) <= len(data)


@given(CLOCKS, NUMBERS)
def test_one_line_of_a_state_vector_is_found_without_reading_the_others(
    clocks: dict[int, int], stranger: int
) -> None:
    state = crdt.encode_state_vector(clocks)
    for client in [*clocks, stranger]:
        found = crdt.clock_in(state, crdt.write_var_uint(client))
        assert found == clocks.get(client, 0)


def test_a_clock_is_not_taken_for_a_client() -> None:
    # Small numbers everywhere: every one of them is a client, a clock and part of another number.
    clocks = {client: (client * 7) % 5 for client in range(300)} | {2**32 - 1: 1}
    state = crdt.encode_state_vector(clocks)
    for client, clock in clocks.items():
        assert crdt.clock_in(state, crdt.write_var_uint(client)) == clock


# ---------------------------------------------------------------- guarding


@pytest.mark.parametrize("wrong", [b"", b"\x01", b"\x80", b"\xff" * 9, b"garbage", b"\x00\x01"])
def test_bytes_that_are_no_update_are_malformed_everywhere(wrong: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        crdt.apply_all(document(), [wrong])
    with pytest.raises(MalformedUpdate):
        crdt.read(wrong)
    with pytest.raises(MalformedUpdate):
        crdt.read(wrong)
    with pytest.raises(MalformedUpdate):
        crdt.to_json(wrong)
    with pytest.raises(MalformedUpdate):
        crdt.is_integrated(wrong, b"\x00")


@pytest.mark.parametrize(
    ("before", "poison", "message"),
    [(BEFORE_PANIC, PANIC, "PanicException"), (BEFORE_ERROR, ERROR, "RuntimeError")],
)
def test_what_panics_or_fails_half_way_is_poison(
    before: bytes, poison: bytes, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PoisonUpdate, match=message):
        crdt.apply_all(document(before), [poison])
    capfd.readouterr()  # Rust reports its panics on stderr


def test_what_panics_is_refused_when_it_is_read() -> None:
    crdt.read(BEFORE_PANIC)
    with pytest.raises(MalformedUpdate, match="of no length"):
        crdt.read(PANIC)


def test_what_fails_half_way_is_read_and_does_not_wait() -> None:
    """So the guard is needed."""
    for update in (poison.HALF.groundwork, poison.HALF.update):
        crdt.read(update)
    clocks = waiting.Clocks(document(poison.HALF.groundwork).get_state())
    ready, whole = waiting.ready(poison.HALF.update, crdt.read(poison.HALF.update), clocks)
    assert whole
    assert ready == poison.HALF.update
    doc = document(poison.HALF.groundwork)
    with pytest.raises(PoisonUpdate, match="RuntimeError"):
        crdt.apply_all(doc, [ready])


def test_a_panic_is_known_by_its_name_since_it_is_no_exception() -> None:
    with pytest.raises(BaseException, match="unwrap") as caught:
        document(BEFORE_PANIC, PANIC)
    assert not isinstance(caught.value, Exception)
    assert crdt.is_poison(caught.value)


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_ways_to_end_a_program_pass_the_guard(end: type[BaseException]) -> None:
    with pytest.raises(end), crdt.guarded():
        raise end
    assert not crdt.is_poison(end())


def test_errors_with_a_code_pass_the_guard() -> None:
    with pytest.raises(AppError), crdt.guarded():
        raise DocumentTooDeep


def test_memory_errors_and_observers_errors_are_poison() -> None:
    for error in (MemoryError(), RuntimeError("x"), ExceptionGroup("x", [KeyError()])):
        with pytest.raises(PoisonUpdate) as caught, crdt.guarded():
            raise error
        assert caught.value.__cause__ is error


# ---------------------------------------------------------------- documents


def test_applying_all_emits_one_change() -> None:
    updates, _ = writers.session(3, writers=2, steps=30)
    doc = document()
    changes: list[bytes] = []
    subscription = doc.observe(lambda event: changes.append(event.update))
    crdt.apply_all(doc, [update.data for update in updates])
    doc.unobserve(subscription)
    assert len(changes) == 1


def test_many_are_applied_in_several_changes() -> None:
    letters = writers.typed("x" * 2_500)
    doc = document()
    changes: list[bytes] = []
    subscription = doc.observe(lambda event: changes.append(event.update))
    crdt.apply_all(doc, letters)
    doc.unobserve(subscription)
    assert len(changes) == 3
    assert crdt.to_json(doc.get_update()) == {"t": "x" * 2_500}


# ---------------------------------------------------------------- deletions


def test_an_update_without_structs_has_no_sections() -> None:
    assert crdt.read(crdt.NOTHING) == ([], [], 0, 0)
    doc: Doc[Any] = Doc({"m": Map({"a": 1})}, client_id=9)
    emitted: list[bytes] = []
    subscription = doc.observe(lambda event: emitted.append(event.update))
    del doc["m"]["a"]
    doc.unobserve(subscription)
    assert crdt.read(emitted[0]).sections == []
    assert crdt.delete_ranges(emitted[0], 1) == [(9, 0, 1)]


def test_a_delete_set_with_something_behind_it_is_malformed() -> None:
    with pytest.raises(MalformedUpdate):
        crdt.delete_ranges(b"\x00\x00")
    assert crdt.delete_ranges(bytes.fromhex("02 05 02 00 01 04 02 03 01 01 01")) == [
        (5, 0, 1),
        (5, 4, 2),
        (3, 1, 1),
    ]
