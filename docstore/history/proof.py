"""Whether what is stored of a document holds together: its snapshot, its segments, its journal.

The present (snapshot and tail, as a room opens it) must say what the past says, told again from
its beginning row by row. Pure: bytes in, faults out; it may be done in a process of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pycrdt

from docstore import crdt, loading, segments, snapshots, waiting
from docstore.errors import DocumentTooDeep, SnapshotDamaged
from docstore.history import content, replay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID


class Segment(NamedTuple):
    """Folded rows, and what is noted about them beside."""

    id: int
    rows: int
    first_seq: int
    last_seq: int
    from_time: datetime
    to_time: datetime
    authors: Sequence[UUID]
    body: bytes
    size: int


class Tail(NamedTuple):
    """A row of the journal."""

    row: segments.Row
    waiting: bool
    """Whether it waited for others when it was stored."""


class Stored(NamedTuple):
    """Everything that is kept of a document."""

    base: bytes | None
    """The state that its journal begins with."""
    snapshot: snapshots.Packed | None
    segments: Sequence[Segment]
    tail: Sequence[Tail]


class Fault(NamedTuple):
    """Something that is not as it was stored, or does not fit the rest."""

    kind: str
    """One of the keys of `verify.REMEDIES`."""
    where: str
    """Which part of the document."""


class Proven(NamedTuple):
    """What was looked at, and what is wrong."""

    rows: int
    faults: list[Fault]


def prove(stored: Stored) -> Proven:
    """Unpack everything, tell the past again, compare it with the present."""
    faults: list[Fault] = []
    rows: list[segments.Row] = []
    for segment in stored.segments:
        rows += _unpacked(segment, faults)
    rows += [each.row for each in stored.tail]
    faults += _twice(rows)
    snapshot = None
    if stored.snapshot is not None:
        try:
            snapshot = snapshots.unpack(*stored.snapshot)
        except SnapshotDamaged:
            faults.append(Fault("snapshot_damaged", "snapshot"))
    if not faults:
        try:
            faults += _compared(stored, snapshot, rows)
        except (crdt.MalformedUpdate, crdt.PoisonUpdate, DocumentTooDeep) as unreadable:
            faults.append(Fault("document_unreadable", type(unreadable).__name__))
    return Proven(len(rows), faults)


def _unpacked(segment: Segment, faults: list[Fault]) -> list[segments.Row]:
    where = f"segment {segment.id}"
    try:
        rows = segments.unpack(segment.body, segment.size)
    except SnapshotDamaged:
        faults.append(Fault("segment_damaged", where))
        return []
    times = [row.created_at for row in rows]
    authors = {row.author for row in rows if row.author is not None}
    noted = (segment.rows, segment.first_seq, segment.last_seq, segment.from_time, segment.to_time)
    if (
        not rows
        or noted != (len(rows), rows[0].seq, rows[-1].seq, min(times), max(times))
        or set(segment.authors) != authors
    ):
        faults.append(Fault("segment_miscounted", where))
    return rows


def _twice(rows: Sequence[segments.Row]) -> list[Fault]:
    seen: set[int] = set()
    twice = [row.seq for row in rows if row.seq in seen or seen.add(row.seq)]
    return [Fault("row_twice", f"row {seq}") for seq in twice]


def _compared(stored: Stored, snapshot: bytes | None, rows: Sequence[segments.Row]) -> list[Fault]:
    """Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep for what cannot be read at all."""
    faults: list[Fault] = []
    applied = [each.row for each in stored.tail if not each.waiting]
    kept: list[waiting.Waiting] = []
    for row in (each.row for each in stored.tail if each.waiting):
        try:
            kept.append(waiting.Waiting(row.payload, author=row.author, row=row.seq))
        except crdt.MalformedUpdate:
            faults.append(Fault("row_left_out", f"row {row.seq}"))
    prepared = loading.prepare(snapshot, [row.payload for row in applied], kept)
    present = loading.build(pycrdt.Doc, prepared)
    out = [applied[at].seq for at in (*present.left_out, *present.late)]
    out += [one.row for one in present.refused if one.row is not None]
    waits = {each.row.seq for each in stored.tail if each.waiting}
    past = replay.replay(stored.base, rows)
    out += [row.seq for row in past.missing if row.seq not in waits]
    faults += [Fault("row_left_out", f"row {seq}") for seq in sorted(set(out))]
    with crdt.guarded():
        clocks = [crdt.decode_state_vector(doc.get_state()) for doc in (present.doc, past.doc)]
    if clocks[0] != clocks[1] or content.read_doc(present.doc) != content.read_doc(past.doc):
        faults.append(Fault("document_differs", "snapshot and journal"))
    return faults
