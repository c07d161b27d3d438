"""What a journal has to be told again for: a state at a moment, who changed what, what to take back.

The past goes to a process of its own as it is stored (`docstore/history/work.py` says why), is
unpacked there, and what comes back is small. Knows no database.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pycrdt

from docstore import crdt, segments, snapshots
from docstore.history import blame as blaming
from docstore.history import content, render, replay, rollback, things, touches, work
from docstore.history import diff as diffs
from docstore.history.activity import Stroke
from docstore.history.changes_json import diff_json
from docstore.history.reach import reach

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from docstore.history.blame import Touch
    from docstore.history.content import Path
    from docstore.history.directory import Place
    from docstore.history.rollback import Earlier


class Folded(NamedTuple):
    """A snapshot as it is stored: compressed, its size in bytes, its SHA-256."""

    body: bytes
    size: int
    sha256: bytes


class Packed(NamedTuple):
    """A document's past as it is stored."""

    base: bytes | None
    """What it begins with, as one full update."""
    parts: Sequence[segments.Packed]
    tail: Sequence[segments.Row]
    """Rows that are in none of the parts."""
    until: datetime | None = None
    """Younger rows do not count."""
    folded: Folded | None = None
    """What it begins with instead, as a snapshot."""

    def rows(self) -> list[segments.Row]:
        """The rows. Raises SnapshotDamaged."""
        found = [row for part in self.parts for row in segments.unpack(*part)]
        found += self.tail
        if self.until is None:
            return found
        return [row for row in found if row.created_at <= self.until]

    def begin(self) -> bytes | None:
        """What it begins with. Raises SnapshotDamaged."""
        return self.base if self.folded is None else snapshots.unpack(*self.folded)

    @property
    def size(self) -> int:
        """Bytes of all of it, unpacked."""
        stored = len(self.base or b"") + (0 if self.folded is None else self.folded.size)
        rows = sum(len(row.payload) for row in self.tail)
        return stored + sum(part.size for part in self.parts) + rows


class Range(NamedTuple):
    """What is chosen of a past: whose rows (None: everybody's), between two moments."""

    by: UUID | None
    since: datetime
    until: datetime

    def has(self, row: segments.Row) -> bool:
        """Whether a row is one of these."""
        by = self.by is None or row.author == self.by
        return by and self.since <= row.created_at <= self.until


class Undone(NamedTuple):
    """How to take something back."""

    update: bytes | None
    """None: nothing has to be done."""
    summary: str
    """What that changes, in one line."""
    diff: bytes | None
    """The same, whole, as JSON; None where it was not asked for."""
    until: datetime | None
    """The youngest row that is taken back; None: there is none."""


async def state_at(past: Packed, moment: datetime) -> bytes:
    """What it was at a moment, as one full update.

    As all of these, raises DocumentUnreadable for what cannot be told again, SnapshotDamaged.
    """
    return await work.elsewhere(past.size, _state_at, past, moment)


async def blame(pasts: Sequence[Packed], entity: Path, most: int) -> list[tuple[Path, Touch]]:
    """Who last changed an entry and what is in it, in the order of paths; of these the first.

    pasts: one after the other, the oldest first.
    """
    return await work.elsewhere(sum(past.size for past in pasts), _blame, pasts, entity, most)


async def touched(
    past: Packed, line: int, since: datetime, entity: Path | None, most: int
) -> list[tuple[Stroke, list[Path]]]:
    """Rows that are no older than `since`, and the things that they changed: `most` of each row.

    entity: only rows that changed this or what is in it. line: the past's number among others.
    """
    return await work.elsewhere(past.size, _touched, past, line, since, entity, most)


async def places(state: bytes, paths: Collection[Path]) -> dict[Path, Place]:
    """What people call places of a document that says this now: `things.places`."""
    return await work.elsewhere(len(state), things.places, state, paths)


async def changes(past: Packed, chosen: Range, *, live: bytes | None, form: work.Form) -> bytes:
    """What was done in a range, in UTF-8: a JSON object, or text for people.

    live: what the document says at the range's end, where that is now.
    """
    return await work.elsewhere(past.size, _changes, past, chosen, live, form)


