"""lib0's variable-length numbers and byte strings, as every Yjs protocol writes them.

Readers take any bytes and never raise. They return the value and the position after it; where the
bytes end early, or the number is larger than a JavaScript client could hold, the position is -1.
A negative position is passed on, so a run of reads may be checked once, at its end. Knows nothing
of messages, documents or sockets.

Plain functions rather than a reader object that carries the position: a frame is mostly two
one-byte numbers and one length, and building an object for it took 0.80 microseconds where these
take 0.56.
"""

from __future__ import annotations

from typing import Final

from docstore import numbers

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""The largest number a JavaScript client reads back; lib0 throws at anything above it."""

# Shifts of the second to the eighth byte. Eight bytes carry 56 bits: room for 53, and an end.
_SHIFTS: Final = (7, 14, 21, 28, 35, 42, 49)

# Message types, counts and most lengths are below this. One look-up takes 0.07 microseconds,
# computing two bytes 0.16 to 0.25; a table of every two-byte number would hold 0.7 MB.
_TABLE_SIZE: Final = 2048
_TABLE: Final = tuple(
    bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(_TABLE_SIZE)
)


def read_var_uint(data: bytes | memoryview, pos: int) -> tuple[int, int]:
    """The number at `pos` and the position after it; (0, -1) if it cannot be read.

    At most 8 bytes and 53 bits. Padding with empty high bytes is accepted, as lib0 does.
    """
    if pos >= 0:
        try:
            byte = data[pos]
            if byte < 128:
                return byte, pos + 1
            number = byte & 127
            for shift in _SHIFTS:
                pos += 1
                byte = data[pos]
                number |= (byte & 127) << shift
                if byte < 128:
                    return (number, pos + 1) if number <= MAX_SAFE_INTEGER else (0, -1)
        except IndexError:
            pass
    return 0, -1


def read_var_bytes(data: bytes | memoryview, pos: int) -> tuple[bytes, int]:
    """The length-prefixed bytes at `pos`, copied, and the position after them; (b"", -1) if not.

    The length is compared with what is there before anything is copied, so a frame that promises
    a petabyte costs nothing.
    """
    length, start = read_var_uint(data, pos)
    end = start + length
    if start < 0 or end > len(data):
        return b"", -1
    return bytes(data[start:end]), end


def write_var_uint(number: int) -> bytes:
    """The number as lib0 writes it, 1 to 8 bytes.

    Raises ValueError below 0 and above MAX_SAFE_INTEGER: the numbers that we write are our own.
    """
    if 0 <= number < _TABLE_SIZE:
        return _TABLE[number]
    if not 0 <= number <= MAX_SAFE_INTEGER:
        raise ValueError(f"not a number that lib0 can carry: {number}")
    return numbers.write_var_uint(number)


def var_bytes(body: bytes) -> bytes:
    """The bytes with their length before them (lib0's varUint8Array, and varString for UTF-8)."""
    return write_var_uint(len(body)) + body
