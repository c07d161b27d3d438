"""What an update says of itself: which clocks it writes, what it builds upon, what it deletes.

Read without yrs and without recursion, believing nothing that the bytes only announce. Three ends:

* What no Yjs client writes and yrs cannot bear is refused before yrs sees it. Structs of no
  length, clocks beyond 31 bits, sections that are empty or begin with a gap, text that is not
  UTF-8, values nested thousands deep: yrs takes some of them, and afterwards the document cannot
  be encoded, or cannot be loaded, or other clients cannot read it, or the process is gone.
* What an update needs that a document does not have is known before it is applied, so that yrs
  gets the part that is ready and we keep the rest; see `docstore/readiness.py`.
* Where texts are cut is seen (`Witness`); see `docstore/halves.py`.

Pure. The format is Yjs's update encoding, version 1 (yjs: `src/utils/encoding.js`,
`UpdateEncoder.js`). About 2.5 microseconds for each struct.
"""

from __future__ import annotations

import bisect
import re
from typing import Final, NamedTuple, Protocol

from docstore.numbers import MalformedUpdate

DEEPEST: Final = 4000
"""Levels that plain values may be nested: far more than music needs, far less than the stack
holds. yrs reads them by calling itself, and 25,000 levels are a segmentation fault."""

END_OF_CLOCKS: Final = 2**31
"""Clocks stay below: yrs counts in 32 bits, and sums must not run over."""

_END_OF_CLIENTS: Final = 2**53
"""Clients stay below: no JavaScript client can read more."""

_NUMBER: Final = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")

_ORIGIN, _RIGHT_ORIGIN, _PARENT_SUB, _CONTENT = 0x80, 0x40, 0x20, 0x1F
"""Bits of a struct's first byte. The last five say what is in it; 16 and more mean nothing."""

_GC, _SKIP = 0, 10
"""Structs that are no items."""

_DELETED, _TEXT = 1, 4
"""What may be in an item, where it matters."""

_XML_ELEMENT: Final = 3
_PLAIN_TYPES: Final = frozenset({0, 1, 2, 4, 6})
"""Array, map, text, XML fragment, XML text."""

_FIXED: Final = {0x7A: 8, 0x7B: 8, 0x7C: 4, 0x78: 0, 0x79: 0, 0x7E: 0, 0x7F: 0}
"""Bytes behind a tag: big integer, double, float, true, false, null, undefined."""

UNREADABLE: Final = "is not an update that Yjs would write"
TOO_DEEP: Final = f"has values nested deeper than {DEEPEST} levels"
TOO_MANY: Final = "announces more than there is in it"
NO_LENGTH: Final = "has structs or deletions of no length"
OUT_OF_CLOCKS: Final = "counts further than clocks go"
NOT_UTF8: Final = "has text that is not UTF-8"
ODD_SECTIONS: Final = "has sections that are empty, come twice, or begin or end with a gap"
SEVERAL: Final = "has several values, or text, under one key"
OWN_FUTURE: Final = "builds upon what it has yet to write"


class Unfit(MalformedUpdate):
    """The update is refused; the message says why."""


class Need(NamedTuple):
    """A section's structs from clock `at` on need of `client` everything up to `clock`."""

    at: int
    client: int
    """The section's own where structs are left out: then `clock` is the last of the gap."""
    clock: int
    structs: int
    """How many structs of the section come before `at`."""
    offset: int
    """Where they end, in bytes of the update."""


class Section(NamedTuple):
    """What an update holds of one client: clocks from `clock` up to `end`."""

    client: int
    clock: int
    end: int
    needs: list[Need]
    """By `at`; of each client only those that go beyond the ones before."""
    structs: int
    """Those in `update[start:stop]`."""
    start: int
    stop: int


class Outline(NamedTuple):
    """An update without its contents."""

    sections: list[Section]
    deletions: list[tuple[int, int, int]]
    """Client, clock, length."""
    types: int
    """How many shared types it makes."""
    values: int
    """How many plain values there are in it, those within others counted too."""


class Witness(Protocol):
    """Who wants to know of text, and of the places where structs are cut."""

    def text(self, client: int, clock: int, head: int, at: int, end: int, /) -> None:
        """Text that is not all ASCII begins at `clock`.

        Its bytes are `update[at:end]`, their number is written in `update[head:at]`.
        """
        ...

    def cut(self, client: int, clock: int, /) -> None:
        """Something is inserted or deleted right before this clock."""
        ...


