"""May yrs read these bytes at all? Two things end the process before any error could be handled.

* Depth. yrs reads a plain value (an array in an array in an array …) by calling itself, with about
  320 bytes of stack for each level, and twice that on the way to Python. 25,000 levels, an update
  of 50 kB, are a segmentation fault.
* Claims. An object says how many keys it has before the first one comes, and yrs makes room for
  that many at once: 79 bytes of nested objects with 100 million keys each took 1.3 GB and 3.5
  seconds, and a few more would have taken all there is. A state vector's or an update's count of
  clients is believed in the same way, once.

A walk over the update finds both without recursion and without believing anything, at one or two
microseconds for each struct. It is needed rarely, so cheap necessary conditions come first, in the
time that C takes to look for a byte. What the walk does not know, no current Yjs writes, and it
does not vouch for it.
"""

from __future__ import annotations

import re
from typing import Final

DEEPEST: Final = 4000
"""Levels that may be nested: far more than music needs, far less than the stack holds."""

HARMLESS_BYTES: Final = 2 * DEEPEST
"""An update of up to this many bytes cannot be nested deeper: a level takes two bytes at least."""

_ARRAY: Final = re.compile(rb"u(?=[\x80-\xff]*[\x00-\x7f][t-\x7f])")
"""Whatever may be the head of an array with something in it: 0x75, a count, the tag of a value.
Overlapping ones count, too."""

_LARGE_OBJECT: Final = re.compile(rb"v[\x80-\xff]{2}")
"""Whatever may be the head of an object with 16,384 keys or more: 0x76 and a count."""

_NUMBER: Final = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")

_ORIGIN, _RIGHT_ORIGIN, _PARENT_SUB, _UNKNOWN, _CONTENT = 0x80, 0x40, 0x20, 0x10, 0x0F
"""Bits of a struct's first byte."""

_GC: Final = 0
_SKIP: Final = 10

_SHARED_TYPE_HEADS: Final = bytes(flags | 7 for flags in range(0, 0x100, 0x20))
"""Every first byte that a struct with a shared type in it can have."""

_XML_ELEMENT: Final = 3
_PLAIN_TYPES: Final = frozenset({0, 1, 2, 4, 6})
"""Array, map, text, XML fragment, XML text."""

_FIXED: Final = {0x7A: 8, 0x7B: 8, 0x7C: 4, 0x78: 0, 0x79: 0, 0x7E: 0, 0x7F: 0}
"""Bytes behind a tag: big integer, double, float, true, false, null, undefined."""

_UNREADABLE: Final = "cannot be checked before it is read"
_TOO_DEEP: Final = f"has values nested deeper than {DEEPEST} levels"
_TOO_MANY: Final = "announces more than there is in it"


def update_fault(update: bytes) -> str | None:
    """Why yrs should not read this update; None when it may."""
    if update[:1] > b"\x7f":
        clients = _Reader(update)
        try:
            if clients.number() * 3 > len(update):
                return _TOO_MANY
        except (IndexError, _Refused):
            return _UNREADABLE
    has_objects = b"v" in update
    if has_objects and _LARGE_OBJECT.search(update):
        return _walk(update)
    if len(update) <= HARMLESS_BYTES:
        return None
    objects = update.count(b"v") if has_objects else 0
    if update.count(b"u") + objects <= DEEPEST:
        return None
    if len(_ARRAY.findall(update)) + objects <= DEEPEST:
        return None
    return _walk(update)


def is_shallow(update: bytes) -> bool:
    """Whether there are too few shared types in a full state to be nested dangerously deep.

    Another recursion of yrs: shared types within shared types, some 500 bytes of stack each. They
    can be nested by many small updates, so that no update shows it. False says nothing.
    """
    return len(update) - len(update.translate(None, _SHARED_TYPE_HEADS)) <= DEEPEST


def state_fault(state: bytes) -> str | None:
    """Why yrs should not read this state vector; None when it may."""
    try:
        lines = _Reader(state).number()
    except (IndexError, _Refused):
        return _UNREADABLE
    return _TOO_MANY if lines * 2 > len(state) else None


class _Refused(Exception):
    """The walk ends here; the message says why."""


class _Reader:
    """A place in an update. Reading past the end raises IndexError, sooner or later."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def number(self) -> int:
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
                if shift > 63:
                    raise _Refused(_UNREADABLE)
        self.at = at
        return value

    def skip_number(self) -> None:
        match = _NUMBER.match(self.data, self.at)
        if match is None:
            raise _Refused(_UNREADABLE)
        self.at = match.end()

    def skip_id(self) -> None:
        self.skip_number()
        self.skip_number()

    def skip_bytes(self) -> None:
        """A length and that many bytes."""
        length = self.number()
        self.at += length


def _walk(update: bytes) -> str | None:
    reader = _Reader(update)
    try:
        for _ in range(reader.number()):
            structs = reader.number()
            reader.skip_id()  # where this client's structs begin
            for _ in range(structs):
                _struct(reader)
    except _Refused as refused:
        return str(refused)
    except IndexError:
        return _UNREADABLE
    return None


def _struct(reader: _Reader) -> None:
    info = reader.byte()
    if info in (_GC, _SKIP):
        reader.skip_number()
        return
    if info & _UNKNOWN:
        raise _Refused(_UNREADABLE)
    if info & _ORIGIN:
        reader.skip_id()
    if info & _RIGHT_ORIGIN:
        reader.skip_id()
    if not info & (_ORIGIN | _RIGHT_ORIGIN):
        _parent(reader)
        if info & _PARENT_SUB:
            reader.skip_bytes()
    match info & _CONTENT:
        case 8:  # plain values
            for _ in range(reader.number()):
                _value(reader)
        case 3 | 4 | 5:  # bytes, text, an object as JSON (yrs bounds the depth of JSON itself)
            reader.skip_bytes()
        case 1:  # deleted
            reader.skip_number()
        case 7:
            _shared_type(reader)
        case 6:  # formatting: a key, and a value as JSON
            reader.skip_bytes()
            reader.skip_bytes()
        case 9:  # a document: its name, and options as a plain value
            reader.skip_bytes()
            _value(reader)
        case _:
            raise _Refused(_UNREADABLE)


def _parent(reader: _Reader) -> None:
    match reader.byte():
        case 1:
            reader.skip_bytes()  # a root, by name
        case 0:
            reader.skip_id()
        case _:
            raise _Refused(_UNREADABLE)


def _shared_type(reader: _Reader) -> None:
    kind = reader.number()
    if kind == _XML_ELEMENT:
        reader.skip_bytes()
    elif kind not in _PLAIN_TYPES:
        raise _Refused(_UNREADABLE)


def _value(reader: _Reader) -> None:
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
        elif tag in (0x77, 0x74):  # text, bytes
            reader.skip_bytes()
        elif tag in (0x75, 0x76):
            count = reader.number()
            announced += count
            if announced > len(reader.data) - reader.at:
                raise _Refused(_TOO_MANY)
            if count:
                if len(inside) == DEEPEST:
                    raise _Refused(_TOO_DEEP)
                inside.append(count if tag == 0x75 else -count)
                if tag == 0x76:
                    reader.skip_bytes()
                continue
        else:
            raise _Refused(_UNREADABLE)
        # A value ends here, and with it perhaps what it was the last of.
        while inside:
            left = inside[-1]
            if left in (1, -1):
                inside.pop()
                continue
            inside[-1] = left - 1 if left > 0 else left + 1
            if left < 0:
                reader.skip_bytes()
            break
        else:
            return
