"""The rows of a branch's past without what they say, read from the newest back: a page of activity.

Segments are opened one after the other, and only as many as the page needs; of what is in them
nothing is kept but whose it was, when, and how much. The tables are `journal` and
`journal_segments`; the server's own work.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, LiteralString, NamedTuple

import anyio.to_thread

from base import text64
from docstore import segments
from docstore.errors import CursorInvalid
from docstore.history.activity import Activity, Grouping, Stroke, activity, joins

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from base.db import Tx
    from docstore.history.past import Line

_TAIL: Final = 2_000
"""Rows of the journal itself that are looked at first; more, if they do not make a page."""

_BATCH_BYTES: Final = 256 * 1024
"""What is unpacked of segments at first; twice as much each time, as long as it does not do."""

_LARGEST_BATCH: Final = 8 * 1024 * 1024
"""Some 40 ms."""

EVER: Final = datetime.min.replace(tzinfo=UTC)
NEVER: Final = datetime.max.replace(tzinfo=UTC)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE: Final = struct.Struct(">qq")

# One statement sees one instant: a compaction beside us moves rows from the one to the other.
FOUND: LiteralString = """
    WITH line AS (
        SELECT id, least(until, %(to)s::timestamptz) AS until, number - 1 AS number
        FROM unnest(%(ids)s::bigint[], %(untils)s::timestamptz[])
            WITH ORDINALITY AS given (id, until, number)),
    tail AS (
        SELECT j.seq, j.author, j.created_at, octet_length(j.payload) AS size, line.number
        FROM line JOIN journal j ON j.document_id = line.id
        WHERE j.refused_at IS NULL AND j.created_at BETWEEN %(since)s AND line.until
            AND (%(author)s::uuid IS NULL OR j.author = %(author)s)
        ORDER BY j.created_at DESC LIMIT %(tail)s)
    SELECT 0, seq, author, created_at, NULL::timestamptz, size, number FROM tail
    UNION ALL
    SELECT 1, s.id, NULL, s.from_time, least(s.to_time, line.until), s.body_bytes, line.number
    FROM line JOIN journal_segments s ON s.document_id = line.id
    WHERE s.to_time >= %(since)s AND s.from_time <= line.until
        AND (%(author)s::uuid IS NULL OR %(author)s = ANY(s.authors))"""

BODIES: LiteralString = """
    SELECT id, body, body_bytes FROM journal_segments WHERE id = ANY(%s::bigint[])"""


class Wanted(NamedTuple):
    """Which activity: between two moments (both included), of an author, or of everybody."""

    since: datetime
    to: datetime
    author: UUID | None
    grouping: Grouping
    pause: timedelta

    def chooses(self, stroke: Stroke) -> bool:
        """Whether a row is one of these."""
        by = self.author is None or stroke.author == self.author
        return by and self.since <= stroke.at <= self.to


class _Segment(NamedTuple):
    """A segment that has not been opened."""

    id: int
    to_time: datetime
    size: int
    line: int


async def page(
    tx: Tx,
    lines: Sequence[Line],
    wanted: Wanted,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
) -> tuple[list[Activity], bool]:
    """Activities, the newest first, and whether there are more. Raises SnapshotDamaged.

    after: only what comes behind the activity at this place.
    """
    upper = wanted.to if after is None else min(wanted.to, _later(after[0], wanted.pause))
    until = [min(upper, line.until or upper) for line in lines]
    most = _TAIL
    while True:
        strokes, closed, floor = await _newest(tx, lines, wanted, upper, most)
        size = _BATCH_BYTES
        while True:
            # What may go on in what has not been looked at cannot be told of yet.
            below = max(floor, closed[0].to_time) if closed else floor
            known = activity(strokes, wanted.pause, wanted.grouping)
            behind = [found for found in known if after is None or found.place < after]
            whole = [found for found in behind if _whole(found, below, wanted)]
            if len(whole) > limit or not closed or closed[0].to_time < floor:
                break
            batch = _batch(closed, size)
            size = min(2 * size, _LARGEST_BATCH)
            del closed[: len(batch)]
            strokes += await _opened(tx, batch, wanted, until)
        if len(whole) > limit or floor == EVER:
            return whole[:limit], len(whole) > limit
        most *= 8


def cursor(place: tuple[datetime, int]) -> str:
    """The place of an activity, as text."""
    microseconds = (place[0] - _EPOCH) // timedelta.resolution
    return text64.write(_PLACE.pack(microseconds, place[1]))


def place(cursor: str | None) -> tuple[datetime, int] | None:
    """The same the other way round. Raises CursorInvalid."""
    if cursor is None:
        return None
    try:
        microseconds, seq = _PLACE.unpack(text64.read(cursor))
        return _EPOCH + timedelta(microseconds=microseconds), seq
    except (ValueError, struct.error, OverflowError) as wrong:
        raise CursorInvalid from wrong


def _whole(found: Activity, below: datetime, wanted: Wanted) -> bool:
    """Whether no row up to `below` can belong to it."""
    if below == EVER:
        return True
    if wanted.grouping == "none":
        return found.start > below
    return found.start > below and not joins(below, found.start, wanted.pause)


async def _newest(
    tx: Tx, lines: Sequence[Line], wanted: Wanted, upper: datetime, most: int
) -> tuple[list[Stroke], list[_Segment], datetime]:
    """Rows that are in no segment; segments, the newest first; from when on rows are all there."""
    values = {
        "ids": [line.document_id for line in lines],
        "untils": [line.until for line in lines],
        "to": upper,
        "since": wanted.since,
        "author": wanted.author,
        "tail": most,
    }
    rows = await _rows(tx, FOUND, values)
    strokes = [Stroke(row[3], row[1], row[2], row[5], row[6]) for row in rows if row[0] == 0]
    closed = [_Segment(row[1], row[4], row[5], row[6]) for row in rows if row[0] == 1]
    closed.sort(key=lambda segment: segment.to_time, reverse=True)
    full = len(strokes) == most
    return strokes, closed, min(stroke.at for stroke in strokes) if full else EVER


def _batch(closed: Sequence[_Segment], most: int) -> list[_Segment]:
    size, batch = 0, list[_Segment]()
    for segment in closed:
        size += segment.size
        if batch and size > most:
            break
        batch.append(segment)
    return batch


async def _opened(
    tx: Tx, batch: Sequence[_Segment], wanted: Wanted, until: Sequence[datetime]
) -> list[Stroke]:
    line_of = {segment.id: segment.line for segment in batch}
    bodies = await _rows(tx, BODIES, [list(line_of)])

    def opened() -> list[Stroke]:
        return [
            Stroke(row.created_at, row.seq, row.author, len(row.payload), line_of[number])
            for number, body, size in bodies
            for row in segments.unpack(body, size)
            if wanted.since <= row.created_at <= until[line_of[number]]
            and (wanted.author is None or row.author == wanted.author)
        ]

    return await anyio.to_thread.run_sync(opened)


def _later(moment: datetime, pause: timedelta) -> datetime:
    return moment + pause if moment < NEVER - pause else NEVER


async def _rows(
    tx: Tx, statement: LiteralString, values: dict[str, Any] | Iterable[Any]
) -> list[tuple[Any, ...]]:
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(statement, values)  # pyright: ignore[reportArgumentType]
        return await cursor.fetchall()
