"""lib0's numbers of variable length, and the state vectors that are made of them (no I/O, no yrs)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTINUED: Final = bytes(range(0x80, 0x100))
"""Bytes that are not the last of their number."""


class MalformedUpdate(ValueError):
    """The bytes cannot be read as an update. No document has been changed."""


def read_var_uint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends. Raises MalformedUpdate for one cut short or too long."""
    try:
        byte = data[at]
        at += 1
        if byte < 0x80:
            return byte, at
        number = byte & 0x7F
        shift = 7
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, at
            shift += 7
            if shift > 63:
                raise MalformedUpdate("a number of more than 64 bits")
    except IndexError:
        raise MalformedUpdate("the data ends within a number") from None


def write_var_uint(number: int) -> bytes:
    """A number in lib0's variable length, 7 bits a byte, lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode_state_vector(state: bytes) -> dict[int, int]:
    """What a state vector says: how many structs' clocks are known of each client.

    Raises MalformedUpdate.
    """
    count, at = read_var_uint(state, 0)
    clocks: dict[int, int] = {}
    for _ in range(count):
        client, at = read_var_uint(state, at)
        clocks[client], at = read_var_uint(state, at)
    if at != len(state):
        raise MalformedUpdate("data behind a state vector")
    return clocks


def encode_state_vector(clocks: Mapping[int, int]) -> bytes:
    """The state vector that says this."""
    parts = [write_var_uint(len(clocks))]
    for client, clock in clocks.items():
        parts += (write_var_uint(client), write_var_uint(clock))
    return b"".join(parts)


@lru_cache(maxsize=32)
def clock_in(state: bytes, client: bytes) -> int:
    """What a state vector says of one client (as its number is written); 0 if nothing.

    Bytes that look like the client may be part of another number, or somebody's clock. A number
    begins behind a byte below 0x80, and the numbers before a client are odd in number: the count
    of lines, and two for each. Remembered, since a burst asks the same state about few clients.
    """
    numbers = counted = 0
    at = state.find(client, 1)
    while at > 0:
        if state[at - 1] < 0x80:
            numbers += len(state[counted:at].translate(None, _CONTINUED))
            counted = at
            if numbers % 2:
                return read_var_uint(state, at + len(client))[0]
        at = state.find(client, at + 1)
    return 0
