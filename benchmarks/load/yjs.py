"""Yjs v1 updates by hand: marked updates that merge without losing count, and a scanner for them.

An update of a marked writer types one marker of fixed width, the sequence number in its first
eight characters, behind the writer's last one. Servers may merge as many of them as they like:
the merged update still says which markers it holds, by its clocks and by the text itself.
Every `PARAGRAPH` markers the writer goes back to the top of its text, so that no server pays for
strings that grow with the length of the run.
Pure bytes; knows no sockets and no server.
"""

from __future__ import annotations

from typing import NamedTuple

DIGITS = 8
PARAGRAPH = 1024
FIRST_CLIENT = 20_000
"""Client ids from here on take three bytes as a varint, up to `LAST_CLIENT`."""
LAST_CLIENT = 2**21 - 1

CONTENT_DELETED, CONTENT_STRING, CONTENT_ANY = 1, 4, 8
GC, SKIP = 0, 10
HAS_LEFT, HAS_RIGHT, HAS_KEY = 0x80, 0x40, 0x20


class Range(NamedTuple):
    """Clocks `start` to `stop` (exclusive) of one client."""

    client: int
    start: int
    stop: int


class Scan(NamedTuple):
    """What one update brings: structs by client, and the clocks it deletes."""

    structs: list[Range]
    deletes: list[Range]


def varuint(value: int) -> bytes:
    """lib0's variable length unsigned integer: seven bits a byte, low first."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varbuf(data: bytes) -> bytes:
    """Length and bytes."""
    return varuint(len(data)) + data


def read_varuint(data: bytes, at: int) -> tuple[int, int]:
    """Value and the position behind it."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value = byte & 0x7F
    shift = 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7


class MarkedWriter:
    """Makes the updates of one writer: update number n types marker number n.

    `width` is the width of one marker in characters, 8 or more; what is left is filler.
    """

    def __init__(self, number: int, *, width: int = DIGITS) -> None:
        self.client = FIRST_CLIENT + number
        self.width = width
        self._id = varuint(self.client)
        self._head = b"\x01\x01" + self._id
        self._root = varbuf(b"text-%d" % number)
        self._follow = b"\x84" + self._id
        self._tail = varuint(width)
        self._filler = b"." * (width - DIGITS) + b"\x00"

    def update(self, sequence: int) -> bytes:
        """The update that types marker `sequence` (0, 1, 2, …)."""
        clock = sequence * self.width
        if sequence % PARAGRAPH:
            place = self._follow + varuint(clock - 1)
        elif sequence:
            place = b"\x44" + self._id + varuint(clock - PARAGRAPH * self.width)
        else:
            place = b"\x04\x01" + self._root
        return b"%b%b%b%b%08d%b" % (
            self._head,
            varuint(clock),
            place,
            self._tail,
            sequence,
            self._filler,
        )


def many_entries(entries: int, size: int, *, per_update: int) -> list[bytes]:
    """A large document as updates: `entries` keys of one map, each a string of `size` bytes."""
    client = varuint(FIRST_CLIENT)
    updates: list[bytes] = []
    for first in range(0, entries, per_update):
        count = min(per_update, entries - first)
        parts = [b"\x01", varuint(count), client, varuint(first)]
        for number in range(first, first + count):
            key = b"%08d" % number
            value = (key * (size // DIGITS + 1))[:size]
            parts.append(
                b"\x28\x01" + varbuf(b"regions") + varbuf(key) + b"\x01\x77" + varbuf(value)
            )
        parts.append(b"\x00")
        updates.append(b"".join(parts))
    return updates


def scan(update: bytes) -> Scan:
    """All clock ranges of an update that consists of strings, deleted parts and simple values.

    Raises ValueError on any other content: the generator only sends these.
    """
    structs: list[Range] = []
    clients, at = read_varuint(update, 0)
    for _ in range(clients):
        count, at = read_varuint(update, at)
        client, at = read_varuint(update, at)
        clock, at = read_varuint(update, at)
        start = clock
        for _ in range(count):
            length, at, gap = _struct(update, at)
            if gap:
                if clock > start:
                    structs.append(Range(client, start, clock))
                start = clock + length
            clock += length
        if clock > start:
            structs.append(Range(client, start, clock))
    return Scan(structs, _deletes(update, at))


def _struct(update: bytes, at: int) -> tuple[int, int, bool]:
    """Length in clocks of the struct at `at`, the position behind it, whether it is a gap."""
    info = update[at]
    at += 1
    kind = info & 0x1F
    if kind in (GC, SKIP):
        length, at = read_varuint(update, at)
        return length, at, kind == SKIP
    for flag in (HAS_LEFT, HAS_RIGHT):
        if info & flag:
            _, at = read_varuint(update, at)
            _, at = read_varuint(update, at)
    if not info & (HAS_LEFT | HAS_RIGHT):
        named, at = read_varuint(update, at)
        if named:
            at = _skip_buf(update, at)
        else:
            _, at = read_varuint(update, at)
            _, at = read_varuint(update, at)
        if info & HAS_KEY:
            at = _skip_buf(update, at)
    if kind == CONTENT_DELETED:
        length, at = read_varuint(update, at)
        return length, at, False
    if kind == CONTENT_STRING:
        size, at = read_varuint(update, at)
        text = update[at : at + size]
        return (size if text.isascii() else _utf16(text)), at + size, False
    if kind == CONTENT_ANY:
        count, at = read_varuint(update, at)
        for _ in range(count):
            if update[at] != 0x77:
                raise ValueError("a value that is not a string")
            at = _skip_buf(update, at + 1)
        return count, at, False
    raise ValueError(f"content kind {kind}")


def _deletes(update: bytes, at: int) -> list[Range]:
    deletes: list[Range] = []
    clients, at = read_varuint(update, at)
    for _ in range(clients):
        client, at = read_varuint(update, at)
        count, at = read_varuint(update, at)
        for _ in range(count):
            start, at = read_varuint(update, at)
            length, at = read_varuint(update, at)
            deletes.append(Range(client, start, start + length))
    return deletes


def _skip_buf(update: bytes, at: int) -> int:
    size, at = read_varuint(update, at)
    return at + size


def _utf16(text: bytes) -> int:
    return len(text.decode().encode("utf-16-le")) // 2
