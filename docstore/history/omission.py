"""A document as if some of what was inserted and deleted had never been: its state, written again.

* What was deleted and is to come back is no longer named among the deletions; what was inserted
  and is to go is. So everything returns to where it was, and what others put beside it or into it
  stays there.
* An entry of a map is the last link of a chain, each link set over the one before. Links that are
  to go are cut out, and the next one is set over what is left; so the value before them returns,
  and what others have set since stands.

Only for full states of a document that collected nothing, as yrs writes them. What comes out has
the same names for different content: to be read, never to be merged.
Pure: bytes and numbers.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from docstore.numbers import MalformedUpdate, read_var_uint, write_var_uint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Id: TypeAlias = "tuple[int, int]"
"""A client, and a clock of its."""

_ORIGIN, _RIGHT_ORIGIN, _KEYED, _CONTENT = 0x80, 0x40, 0x20, 0x1F
_GC, _SKIP = 0, 10
_FIXED: Final = {0x7A: 8, 0x7B: 8, 0x7C: 4, 0x78: 0, 0x79: 0, 0x7E: 0, 0x7F: 0}
_NAMED_TYPES: Final = (3, 5)
_VALUES, _DELETED = 8, 1


class Ranges:
    """Ids, in ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int, int]] = ()) -> None:
        """`ranges`: client, clock, length, in any order; they may overlap."""
        of_client: dict[int, list[tuple[int, int]]] = {}
        for client, clock, length in ranges:
            of_client.setdefault(client, []).append((clock, clock + length))
        self._ranges = {client: _joined(found) for client, found in of_client.items()}

    def __contains__(self, one: Id) -> bool:
        ranges = self._ranges.get(one[0], ())
        at = bisect.bisect_right(ranges, one[1], key=lambda found: found[0]) - 1
        return at >= 0 and one[1] < ranges[at][1]

    def within(self, client: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts, from one clock up to another, that are between two clocks of a client."""
        ranges = self._ranges.get(client, ())
        at = bisect.bisect_right(ranges, start, key=lambda found: found[1])
        while at < len(ranges) and ranges[at][0] < end:
            yield max(start, ranges[at][0]), min(end, ranges[at][1])
            at += 1

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        for client, ranges in self._ranges.items():
            for start, end in ranges:
                yield client, start, end - start

    def __or__(self, other: Ranges) -> Ranges:
        return Ranges([*self, *other])

    def __sub__(self, other: Ranges) -> Ranges:
        left: list[tuple[int, int, int]] = []
        for client, ranges in self._ranges.items():
            for start, end in ranges:
                at = start
                for gone, upto in other.within(client, start, end):
                    if at < gone:
                        left.append((client, at, gone - at))
                    at = upto
                if at < end:
                    left.append((client, at, end - at))
        return Ranges(left)

    def encoded(self) -> bytes:
        """As the delete set of an update."""
        out = [write_var_uint(len(self._ranges))]
        for client, ranges in self._ranges.items():
            out += map(write_var_uint, (client, len(ranges)))
            for start, end in ranges:
                out += map(write_var_uint, (start, end - start))
        return b"".join(out)


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def without(state: bytes, inserted: Ranges, deleted: Ranges, unset: Ranges) -> bytes:
    """A full state as if `inserted` had not been inserted, nor `deleted` been deleted.

    `unset`: those of `inserted` that others took away. Where they stood in a map there was
    something to be taken away, so what was under them does not come back.
    Raises MalformedUpdate for what yrs would not write.
    """
    try:
        return _without(state, inserted, deleted, unset)
    except IndexError:
        raise MalformedUpdate("the state ends too early") from None


def _without(state: bytes, inserted: Ranges, deleted: Ranges, unset: Ranges) -> bytes:
    clients, end = read_var_uint(state, 0)
    sections: list[list[_Struct]] = []
    for _ in range(clients):
        count, at = read_var_uint(state, end)
        client, at = read_var_uint(state, at)
        clock, end = read_var_uint(state, at)
        section: list[_Struct] = []
        for _ in range(count):
            struct = _struct(state, end, client, clock)
            section.append(struct)
            clock += struct.length
            end = struct.end
        sections.append(section)
    chains = _Chains(state, inserted, sections)
    out = [write_var_uint(clients)]
    for section in sections:
        first = section[0]
        written = [piece for struct in section for piece in chains.written(struct)]
        out += map(write_var_uint, (len(written), first.client, first.clock))
        out += written
    gone = Ranges(_deletions(state, end)) - deleted | inserted | chains.under(unset)
    return b"".join([*out, gone.encoded()])


def _deletions(state: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    clients, at = read_var_uint(state, at)
    for _ in range(clients):
        client, at = read_var_uint(state, at)
        count, at = read_var_uint(state, at)
        for _ in range(count):
            clock, at = read_var_uint(state, at)
            length, at = read_var_uint(state, at)
            yield client, clock, length


# ---------------------------------------------------------------- chains


class _Struct(NamedTuple):
    """A struct, and where it is in the state."""

    client: int
    clock: int
    length: int
    start: int
    end: int
    info: int
    origin: Id | None = None
    right: Id | None = None
    parent: bytes = b""
    """What it is put into, and under which key, as it is written where there is no origin."""
    values: tuple[int, ...] = ()
    """Where each of several plain values ends; the first begins with the content."""
    content: int = 0
    """Where the content begins."""

    @property
    def keyed(self) -> bool:
        """Whether it is in a map."""
        return self.info not in (_GC, _SKIP) and bool(self.info & _KEYED)

    @property
    def over(self) -> Id | bytes | None:
        """The link that it was set over, or where it is put."""
        return self.origin or self.parent or None


class _Cut(NamedTuple):
    """Links of one struct that are to be cut out, one set over the other."""

    start: int
    end: int
    over: Id | bytes | None
    """What the first of them was set over: a link; or the chain's place, if it is the first of all;
    None if neither is said (only hostile links stand left of others)."""


class _Chains:
    """The links of maps that are to be cut out, and what comes of the others."""

    def __init__(self, state: bytes, inserted: Ranges, sections: list[list[_Struct]]) -> None:
        self._state = state
        self._inserted = inserted
        self._cuts: dict[int, list[_Cut]] = {}
        for section in sections:
            of_client = self._cuts.setdefault(section[0].client, [])
            for struct in section:
                if struct.keyed:
                    client, first = struct.client, struct.clock
                    # By ranges, not by links: a hostile struct may claim two thousand million.
                    for start, end in inserted.within(client, first, first + struct.length):
                        over = struct.over if start == first else (client, start - 1)
                        of_client.append(_Cut(start, end, over))

    def _cut(self, link: Id | None) -> _Cut | None:
        if link is None or link not in self._inserted:
            return None
        cuts = self._cuts.get(link[0], [])
        at = bisect.bisect_right(cuts, link[1], key=lambda cut: cut.start) - 1
        return cuts[at] if at >= 0 and link[1] < cuts[at].end else None

    def _over(self, found: Id | bytes | None) -> Id | bytes | None:
        """The nearest link, from this one back, that is not cut out; or the chain's place."""
        while isinstance(found, tuple) and (cut := self._cut(found)):
            found = cut.over
        return found

    def under(self, unset: Ranges) -> Ranges:
        """What would come back under links that others took away."""
        found = (
            self._over(cut.over)
            for client, cuts in self._cuts.items()
            for cut in cuts
            if any(True for _ in unset.within(client, cut.start, cut.end))
        )
        return Ranges((*link, 1) for link in found if isinstance(link, tuple))

    def written(self, struct: _Struct) -> list[bytes]:
        """A struct as it is to be written, in pieces if only a part of it is to be cut out."""
        client, first, length = struct[:3]
        cuts = list(self._inserted.within(client, first, first + length)) if struct.keyed else []
        if not struct.keyed or not (cuts or self._cut(struct.origin) or self._cut(struct.right)):
            return [self._state[struct.start : struct.end]]
        before = self._over(struct.over)
        right = None if self._cut(struct.right) else struct.right
        pieces: list[bytes] = []
        at = first
        for start, end in [*cuts, (first + length, first + length)]:
            if at < start:
                info, content = _content_of(self._state, struct, at - first, start - first)
                head = _head(info, before, right)
                pieces.append(_gone(start - at) if head is None else head + content)
                before = client, start - 1
            if start < end:
                pieces.append(_gone(end - start))
            at = end
        return pieces


def _gone(length: int) -> bytes:
    """A struct with nothing in it."""
    return bytes([_GC]) + write_var_uint(length)


def _content_of(state: bytes, struct: _Struct, start: int, end: int) -> tuple[int, bytes]:
    """The first byte and the content of a struct with some of the links of this one."""
    if (start, end) == (0, struct.length):
        return struct.info, state[struct.content : struct.end]
    if not struct.values:
        # Several links at once are old ones, that were deleted before others took their place.
        return struct.info & ~_CONTENT | _DELETED, write_var_uint(end - start)
    places = (read_var_uint(state, struct.content)[1], *struct.values)
    return struct.info, write_var_uint(end - start) + state[places[start] : places[end]]


def _head(info: int, before: Id | bytes | None, right: Id | None) -> bytes | None:
    """The beginning of a struct up to its content; None if nothing says where it belongs."""
    info &= ~(_ORIGIN | _RIGHT_ORIGIN)
    out = b""
    if isinstance(before, tuple):
        info |= _ORIGIN
        out = b"".join(map(write_var_uint, before))
    if right is not None:
        info |= _RIGHT_ORIGIN
        out += b"".join(map(write_var_uint, right))
    if not out:
        if not isinstance(before, bytes) or not before:
            return None
        out = before
    return bytes([info]) + out


# ---------------------------------------------------------------- reading


def _struct(data: bytes, start: int, client: int, clock: int) -> _Struct:
    info = data[start]
    at = start + 1
    if info in (_GC, _SKIP):
        length, at = read_var_uint(data, at)
        return _Struct(client, clock, length, start, at, info)
    origin = right = None
    parent = b""
    if info & _ORIGIN:
        of, at = read_var_uint(data, at)
        upto, at = read_var_uint(data, at)
        origin = of, upto
    if info & _RIGHT_ORIGIN:
        of, at = read_var_uint(data, at)
        upto, at = read_var_uint(data, at)
        right = of, upto
    if origin is None and right is None:
        place = at
        kind, at = read_var_uint(data, at)
        at = _blob(data, at) if kind else _number(data, _number(data, at))
        if info & _KEYED:
            at = _blob(data, at)
        parent = data[place:at]
    length, end, values = _content(data, at, info)
    return _Struct(client, clock, length, start, end, info, origin, right, parent, values, at)


def _content(data: bytes, at: int, info: int) -> tuple[int, int, tuple[int, ...]]:
    """How many clocks a content takes, where it ends, and where each plain value of a map does."""
    kind = info & _CONTENT
    if kind == _VALUES:
        count, at = read_var_uint(data, at)
        ends: list[int] = []
        for _ in range(count):
            at = _value(data, at)
            ends.append(at)
        return count, at, tuple(ends) if info & _KEYED else ()
    if kind == _DELETED:
        return *read_var_uint(data, at), ()
    if kind == 4:  # text
        end = _blob(data, at)
        start = read_var_uint(data, at)[1]
        text = data[start:end]
        return len(text) if text.isascii() else len(text.decode().encode("utf-16-le")) // 2, end, ()
    if kind in (3, 5):  # bytes; something embedded in a text
        at = _blob(data, at)
    elif kind == 6:  # formatting
        at = _blob(data, _blob(data, at))
    elif kind == 7:  # a shared type
        of, at = read_var_uint(data, at)
        if of in _NAMED_TYPES:
            at = _blob(data, at)
    elif kind == 9:  # a document
        at = _value(data, _blob(data, at))
    else:
        raise MalformedUpdate(f"the state has content of kind {kind}")
    return 1, at, ()


def _number(data: bytes, at: int) -> int:
    """Where a number ends."""
    return read_var_uint(data, at)[1]


def _blob(data: bytes, at: int) -> int:
    """Where a length and that many bytes end."""
    size, at = read_var_uint(data, at)
    return at + size


def _value(data: bytes, at: int) -> int:
    """Where a plain value ends. Without calling itself, since values may be nested thousands deep."""
    inside: list[list[int]] = []  # [what is left of it, whether it has keys]
    while True:
        tag = data[at]
        at += 1
        if tag in _FIXED:
            at += _FIXED[tag]
        elif tag == 0x7D:
            while data[at] >= 0x80:
                at += 1
            at += 1
        elif tag in (0x77, 0x74):
            at = _blob(data, at)
        elif tag in (0x75, 0x76):
            count, at = read_var_uint(data, at)
            inside.append([count + 1, tag - 0x75])
        else:
            raise MalformedUpdate(f"the state has a value of kind {tag}")
        while inside:
            inside[-1][0] -= 1
            if inside[-1][0]:
                if inside[-1][1]:
                    at = _blob(data, at)
                break
            inside.pop()
        else:
            return at
