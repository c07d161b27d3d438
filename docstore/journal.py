"""The journal: every room's updates, made durable together (group commit).

Promise: `durable` never passes a ticket whose entry PostgreSQL has not committed, save those
reported to `on_lost`; entries of a document keep their order; while the database is away they wait
here and are written when it is back. An entry whose commit was cut off is written again, which a
CRDT does not mind.

When a group starts: the first entry after a pause goes with the end of this turn of the loop, so
that somebody alone waits for nobody. Groups then start at least `linger` apart, which gives
entries of a busy server company and spares the processor.

All methods are called on the loop that `run` runs on. Knows bytes and numbers; not rooms.
"""

from __future__ import annotations

import asyncio
import heapq
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import psycopg

from base import clock, log, metrics
from docstore.inserter import Inserter

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

_log = log.get(__name__)

_GROUP_ROWS: Final = 5_000
_GROUP_BYTES: Final = 8 * 1024 * 1024
"""Largest group, save for a single entry that is larger: what has piled up goes in portions."""

_RETRY_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Waits between attempts to reach the database; the last one repeats."""

_OF_ONE_ENTRY: Final = ("22", "23", "54")
"""Classes of errors that lie in the data: bad values, broken constraints, over a limit. All other
errors (no disk space, read-only, no table yet) are the database's, and pass."""

_UNIX_2000: Final = 946_684_800_000
"""Milliseconds: PostgreSQL counts time from 2000."""


class Entry(NamedTuple):
    """One author's change to one document in one turn."""

    document_id: int
    author: UUID | None
    payload: bytes
    """A Yjs v1 update."""
    received: float
    """`clock.monotonic()` when the first update in it arrived."""
    waiting: bool = False
    """Whether something of it is not in the document yet, because what it builds upon is not."""


class JournalStopped(RuntimeError):
    """The journal was stopped before this entry was durable."""


