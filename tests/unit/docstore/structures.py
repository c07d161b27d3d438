"""Made-up updates: structs of every kind in places where no honest client puts them. Not a test.

Most are well formed, as far as one struct goes; what they are put beside, or into, is drawn by
lot. Everything follows from the random generator that is passed in. No characters beyond U+FFFF
in texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from docstore.numbers import write_var_uint as number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

CLIENTS: Final = (1000, 1007, 1014, 5)
"""Those of `writers.session` with up to three writers, and one that nobody knows."""

KINDS: Final = (0, 10, 1, 3, 4, 4, 5, 6, 7, 7, 8, 8, 9)
_WRONG_KINDS: Final = (2, 11, 15)
_ROOTS: Final = ("map", "array", "text", "xml", "other", "")
_KEYS: Final = ("key0", "key1", "in0", "")
_TEXTS: Final = ("a", "abc", "é", "öx", "世界")
_JSON: Final = ("1", "{}", "null", "true", '"a"', '{"a":[1]}')
_VALUES: Final = (
    b"\x7e",
    b"\x7f",
    b"\x78",
    b"\x79",
    b"\x7d\x01",
    b"\x7c\x3f\x80\x00\x00",
    b"\x77\x01a",
    b"\x75\x00",
    b"\x76\x00",
    b"\x75\x02\x7e\x7e",
    b"\x76\x01\x01k\x7e",
    b"\x74\x01\x00",
)
_EXTREMES: Final = (2**31 - 2, 2**31 - 1, 2**31, 2**32 - 1)


def text(words: str) -> bytes:
    """A string as lib0 writes it."""
    data = words.encode()
    return number(len(data)) + data


class Maker:
    """Makes updates for a document of which it is told how far it is.

    `folly` is the share of things, of all that could be, that are wrong in themselves.
    """

    def __init__(self, random: Random, folly: float = 0.02) -> None:
        self._random = random
        self._folly = folly
        self._known: Mapping[int, int] = {}
        self._types: list[tuple[int, int]] = []
        """Client and clock of the shared types that it made."""

    def update(self, known: Mapping[int, int]) -> bytes:
        """An update of one or two clients, and with it deletions now and then."""
        random = self._random
        self._known = known
        clients = random.sample(CLIENTS, random.choice((0, 1, 1, 1, 1, 2, 2, 3)))
        if random.random() < 0.7:
            clients.sort(reverse=True)
        if clients and self._foolish():
            clients.append(clients[0])
        out = [number(len(clients)), *(self._section(client) for client in clients)]
        deleted = random.sample(CLIENTS, random.choice((0, 0, 0, 1, 1, 2)))
        out.append(number(len(deleted)))
        for client in deleted:
            ranges = random.choice((1, 1, 2))
            out += (number(client), number(ranges), *(self._range(client) for _ in range(ranges)))
        return b"".join(out)

    def _foolish(self) -> bool:
        return self._random.random() < self._folly

    def _section(self, client: int) -> bytes:
        random = self._random
        count = 0 if self._foolish() else random.choice((1, 1, 2, 3, 4))
        start = self._known.get(client, 0)
        if random.random() < 0.25:
            start = max(0, start + random.choice((-4, -2, -1, 1, 2, 3)))
        if self._foolish():
            start = random.choice(_EXTREMES)
        structs: list[bytes] = []
        clock = start
        for at in range(count):
            gap_allowed = 0 < at < count - 1 or self._foolish()
            struct, length, kind = self._struct(gap_allowed=gap_allowed)
            structs.append(struct)
            if kind == 7:
                self._types.append((client, clock))
            clock += length
        return b"".join((number(count), number(client), number(start), *structs))

    def _range(self, client: int) -> bytes:
        random = self._random
        clock = random.randrange(self._known.get(client, 0) + 3)
        length = random.choice((1, 1, 2, 5))
        if self._foolish():
            length = random.choice((0, *_EXTREMES))
        return number(clock) + number(length)

    def _id(self) -> bytes:
        random = self._random
        client = random.choice(CLIENTS)
        end = self._known.get(client, 0)
        beyond = random.random() < 0.1
        return number(client) + number(random.randrange(end + 4 if beyond or not end else end))

    def _length(self) -> int:
        if self._foolish():
            return self._random.choice((0, *_EXTREMES))
        return self._random.choice((1, 1, 2, 3))

    def _struct(self, *, gap_allowed: bool) -> tuple[bytes, int, int]:
        """A struct, how many clocks it takes, and its kind."""
        random = self._random
        kind = random.choice(_WRONG_KINDS if self._foolish() else KINDS)
        while kind == 10 and not gap_allowed:
            kind = random.choice(KINDS)
        if kind in (0, 10):
            length = self._length()
            return bytes((kind,)) + number(length), length, kind
        flags, place = self._place()
        content, length = self._content(kind)
        return bytes((flags | kind,)) + place + content, length, kind

    def _place(self) -> tuple[int, bytes]:
        """What a struct is put beside, or into."""
        random = self._random
        flags, place = 0, b""
        lot = random.random()
        if lot < 0.35:
            flags |= 0x80
            place += self._id()
        if 0.25 < lot < 0.5:
            flags |= 0x40
            place += self._id()
        keyed = random.random() < 0.35
        if flags:
            return (flags | 0x20 if keyed else flags), place
        if random.random() < 0.6:
            place = b"\x01" + text(random.choice(_ROOTS))
        elif self._types and random.random() < 0.9:
            client, clock = random.choice(self._types)
            place = b"\x00" + number(client) + number(clock)
        else:
            place = b"\x00" + self._id()
        if keyed:
            return 0x20, place + text(random.choice(_KEYS))
        return 0, place

    def _content(self, kind: int) -> tuple[bytes, int]:
        """What is in a struct, and how many clocks it takes."""
        random = self._random
        match kind:
            case 1:
                length = self._length()
                return number(length), length
            case 3:
                return random.choice((b"\x00", b"\x02ab")), 1
            case 4:
                words = random.choice(_TEXTS)
                if self._foolish():
                    return random.choice((b"\x00", b"\x02\xc3\x28")), 1
                return text(words), len(words)
            case 5:
                return text("nope" if self._foolish() else random.choice(_JSON)), 1
            case 6:
                value = "nope" if self._foolish() else random.choice(_JSON)
                return text(random.choice(("bold", ""))) + text(value), 1
            case 7:
                shared = random.choice((5, 7, 15) if self._foolish() else (0, 1, 2, 3, 4, 6))
                return number(shared) + (text("p") if shared in (3, 5) else b""), 1
            case 9:
                return text("guid") + random.choice((b"\x76\x00", b"\x7e", b"\x76\x01\x01k\x7e")), 1
            case _:
                count = 0 if self._foolish() else random.choice((1, 1, 2, 3))
                return number(count) + b"".join(random.choices(_VALUES, k=count)), count