async def update_between(
    past: Packed, since: datetime, until: datetime, live: bytes | None
) -> bytes:
    """The update that leads from one moment to another, which is `live` if that is now."""
    return await work.elsewhere(past.size, _update_between, past, since, until, live)


async def undo(
    past: Packed,
    chosen: Range,
    *,
    live: bytes,
    entities: Collection[Path] | None,
    client_id: int,
    earlier: Sequence[Earlier],
    whole: bool,
) -> Undone:
    """Forward operations that take back, from `live`, what was done in a range.

    entities: only there. client_id: whose operations these are; one that has never written to the
    document. earlier: what was taken back before. whole: all that they change is wanted. Raises ContentUnreachable, DocumentTooDeep too.
    """
    size = past.size + len(live)
    wish = (chosen, live, entities, client_id, earlier, whole)
    return await work.elsewhere(size, _undo, past, *wish)


# ---------------------------------------------------------------- over there


def _state_at(past: Packed, moment: datetime) -> bytes:
    return replay.state_at(past.begin(), past.rows(), moment)


def _blame(pasts: Sequence[Packed], entity: Path, most: int) -> list[tuple[Path, Touch]]:
    told = [(past.begin(), past.rows()) for past in pasts]
    return blaming.blame_through(told, entity)[:most]


def _touched(
    past: Packed, line: int, since: datetime, entity: Path | None, most: int
) -> list[tuple[Stroke, list[Path]]]:
    rows = past.rows()
    found = touches.touches(past.begin(), rows, since=since, entity=entity, most=most)
    return [
        (Stroke(row.created_at, row.seq, row.author, len(row.payload), line), found[row.seq])
        for row in rows
        if row.seq in found
    ]


def _changes(past: Packed, chosen: Range, live: bytes | None, form: work.Form) -> bytes:
    base, rows = past.begin(), past.rows()
    after = replay.state_at(base, rows, chosen.until) if live is None else live
    if chosen.by is None:
        before = replay.state_at(base, rows, chosen.since)
    else:
        # What was said at `since` itself is what the range begins with.
        behind = chosen._replace(since=chosen.since + timedelta.resolution)
        before = _without(base, rows, behind, after)
    found = diffs.diff(content.read(before), content.read(after))
    if form == "text":
        return render.diff_text(found).encode()
    return msgspec.json.encode(diff_json(found))


def _update_between(past: Packed, since: datetime, until: datetime, live: bytes | None) -> bytes:
    base, rows = past.begin(), past.rows()
    before = replay.state_at(base, rows, since)
    after = replay.state_at(base, rows, until) if live is None else live
    held, there = _doc(before), _doc(after)
    with crdt.guarded():
        return there.get_update(held.get_state())


def _undo(
    past: Packed,
    chosen: Range,
    live: bytes,
    entities: Collection[Path] | None,
    client_id: int,
    earlier: Sequence[Earlier],
    whole: bool,
) -> Undone:
    rows = past.rows()
    wanted = rollback.undone(
        past.begin(),
        rows,
        by=None if chosen.by is None else (chosen.by,),
        since=chosen.since,
        until=chosen.until,
        entities=entities,
        now_state=live,
        earlier=earlier,
    )
    update = reach(live, wanted, client_id=client_id, only=entities)
    before = content.read(live)
    after = before if update is None else content.read_doc(_doc(live, update))
    found = diffs.diff(before, after)
    said = msgspec.json.encode(diff_json(found)) if whole else None
    times = (row.created_at for row in rows if chosen.has(row))
    return Undone(update, work.short(found), said, max(times, default=None))


def _without(
    base: bytes | None, rows: Sequence[segments.Row], chosen: Range, state: bytes
) -> bytes:
    return rollback.undone(
        base,
        rows,
        by=None if chosen.by is None else (chosen.by,),
        since=chosen.since,
        until=chosen.until,
        entities=None,
        now_state=state,
    )


def _doc(*updates: bytes) -> crdt.Document:
    doc: crdt.Document = pycrdt.Doc()
    crdt.apply_all(doc, updates)
    return doc