def outline(update: bytes, witness: Witness | None = None, *, lenient: bool = False) -> Outline:
    """Read an update. Raises Unfit for what yrs must not see.

    `lenient`: for what yrs itself has written, where sections may begin with a gap, if it holds
    what should have waited, and several values may be left under a key.
    """
    reader = Reader(update)
    try:
        sections = [_section(reader, witness, lenient=lenient) for _ in range(reader.count(4))]
        if len({section.client for section in sections}) != len(sections):
            raise Unfit(ODD_SECTIONS)
        deletions = _deletions(reader, witness)
    except IndexError:
        raise Unfit(UNREADABLE) from None
    if reader.at != len(update):
        raise Unfit(UNREADABLE)
    if reader.several and not lenient and not _covered(reader.several, deletions):
        raise Unfit(SEVERAL)
    return Outline(sections, deletions, reader.types, reader.values)


def _covered(structs: list[tuple[int, int, int]], deletions: list[tuple[int, int, int]]) -> bool:
    """Whether all of these structs (client, clock, length) are deleted."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    for client, clock, length in sorted(deletions):
        of_client = ranges.setdefault(client, [])
        if of_client and clock <= of_client[-1][1]:
            start, end = of_client[-1]
            of_client[-1] = (start, max(end, clock + length))
        else:
            of_client.append((clock, clock + length))
    for client, clock, length in structs:
        of_client = ranges.get(client, [])
        at = bisect.bisect_right(of_client, (clock, END_OF_CLOCKS)) - 1
        if at < 0 or of_client[at][1] < clock + length:
            return False
    return True


class Reader:
    """A place in an update. Reading past the end raises IndexError, sooner or later."""

    __slots__ = ("at", "data", "several", "types", "values")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.several: list[tuple[int, int, int]] = []
        """Structs under a key that could be cut: client, clock, length. yrs cannot do that."""
        self.types = 0
        self.values = 0

    def byte(self) -> int:
        """One byte."""
        value = self.data[self.at]
        self.at += 1
        return value

    def number(self) -> int:
        """A number of any length up to 64 bits."""
        data, at = self.data, self.at
        value = data[at]
        at += 1
        if value >= 0x80:
            value &= 0x7F
            shift = 7
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += 7
                if shift > 56:
                    raise Unfit(UNREADABLE)
        self.at = at
        return value

    def count(self, least: int) -> int:
        """A number of things, each of at least so many bytes."""
        number = self.number()
        if number * least > len(self.data) - self.at:
            raise Unfit(TOO_MANY)
        return number

    def clock(self) -> int:
        """A clock, of 31 bits."""
        clock = self.number()
        if clock >= END_OF_CLOCKS:
            raise Unfit(OUT_OF_CLOCKS)
        return clock

    def client(self) -> int:
        """A client, of 53 bits."""
        client = self.number()
        if client >= _END_OF_CLIENTS:
            raise Unfit(UNREADABLE)
        return client

    def skip_number(self) -> None:
        """Step over a number of any length."""
        match = _NUMBER.match(self.data, self.at)
        if match is None:
            raise Unfit(UNREADABLE)
        self.at = match.end()

    def skip_bytes(self) -> None:
        """A length and that many bytes."""
        length = self.number()
        self.at += length

    def text(self) -> int:
        """A length and that many bytes of UTF-8; how many of UTF-16's units that is."""
        return self.units(self.number())

    def units(self, size: int) -> int:
        """So many bytes of UTF-8; how many of UTF-16's units that is."""
        start = self.at
        self.at = end = start + size
        data = self.data[start:end]
        if len(data) != size:
            raise Unfit(UNREADABLE)
        if data.isascii():
            return size
        try:
            return len(data.decode().encode("utf-16-le")) // 2
        except UnicodeDecodeError:
            raise Unfit(NOT_UTF8) from None


def _section(reader: Reader, witness: Witness | None, *, lenient: bool) -> Section:
    count = reader.count(2)
    client = reader.client()
    first = clock = reader.clock()
    start = reader.at
    data = reader.data
    needs: list[Need] = []
    furthest: dict[int, int] = {}
    if not count or (data[start] == _SKIP and not lenient):
        raise Unfit(ODD_SECTIONS)
    for index in range(count):
        before = reader.at
        info = data[before]
        reader.at = before + 1
        if info == _GC:
            length = reader.number()
        elif info == _SKIP:
            length = reader.number()
            if index == count - 1:
                raise Unfit(ODD_SECTIONS)
            needs.append(Need(clock, client, clock + length - 1, index, before))
        else:
            for foreign, upto in _origins(reader, info, witness):
                if foreign == client:
                    if upto >= clock:
                        raise Unfit(OWN_FUTURE)
                elif upto > furthest.get(foreign, -1):
                    furthest[foreign] = upto
                    needs.append(Need(clock, foreign, upto, index, before))
            length = behind_content(reader, info, client, clock, witness)
            if info & _PARENT_SUB and (
                info & _CONTENT == _TEXT or (length > 1 and info & _CONTENT != _DELETED)
            ):
                # Yjs leaves several values only where all of them are deleted.
                reader.several.append((client, clock, length))
        if not length:
            raise Unfit(NO_LENGTH)
        clock += length
        if clock >= END_OF_CLOCKS:
            raise Unfit(OUT_OF_CLOCKS)
    return Section(client, first, clock, needs, count, start, reader.at)


