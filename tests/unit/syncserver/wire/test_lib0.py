"""lib0's numbers and strings: the known bytes, the limits, and that no bytes raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncserver.wire import lib0

numbers = st.one_of(
    st.integers(0, 300),
    st.integers(0, lib0.MAX_SAFE_INTEGER),
    st.integers(0, 53).map(lambda bits: 2**bits - 1),
    st.integers(0, 52).map(lambda bits: 2**bits),
)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (2047, "ff0f"),
        (2048, "8010"),
        (16_384, "808001"),
        (2**32 - 1, "ffffffff0f"),
        (2**53 - 1, "ffffffffffffff0f"),
    ],
)
def test_numbers_are_written_and_read_as_lib0_does(number: int, written: str) -> None:
    data = bytes.fromhex(written)
    assert lib0.write_var_uint(number) == data
    assert lib0.read_var_uint(data, 0) == (number, len(data))


@given(number=numbers, before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_a_number_comes_back_from_the_middle_of_a_message(
    number: int, before: bytes, after: bytes
) -> None:
    written = lib0.write_var_uint(number)
    found = (number, len(before) + len(written))
    assert lib0.read_var_uint(before + written + after, len(before)) == found
    assert lib0.read_var_uint(memoryview(before + written + after), len(before)) == found


@pytest.mark.parametrize("number", [-1, 2**53])
def test_a_number_that_lib0_cannot_carry_is_not_written(number: int) -> None:
    with pytest.raises(ValueError, match="lib0"):
        lib0.write_var_uint(number)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\xff" * 7,
        b"\xff" * 7 + b"\x10",  # 2**53
        b"\xff" * 7 + b"\x7f",  # 56 bits
        b"\x80" * 8 + b"\x00",  # nine bytes
        b"\xff" * 100,
    ],
)
def test_a_number_that_ends_early_or_is_too_large_is_not_read(data: bytes) -> None:
    assert lib0.read_var_uint(data, 0) == (0, -1)


def test_padding_is_read_as_lib0_does() -> None:
    assert lib0.read_var_uint(b"\x81\x80\x00", 0) == (1, 3)


def test_a_failure_is_passed_on() -> None:
    assert lib0.read_var_uint(b"\x01\x02", -1) == (0, -1)
    assert lib0.read_var_bytes(b"\x01\x02", -1) == (b"", -1)


@given(body=st.binary(max_size=300), after=st.binary(max_size=3))
def test_bytes_come_back_with_their_length(body: bytes, after: bytes) -> None:
    written = lib0.var_bytes(body)
    assert lib0.read_var_bytes(written + after, 0) == (body, len(written))


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x05abcd", b"\xff\xff\xff\xff\xff\xff\xff\x0f"])
def test_bytes_that_are_not_all_there_are_not_read(data: bytes) -> None:
    assert lib0.read_var_bytes(data, 0) == (b"", -1)


@given(data=st.binary(max_size=40), pos=st.integers(0, 60))
def test_any_bytes_are_read_without_an_exception_or_a_step_outside(data: bytes, pos: int) -> None:
    for _, after in (lib0.read_var_uint(data, pos), lib0.read_var_bytes(data, pos)):
        assert after == -1 or pos < after <= len(data)
