"""States at rest as a chain: each one stored as what differs from a state not far before it.

The states of one document are numbered 0, 1, 2, … State n is stored against the state whose
number is n without its lowest set bit; state 0 is whole. So a state is reached over as many others
as n has bits set (13 at most for the first 10,000), while half of all states are stored against
their direct neighbour and cost only what was changed between the two.

A state that has little in common with its base is stored whole, and its chain begins there.
The checksum is of the state: what comes out is what was put in, or SnapshotDamaged.
Pure: bytes in, bytes out.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import zstandard

from docstore.errors import SnapshotDamaged

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL: Final = 3

CLEARLY_SMALLER: Final = 16
"""A difference of a sixteenth of the state's bytes, or less, is kept without trying the other
way; hardly any state is compressed that far by itself."""

WORTH_IT: Final = 0.75
"""Otherwise a difference must be no larger than this share of the state compressed by itself."""

_WINDOW: Final = (10, 27)
"""Smallest and largest window (log 2) that zstd takes without being asked twice. Beyond 128 MB of
base and state together, what they have in common is found only in part."""


_TABLE: Final = (10, 24)
"""Smallest and largest table (log 2 of its entries) that a dictionary is searched with."""


class Packed(NamedTuple):
    """A state as it is stored."""

    body: bytes
    size: int
    """Bytes of the state."""
    sha256: bytes
    """Of the state."""
    whole: bool
    """Whether it can be unpacked by itself; otherwise its base is needed."""


def base_of(number: int) -> int | None:
    """The number of the state that this one is stored against, unless it is stored whole."""
    return number & (number - 1) if number else None


def path_to(number: int) -> list[int]:
    """The numbers of the states that lead to this one, from 0 on, this one included.

    Only those from the last whole one on are needed.
    """
    path: list[int] = []
    step: int | None = number
    while step is not None:
        path.append(step)
        step = base_of(step)
    return path[::-1]


def pack(state: bytes, base: bytes | None) -> Packed:
    """Compress a state, against another one if that saves much; some 5 ms for 1 MB."""
    sha256 = hashlib.sha256(state).digest()
    if base:
        body = _difference(state, base)
        if len(body) * CLEARLY_SMALLER <= len(state):
            return Packed(body, len(state), sha256, whole=False)
        alone = _alone(state)
        if len(body) <= len(alone) * WORTH_IT:
            return Packed(body, len(state), sha256, whole=False)
    else:
        alone = _alone(state)
    return Packed(alone, len(state), sha256, whole=True)


def unpack(chain: Sequence[Packed]) -> bytes:
    """The last state of a chain, given all from a whole one on. Raises SnapshotDamaged.

    No body, whatever is in it, is unpacked to more than the size that is stored beside it.
    """
    state: bytes | None = None
    for packed in chain:
        if packed.whole:
            state = _expand(packed, None)
        elif state is None:
            raise SnapshotDamaged  # what it differs from is missing
        else:
            state = _expand(packed, state)
    # A base that is damaged shows in what was made of it.
    if state is None or hashlib.sha256(state).digest() != chain[-1].sha256:
        raise SnapshotDamaged
    return state


def unpack_on(packed: Packed, base: bytes | None) -> bytes:
    """One step of a chain, on the state that it is stored against. Raises SnapshotDamaged."""
    if base is None and not packed.whole:
        raise SnapshotDamaged
    state = _expand(packed, None if packed.whole else base)
    if hashlib.sha256(state).digest() != packed.sha256:
        raise SnapshotDamaged
    return state


def _alone(state: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=LEVEL).compress(state)


def _difference(state: bytes, base: bytes) -> bytes:
    small, large = _WINDOW
    parameters = zstandard.ZstdCompressionParameters.from_level(  # pyright: ignore[reportUnknownMemberType] (its keywords are not typed)
        LEVEL,
        source_size=len(state),
        dict_size=len(base),
        # From the state's end back to the base's beginning.
        window_log=min(max((len(base) + len(state)).bit_length(), small), large),
        # Of a dictionary zstd takes in only as many bytes from its end as eight times its table
        # has entries, a megabyte otherwise: the rest of the base would be stored once more. The
        # quickest way to search is enough for what is long and the same.
        strategy=zstandard.STRATEGY_FAST,
        hash_log=min(max(len(base).bit_length() - 3, _TABLE[0]), _TABLE[1]),
        min_match=7,
    )
    return zstandard.ZstdCompressor(
        dict_data=_dictionary(base), compression_params=parameters
    ).compress(state)


def _expand(packed: Packed, base: bytes | None) -> bytes:
    try:
        # zstd makes room for what a frame announces, so that is looked at first.
        if zstandard.frame_content_size(packed.body) != packed.size:
            raise SnapshotDamaged
        dictionary = None if base is None else _dictionary(base)
        state = zstandard.ZstdDecompressor(dict_data=dictionary).decompress(
            packed.body, max_output_size=packed.size, allow_extra_data=False
        )
    except zstandard.ZstdError as wrong:
        raise SnapshotDamaged from wrong
    if len(state) != packed.size:
        raise SnapshotDamaged
    return state


def _dictionary(base: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
