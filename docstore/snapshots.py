"""Full states at rest: one Yjs v1 update, zstd, with a checksum of what went in.

The checksum is of the uncompressed bytes: what comes out is what was put in, or SnapshotDamaged.
Knows bytes; no database.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import anyio.to_thread
import zstandard

from docstore.errors import SnapshotDamaged

LEVEL: Final = 3

OFF_LOOP_BYTES: Final = 256 * 1024
"""Larger states are unpacked in a thread; zstd and SHA-256 let go of the interpreter there."""


class Packed(NamedTuple):
    """A state as it is stored."""

    body: bytes
    size: int
    sha256: bytes


def pack(state: bytes) -> Packed:
    """Compress a state; about 3 ms per MB."""
    return Packed(compress(state), len(state), hashlib.sha256(state).digest())


def unpack(body: bytes, size: int, sha256: bytes) -> bytes:
    """The state that was packed. Raises SnapshotDamaged."""
    state = decompress(body, size)
    if hashlib.sha256(state).digest() != sha256:
        raise SnapshotDamaged
    return state


async def unpack_off_loop(body: bytes, size: int, sha256: bytes) -> bytes:
    """`unpack`, without holding up the loop for a large state."""
    if size <= OFF_LOOP_BYTES:
        return unpack(body, size, sha256)
    return await anyio.to_thread.run_sync(unpack, body, size, sha256)


def compress(raw: bytes) -> bytes:
    """One zstd frame."""
    return zstandard.ZstdCompressor(level=LEVEL).compress(raw)


def decompress(body: bytes, size: int) -> bytes:
    """The `size` bytes that were compressed. Raises SnapshotDamaged."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(body, max_output_size=size)
    except zstandard.ZstdError as wrong:
        raise SnapshotDamaged from wrong
    if len(raw) != size:
        raise SnapshotDamaged
    return raw
