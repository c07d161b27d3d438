"""Folded journal rows at rest: each as it was, many together, compressed.

A snapshot says what a document is; segments and the journal's tail say how it came to be so, who
wrote what, and when. Knows bytes; no database.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from docstore import snapshots


class Row(msgspec.Struct, array_like=True, frozen=True):
    """One row of the journal."""

    seq: int
    author: UUID | None
    payload: bytes
    created_at: datetime


class Packed(NamedTuple):
    """Rows as they are stored."""

    body: bytes
    size: int


def pack(rows: list[Row]) -> Packed:
    """Rows as one zstd frame around one MessagePack array of [seq, author, update, time]."""
    raw = msgspec.msgpack.encode(rows)
    return Packed(snapshots.compress(raw), len(raw))


def unpack(body: bytes, size: int) -> list[Row]:
    """The rows that were packed. Raises SnapshotDamaged."""
    try:
        return msgspec.msgpack.decode(snapshots.decompress(body, size), type=list[Row])
    except msgspec.DecodeError as wrong:
        raise snapshots.SnapshotDamaged from wrong
