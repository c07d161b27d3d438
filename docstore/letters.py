"""Letters that stand in an array: what no Yjs client writes, Yjs reads, and yrs never stops reading.

In a text letters are pieces of many characters; in an array everything is a value. A hand-made
update can put the one into the other. Yjs then shows one element for each UTF-16 unit. yrs counts
the bytes of UTF-8 instead: it reads on without end where a character takes more than one of them.

So such a piece is made a list of values, one for each unit, in a copy of the state. Ids, clocks and
places stay what they were: an update computed on the copy fits the original. What Yjs shows as half
of a character is U+FFFD here, as everywhere (`docstore/halves.py`).

Only those who read arrays of shared types need this, and only where they meet one character that
takes more than a byte: a string of one may be an honest value. Then the state is looked through
once, at some three microseconds for each struct. Pure: bytes in, bytes out.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple, TypeAlias

from docstore.numbers import write_var_uint
from docstore.outline import Reader, behind_content

_ORIGIN, _RIGHT_ORIGIN, _PARENT_SUB, _CONTENT = 0x80, 0x40, 0x20, 0x1F
_GC, _SKIP = 0, 10
_LETTERS, _TYPE, _VALUES = 4, 7, 8
_ARRAY: Final = 0
_STRING: Final = b"\x77"

Place: TypeAlias = "tuple[int, int]"
"""A client, and a clock of its."""


class Suspicious(Exception):
    """Here may be letters that yrs would not stop reading; `mended` tells."""


def may_be(element: object) -> bool:
    """Whether an element that yrs gave for an index may be one of several such letters."""
    return type(element) is str and len(element) == 1 and element > "\x7f"


def mended(state: bytes) -> bytes | None:
    """A full state of ours with values in place of the letters in arrays; None if it has none.

    Raises outline.Unfit.
    """
    document = _Document(state)
    found = [item for item in document.letters if document.is_in_array(item)]
    if not found:
        return None
    parts: list[bytes] = []
    copied = 0
    for item in found:
        units = state[item.content : item.end]
        parts += (
            state[copied : item.head],
            bytes([item.info & ~_CONTENT | _VALUES]),
            state[item.head + 1 : item.content],
            _values(units),
        )
        copied = item.end
    return b"".join([*parts, state[copied:]])


def _values(content: bytes) -> bytes:
    """A piece of letters as values."""
    reader = Reader(content)
    size = reader.number()
    text = content[reader.at : reader.at + size].decode()
    units = "".join(letter if letter <= "\uffff" else "\ufffd\ufffd" for letter in text)
    values = [_STRING + write_var_uint(len(unit)) + unit for unit in map(str.encode, units)]
    return write_var_uint(len(units)) + b"".join(values)


class _Item(NamedTuple):
    """Where a struct is in the bytes."""

    client: int
    clock: int
    info: int
    head: int
    content: int
    end: int


class _Document:
    """The structs of a full state: what each hangs on, and which are arrays."""

    def __init__(self, state: bytes) -> None:
        self.letters: list[_Item] = []
        """Pieces that are not all ASCII."""
        self._arrays: set[Place] = set()
        self._clocks: dict[int, list[int]] = {}
        """Where each client's structs begin."""
        self._hangs: dict[int, list[tuple[Place | None, bool] | None]] = {}
        """For each of these: its parent, True; or a neighbour that has the same parent, False. None
        if the parent is a root, or is not known any more."""
        reader = Reader(state)
        for _ in range(reader.count(4)):
            self._section(reader)

    def is_in_array(self, item: _Item) -> bool:
        """Whether this stands in an array that is no root."""
        place: Place = (item.client, item.clock)
        passed: list[tuple[int, int]] = []
        while True:
            client, clock = place
            clocks = self._clocks.get(client, [])
            at = bisect_right(clocks, clock) - 1
            if at < 0:
                found = None
                break
            found = self._hangs[client][at]
            if found is None or found[1]:
                break
            passed.append((client, at))
            # A neighbour's neighbour may come later in no state: ids are given in order.
            self._hangs[client][at] = None
            place = found[0] or place
        for client, at in passed:
            self._hangs[client][at] = found
        return found is not None and found[0] in self._arrays

    def _section(self, reader: Reader) -> None:
        count, client, clock = reader.count(2), reader.client(), reader.clock()
        clocks = self._clocks.setdefault(client, [])
        hangs = self._hangs.setdefault(client, [])
        for _ in range(count):
            head = reader.at
            info = reader.byte()
            clocks.append(clock)
            if info in (_GC, _SKIP):
                hangs.append(None)
                clock += reader.number()
                continue
            hangs.append(_parent(reader, info))
            content = reader.at
            if info & _CONTENT == _TYPE and reader.data[content] == _ARRAY:
                self._arrays.add((client, clock))
            length = behind_content(reader, info, client, clock, None)
            if info & _CONTENT == _LETTERS and not reader.data[content : reader.at].isascii():
                self.letters.append(_Item(client, clock, info, head, content, reader.at))
            clock += length


def _parent(reader: Reader, info: int) -> tuple[Place | None, bool] | None:
    """What a struct hangs on; see `_Document`."""
    beside: Place | None = None
    if info & _ORIGIN:
        beside = (reader.client(), reader.clock())
    if info & _RIGHT_ORIGIN:
        right = (reader.client(), reader.clock())
        beside = right if beside is None else beside
    if beside is not None:
        return beside, False
    if reader.byte() == 1:
        reader.text()  # a root, by name
        parent = None
    else:
        parent = (reader.client(), reader.clock()), True
    if info & _PARENT_SUB:
        reader.text()
    return parent