class Journal:
    """One per process. `append` may be called before `run`; entries wait for it."""

    def __init__(
        self,
        url: str,
        *,
        linger: float,
        on_durable: Callable[[int], None] | None = None,
        on_lost: Callable[[Entry, Exception], None] | None = None,
    ) -> None:
        """`linger`: seconds between the starts of two groups. `on_durable`: the first listener.

        `on_lost` gets an entry that PostgreSQL refuses for what is in it; the others go on.
        """
        self._url = url
        self._linger = linger
        self._listeners: list[Callable[[int], None]] = [] if on_durable is None else [on_durable]
        self._on_lost = on_lost
        self._appended = 0
        self._durable = 0
        self._queue: list[Entry] = []
        self._queue_bytes = 0
        self._group: list[list[Entry]] = []
        """What of the group under way is still to be written; more than one part when one entry
        in it is being looked for."""
        self._group_rows = 0
        self._group_bytes = 0
        self._group_oldest = 0.0
        self._awake = True
        """Whether something will look at the queue by itself: a group under way, one planned, or
        the connection that is being made."""
        self._earliest = 0.0
        self._timer: asyncio.Handle | None = None
        self._inserter: Inserter | None = None
        self._broken: asyncio.Future[psycopg.Error] | None = None
        self._interrupted = False
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._stopped = False

    # -- for rooms ---------------------------------------------------------------------------

    def append(self, entry: Entry) -> int:
        """Take an entry and return its ticket: 1, 2, 3 … Never blocks."""
        self._queue.append(entry)
        self._queue_bytes += len(entry.payload)
        self._appended += 1
        if not self._awake:
            self._plan()
        return self._appended

    @property
    def durable(self) -> int:
        """Every ticket up to this one is committed."""
        return self._durable

    @property
    def backlog_rows(self) -> int:
        """Entries not yet durable."""
        return self._appended - self._durable

    @property
    def backlog_bytes(self) -> int:
        """Bytes of updates not yet durable."""
        return self._queue_bytes + self._group_bytes

    def add_listener(self, listener: Callable[[int], None]) -> None:
        """Have `listener(durable)` called on the loop after each group."""
        self._listeners.append(listener)

    async def wait(self, ticket: int) -> None:
        """Until this ticket is durable. Raises JournalStopped when `run` ends before."""
        if ticket <= self._durable:
            return
        if self._stopped:
            raise JournalStopped
        done = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (ticket, id(done), done))
        await done

    async def drain(self) -> None:
        """Until everything appended so far, and what comes meanwhile, is durable."""
        while self._durable < self._appended:
            await self.wait(self._appended)

    async def run(self) -> None:
        """Write groups until cancelled; reconnect for as long as it takes."""
        attempt = 0
        try:
            while True:
                before = self._durable
                connected, error = await self._serve()
                if connected and (self._durable > before or not self._group):
                    attempt = 0
                if attempt == 0:
                    # Once, however long it lasts; the backlog is a metric.
                    _log.error("journal_interrupted", error=str(error), backlog=self.backlog_rows)
                self._interrupted = True
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                attempt += 1
        finally:
            self._stopped = True
            for _, _, done in self._waiting:
                if not done.done():
                    done.set_exception(JournalStopped())
                    done.exception()  # seen, if nobody waits any more
            self._waiting.clear()

    # -- the connection ----------------------------------------------------------------------

    async def _serve(self) -> tuple[bool, Exception]:
        """Connect and write until something breaks: whether we were connected, and what broke."""
        self._broken = asyncio.get_running_loop().create_future()
        try:
            inserter = await Inserter.open(
                self._url, on_done=self._answered, on_broken=self._break_off
            )
        except (psycopg.Error, OSError) as error:
            return False, error
        try:
            self._inserter = inserter
            if self._group:
                self._write()  # again: nobody knows what became of it
            elif self._queue:
                self._plan()
            else:
                self._awake = False
            return True, await self._broken
        finally:
            self._inserter = None
            self._awake = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            await inserter.close()

    def _break_off(self, error: psycopg.Error) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(error)

    # -- groups ------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Start a group with the end of this turn, or when `linger` since the last is over."""
        self._awake = True
        loop = asyncio.get_running_loop()
        wait = self._earliest - clock.monotonic()
        self._timer = (
            loop.call_soon(self._start) if wait <= 0 else loop.call_later(wait, self._start)
        )

    def _start(self) -> None:
        """Make a group of what is queued and write it."""
        self._timer = None
        queue = self._queue
        if len(queue) <= _GROUP_ROWS and self._queue_bytes <= _GROUP_BYTES:
            group, self._queue = queue, []
            self._group_bytes, self._queue_bytes = self._queue_bytes, 0
        else:
            group = self._portion()
        self._group = [group]
        self._group_rows = len(group)
        self._group_oldest = group[0].received
        self._earliest = clock.monotonic() + self._linger
        self._write()

    def _portion(self) -> list[Entry]:
        size = count = 0
        for count, entry in enumerate(self._queue):
            size += len(entry.payload)
            if count and (size > _GROUP_BYTES or count == _GROUP_ROWS):
                size -= len(entry.payload)
                break
        else:
            count += 1
        group, self._queue = self._queue[:count], self._queue[count:]
        self._group_bytes = size
        self._queue_bytes -= size
        return group

    def _write(self) -> None:
        """Send the next part of the group."""
        inserter = self._inserter
        if inserter is None:
            return
        zero = (clock.unix_ms() - _UNIX_2000) * 1000 - int(clock.monotonic() * 1e6)
        try:
            inserter.send(self._group[0], zero)
        except (struct.error, TypeError, ValueError, AttributeError, OverflowError) as error:
            self._refused(error)

    def _answered(self, error: psycopg.Error | None) -> None:
        if error is None:
            self._part_done()
        elif (error.sqlstate or "")[:2] in _OF_ONE_ENTRY:
            self._refused(error)
        else:
            self._break_off(error)

    def _refused(self, error: Exception) -> None:
        """Some entry in this part will never be written: find it by halving."""
        part = self._group[0]
        if len(part) > 1:
            middle = len(part) // 2
            self._group[0:1] = [part[:middle], part[middle:]]
            self._write()
            return
        metrics.rejected_updates_total.labels(reason="not_stored").inc()
        _log.error("journal_entry_lost", document=part[0].document_id, error=str(error))
        if self._on_lost is not None:
            _shielded(self._on_lost, part[0], error)
        self._part_done()

    def _part_done(self) -> None:
        del self._group[0]
        if self._group:
            self._write()
            return
        now = clock.monotonic()
        rows = self._group_rows
        self._durable += rows
        self._group_rows = self._group_bytes = 0
        metrics.journal_groups_total.inc()
        metrics.journal_rows_total.inc(rows)
        # One observation for each group, of the edit that waited longest; one for each row would
        # cost more than writing the row.
        metrics.edit_to_durable_seconds.observe(now - self._group_oldest)
        if self._interrupted:
            self._interrupted = False
            _log.warning("journal_resumed", backlog=self.backlog_rows)
        if self._queue:
            self._plan()
        else:
            self._awake = False
        self._tell()

    def _tell(self) -> None:
        durable = self._durable
        waiting = self._waiting
        while waiting and waiting[0][0] <= durable:
            done = heapq.heappop(waiting)[2]
            if not done.done():
                done.set_result(None)
        for listener in self._listeners:
            _shielded(listener, durable)


def _shielded(call: Callable[..., None], *arguments: object) -> None:
    """A listener's mistake is logged, and is not the journal's end."""
    try:
        call(*arguments)
    except Exception:  # noqa: BLE001
        _log.exception("journal_listener_failed")
