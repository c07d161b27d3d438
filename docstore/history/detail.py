"""Takes the detail of old journals: what one author did within an hour becomes one row.

Promise: what a document was at any full hour, and is now, stays what it was. A journal is told part
by part, so that a long one needs no more memory than a short one, and each part is replaced only if
nothing of what it was worked out from has changed meanwhile. Rooms are not disturbed. How rows are
joined: `docstore/history/thinning.py`. When: `docstore/history/retention.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString, NamedTuple

import anyio.to_thread

from base import log
from base.db import DatabaseUnavailable, one_instant
from base.errors import AppError
from docstore import segments
from docstore.history import archive, retention, rollbacks, work, writers
from docstore.history.retention import Collected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history.retention import Stretch
    from docstore.history.rollback import Earlier

_log = log.get(__name__)

PART_BYTES: Final = 16 * 1024 * 1024
"""Of a journal, unpacked: that much is told at once, and what cannot be parted from it."""

MOST_BYTES: Final = 4 * PART_BYTES
"""A part that is larger yet, because its times are in no order, keeps its detail."""

TO_THIN: LiteralString = """
    SELECT DISTINCT s.document_id, d.project_id
    FROM journal_segments s JOIN documents d ON d.id = s.document_id
    WHERE s.thinned_at IS NULL AND s.to_time < %(before)s AND d.deleted_at IS NULL
        AND (d.not_thinned_before IS NULL OR d.not_thinned_before < %(before)s)
    ORDER BY 1"""

BEGINS: LiteralString = "SELECT base_state_id, base_at FROM documents WHERE id = %s"

# The rows before are needed to tell what these added; of younger ones nothing is.
STRETCHES: LiteralString = """
    SELECT id, from_time, to_time, body_bytes, thinned_at IS NULL AND to_time < %(before)s
    FROM journal_segments WHERE document_id = %(id)s AND from_time < %(before)s ORDER BY id"""

TAIL: LiteralString = """
    SELECT seq, author, payload, created_at FROM journal
    WHERE document_id = %(id)s AND refused_at IS NULL AND created_at < %(before)s"""

BODIES: LiteralString = """
    SELECT id, rows, from_time, body, body_bytes, client_ids FROM journal_segments
    WHERE id = ANY(%s::bigint[]) ORDER BY id"""

THERE: LiteralString = """
    SELECT id, rows, from_time, body_bytes FROM journal_segments
    WHERE id = ANY(%s::bigint[]) AND thinned_at IS NULL ORDER BY id FOR UPDATE"""

PUT: LiteralString = """
    UPDATE journal_segments SET rows = %s, first_seq = %s, last_seq = %s, from_time = %s,
        to_time = %s, authors = %s, client_ids = %s, body = %s, body_bytes = %s, thinned_at = %s
    WHERE id = %s"""

DROP: LiteralString = "DELETE FROM journal_segments WHERE id = ANY(%s::bigint[])"

LEAVE: LiteralString = """
    UPDATE journal_segments SET thinned_at = %s WHERE id = ANY(%s::bigint[])"""

NOT_DONE: LiteralString = "UPDATE documents SET not_thinned_before = %s WHERE id = %s"


async def thin(database: Database, before: datetime, now: datetime) -> Collected:
    """Make one row of each author's hour, in segments that end before a moment.

    A journal that cannot be told is left as it is, logged, and not looked at again before this
    moment has moved on. Raises DatabaseUnavailable.
    """
    async with database.connection() as tx:
        due = await _all(tx, TO_THIN, {"before": before})
    done = Collected()
    for document_id, project_id in due:
        one = _Journal(database, document_id, project_id, before, now)
        try:
            await one.thin()
        except AppError as problem:
            if isinstance(problem, DatabaseUnavailable):
                raise
            _log.error("journal_not_thinned", document=document_id, error=problem.code)
            async with database.connection() as tx:
                await tx.execute(NOT_DONE, (before, document_id))
        done = done.and_also(one.done)
    return done


class _Facts(NamedTuple):
    """What a journal was when it was read, beside its rows."""

    base_id: int | None
    base_at: datetime | None
    rollbacks: list[Earlier]


class _Segment(NamedTuple):
    id: int
    rows: int
    from_time: datetime
    body: bytes
    size: int
    client_ids: list[int]

    @property
    def marks(self) -> tuple[int, int, datetime, int]:
        """What changes if anybody takes something out of it."""
        return self.id, self.rows, self.from_time, self.size

    @property
    def packed(self) -> segments.Packed:
        return segments.Packed(self.body, self.size)


class _Journal:
    """One document's, being thinned."""

    def __init__(
        self,
        database: Database,
        document_id: int,
        project_id: UUID,
        before: datetime,
        now: datetime,
    ) -> None:
        self.done = Collected()
        self._database = database
        self._id = document_id
        self._project_id = project_id
        self._before = before
        self._now = now

    async def thin(self) -> None:
        """All parts, from its beginning to the last that is due."""
        asked = {"id": self._id, "before": self._before}
        async with writers.reading(self._database, brief=True) as tx:
            await one_instant(tx)
            facts = await self._facts(tx)
            state = None
            if facts.base_id is not None:
                state = await archive.get(tx, self._project_id, facts.base_id)
            stretches = [retention.Stretch(*row) for row in await _all(tx, STRETCHES, asked)]
            tail = [segments.Row(*row) for row in await _binary(tx, TAIL, asked)]
        waiting: list[segments.Row] = []
        parts = retention.parts(stretches, PART_BYTES)
        for number, part in enumerate(parts, 1):
            if sum(each.size for each in part) > MOST_BYTES:
                await self._left(part)
                return
            last = max(each.to_time for each in part)
            waiting += [row for row in tail if row.created_at <= last]
            tail = [row for row in tail if row.created_at > last]
            found = await self._read(part)
            due = {each.id for each in part if each.due}
            chosen = [each for each in found if each.id in due]
            others = [each.packed for each in found if each.id not in due]
            thinned = await work.thin(
                state, [each.packed for each in chosen], others, waiting, facts.rollbacks
            )
            if chosen and not await self._replaced(facts, chosen, thinned.rows):
                return
            if number < len(parts):
                state, waiting = thinned.state, thinned.waiting

    async def _facts(self, tx: Tx) -> _Facts:
        begins = await _all(tx, BEGINS, (self._id,))
        base_id, base_at = begins[0] if begins else (None, None)
        return _Facts(base_id, base_at, await rollbacks.earlier(tx, self._id))

    async def _read(self, part: Sequence[Stretch]) -> list[_Segment]:
        async with writers.reading(self._database, brief=True) as tx:
            found = await _binary(tx, BODIES, ([each.id for each in part],))
        return [_Segment(*row) for row in found]

    async def _replaced(
        self, facts: _Facts, chosen: Sequence[_Segment], rows: list[segments.Row]
    ) -> bool:
        """Put rows in the place of these segments; False if it is not what it was any more."""
        packed = await anyio.to_thread.run_sync(segments.pack, rows)
        numbers = [each.id for each in chosen]
        async with writers.writing(self._database, self._project_id, brief=True) as tx:
            # Pruned meanwhile, thinned by another process, or rolled back: then what was worked
            # out holds no more.
            there = await _all(tx, THERE, (numbers,))
            if there != [each.marks for each in chosen] or await self._facts(tx) != facts:
                return False
            if rows:
                clients = sorted({client for each in chosen for client in each.client_ids})
                times = [row.created_at for row in rows]
                authors = sorted({row.author for row in rows if row.author is not None})
                noted = (len(rows), rows[0].seq, rows[-1].seq, min(times), max(times), authors)
                values = (*noted, clients, *packed, self._now, numbers.pop(0))
                await tx.execute(PUT, values)
            await tx.execute(DROP, (numbers,))
        stored = sum(len(each.body) for each in chosen)
        self.done = self.done.and_also(
            Collected(
                rows=sum(each.rows for each in chosen) - len(rows),
                bytes=stored - (len(packed.body) if rows else 0),
            )
        )
        return True

    async def _left(self, part: Sequence[Stretch]) -> None:
        numbers = [each.id for each in part if each.due]
        _log.warning("journal_keeps_its_detail", document=self._id, segments=len(part))
        async with writers.writing(self._database, self._project_id, brief=True) as tx:
            await tx.execute(LEAVE, (self._now, numbers))


async def _binary(tx: Tx, statement: LiteralString, values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 (what psycopg takes)
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()


async def _all(tx: Tx, statement: LiteralString, values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 (what psycopg takes)
    return await (await tx.execute(statement, values)).fetchall()