def _origins(reader: Reader, info: int, witness: Witness | None) -> list[tuple[int, int]]:
    """What a struct is put beside, or into: client and clock of each."""
    found: list[tuple[int, int]] = []
    if info & _ORIGIN:
        client, clock = reader.client(), reader.clock()
        found.append((client, clock))
        if witness is not None:
            witness.cut(client, clock + 1)
    if info & _RIGHT_ORIGIN:
        client, clock = reader.client(), reader.clock()
        found.append((client, clock))
        if witness is not None:
            witness.cut(client, clock)
    if not found:
        kind = reader.byte()
        if kind == 1:
            reader.text()  # a root, by name
        elif kind == 0:
            found.append((reader.client(), reader.clock()))
        else:
            raise Unfit(UNREADABLE)
        if info & _PARENT_SUB:
            reader.text()
    return found


def behind_content(
    reader: Reader, info: int, client: int, clock: int, witness: Witness | None
) -> int:
    """Step over what is in a struct; how many clocks it takes."""
    match info & _CONTENT:
        case 8:  # plain values
            count = reader.number()
            reader.values += count
            for _ in range(count):
                _value(reader)
            return count
        case 4:  # text (_TEXT)
            head = reader.at
            size = reader.number()
            start = reader.at
            length = reader.units(size)
            if witness is not None and length != size:
                witness.text(client, clock, head, start, reader.at)
            return length
        case 1:  # deleted
            return reader.number()
        case 3:  # bytes
            reader.skip_bytes()
        case 5:  # embedded in text, as JSON
            reader.text()
        case 6:  # formatting: a key, and a value as JSON
            reader.text()
            reader.text()
        case 7:  # a shared type
            reader.types += 1
            kind = reader.number()
            if kind == _XML_ELEMENT:
                reader.text()
            elif kind not in _PLAIN_TYPES:
                raise Unfit(UNREADABLE)
        case 9:  # a document: its name, and options
            reader.text()
            _value(reader)
        case _:  # 2 is JSON, from before Yjs 13; yrs misreads it
            raise Unfit(UNREADABLE)
    return 1


def _value(reader: Reader) -> None:
    """Step over a plain value.

    `inside` holds what is not complete of each array (positive) and object (negative) that we are
    in; `announced` is how many values are to begin yet in all of them, each of a byte at least.
    """
    inside: list[int] = []
    announced = 0
    while True:
        if inside:
            announced -= 1
        tag = reader.byte()
        if tag == 0x7D:
            reader.skip_number()
        elif tag in _FIXED:
            reader.at += _FIXED[tag]
        elif tag == 0x77:
            reader.text()
        elif tag == 0x74:
            reader.skip_bytes()
        elif tag in (0x75, 0x76):
            count = reader.number()
            announced += count
            if announced > len(reader.data) - reader.at:
                raise Unfit(TOO_MANY)
            reader.values += count
            if count:
                if len(inside) == DEEPEST:
                    raise Unfit(TOO_DEEP)
                inside.append(count if tag == 0x75 else -count)
                if tag == 0x76:
                    reader.text()
                continue
        else:
            raise Unfit(UNREADABLE)
        # A value ends here, and with it perhaps what it was the last of.
        while inside:
            left = inside[-1]
            if left in (1, -1):
                inside.pop()
                continue
            inside[-1] = left - 1 if left > 0 else left + 1
            if left < 0:
                reader.text()
            break
        else:
            return


def _deletions(reader: Reader, witness: Witness | None) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for _ in range(reader.count(2)):
        client = reader.client()
        for _ in range(reader.count(2)):
            clock, length = reader.clock(), reader.clock()
            if not length:
                raise Unfit(NO_LENGTH)
            if clock + length >= END_OF_CLOCKS:
                raise Unfit(OUT_OF_CLOCKS)
            if witness is not None:
                witness.cut(client, clock)
                witness.cut(client, clock + length)
            found.append((client, clock, length))
    return found
