"""Every live room of this process: opened once, found by document, rebuilt when poisoned, unloaded when idle.

Waits for PostgreSQL so that rooms need not. Two clients that open a room at once share one load; nobody is served
before it is complete. A room leaves memory only after everything it journaled is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from api import ports
from base import clock, db, errors, log, metrics, tasks
from docstore import compaction, crdt, documents, journal, loading, waiting
from docstore.history import lineage
from syncserver import intake, presence, replica, room
from syncserver.budget import Budget
from syncserver.client import Hold
from syncserver.connection import Code
from syncserver.durability import Durability
from syncserver.submission import Submission

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from uuid import UUID

    from base.settings import Settings
    from docstore.live import Difference
    from syncserver.client import Client

_log = log.get("syncserver.hub")

_RESYNC_BYTES: Final = 32 * 1024 * 1024
"""Fresh states that may be on their way to slow clients at one time, in the whole process."""
_ENCODING_SECONDS: Final = 10.0
"""A kept encoding of a whole document is let go after this long without a newcomer."""
_WORTH_FOLDING: Final = 100
"""Journal rows that make a compaction worth while when a room is unloaded anyway."""
_MOST_REBUILDS: Final = 50
"""Rebuilds of a room in a row, with nothing applied in between, after which it is given up."""
_FORGETFUL_SECONDS: Final = 60.0
"""A room that has just been opened does not know which clocks its clients remember of one another."""
_DRAIN_SECONDS: Final = 15.0
"""How long a server that stops waits for the database to take what is not durable yet."""
_LARGE: Final = 64 * 1024
"""What is stored of a document is read in a thread from this many bytes on."""
_RETRY_SECONDS: Final = 1.0
_BETWEEN_COMPACTIONS: Final = 10.0
"""Least seconds from opening a room, or from its last compaction, to the next one; also at least this many times
what the last one took, so that folding a large document never takes more than a twentieth of a core."""
_COMPACTION_SHARE: Final = 20.0


class NotDrained(errors.AppError):
    """The database did not take the last updates before the server had to stop; none was acknowledged."""

    code = "not_drained"


class Address(NamedTuple):
    """Which document a room holds."""

    document_id: int
    project_id: UUID


class Hub:
    """The rooms by document; implements `api.ports.LiveRooms`."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: db.Database,
        writer: journal.Journal,
        owner: tasks.Tasks,
    ) -> None:
        self._settings = settings
        self._database = database
        self._journal = writer
        self._tasks = owner
        self._rooms: dict[int, room.Room] = {}
        self._opening: dict[int, asyncio.Future[room.Room]] = {}
        self._unloading: set[int] = set()
        self._compacting: set[int] = set()
        self._held: dict[int, asyncio.Event] = {}
        """Documents that nobody may open for now, and what tells that they may again."""
        self._budget = Budget(_RESYNC_BYTES)
        self._durability = Durability(writer)
        self._paused = False
        self.connections = 0
        writer.add_listener(self._on_durable)

    # -- opening ------------------------------------------------------------------------------------------------

    async def open(self, address: Address) -> room.Room:
        """The room of a document, loaded if need be. Raises DatabaseUnavailable, ports.NoSuchDocument."""
        while (held := self._held.get(address.document_id)) is not None:
            await held.wait()
        found = self._rooms.get(address.document_id)
        if found is not None:
            return found
        opening = self._opening.get(address.document_id)
        if opening is None:
            opening = asyncio.get_running_loop().create_future()
            self._opening[address.document_id] = opening
            self._tasks.spawn(f"open:{address.document_id}", self._load_into(address, opening))
        # Shielded: one client that gives up must not end the load for those who wait with it.
        return await asyncio.shield(opening)

    async def _load_into(self, address: Address, opening: asyncio.Future[room.Room]) -> None:
        try:
            opened = await self._load(address)
        except BaseException as problem:
            del self._opening[address.document_id]
            if isinstance(problem, Exception):
                opening.set_exception(problem)
                opening.exception()  # seen, even if everybody has left meanwhile
                return
            opening.cancel()
            raise
        self._rooms[address.document_id] = opened
        del self._opening[address.document_id]
        metrics.rooms.set(len(self._rooms))
        opening.set_result(opened)

    async def _load(self, address: Address) -> room.Room:
        started = clock.monotonic()
        document, loaded = await self._replica(address.document_id)
        async with self._database.connection() as tx:
            retired = await lineage.retired(tx, address.document_id)
        settings = self._settings
        opened = room.Room(
            document_id=address.document_id,
            project_id=address.project_id,
            document=document,
            writer=self._journal,
            durable=self._durability,
            limits=intake.Limits(settings.max_document_bytes, settings.pending_updates),
            people=presence.Presence(
                grace=settings.presence_grace_ms / 1000,
                ttl=settings.presence_ttl_seconds,
                max_states_per_connection=64,
                max_state_bytes=16 * 1024,
                forgetful_until=started + _FORGETFUL_SECONDS,
            ),
            resyncs=self._budget,
            on_poison=self._rebuild_soon,
            retired=retired,
        )
        opened.intake.rows_since_snapshot = len(loaded.tail) + len(loaded.waiting)
        opened.intake.bytes_since_snapshot = loaded.stored_bytes
        opened.compact_not_before = clock.monotonic() + _BETWEEN_COMPACTIONS
        metrics.room_load_seconds.observe(clock.monotonic() - started)
        return opened

    async def _replica(self, document_id: int) -> tuple[replica.Replica, documents.LoadedDocument]:
        async with self._database.transaction() as tx:
            loaded = await documents.load(tx, document_id)
        kept: list[waiting.Waiting] = []
        unfit: list[int] = []
        for row in loaded.waiting:
            try:
                kept.append(waiting.Waiting(row.payload, author=row.author, row=row.seq))
            except crdt.MalformedUpdate:
                unfit.append(row.seq)
        prepare = partial(loading.prepare, loaded.snapshot, loaded.tail, kept)
        large = loaded.stored_bytes + len(loaded.snapshot or b"") > _LARGE
        stored = await anyio.to_thread.run_sync(prepare) if large else prepare()
        document = replica.Replica(stored)
        if document.left_out:
            _log.error("updates_left_out", document=document_id, updates=len(document.left_out))
        unfit += [one.row for one in document.refused if one.row is not None]
        if unfit:
            _log.warning("waiting_updates_refused", document=document_id, rows=unfit)
            metrics.rejected_updates_total.labels("poison_after_waiting").inc(len(unfit))
            async with self._database.transaction() as tx:
                await documents.refuse(tx, document_id, unfit, clock.now())
        return document, loaded

    def lost(self, entry: journal.Entry, error: Exception) -> None:
        """The journal's `on_lost`: PostgreSQL will never take this entry, so nobody may be told that it did."""
        _log.error("entry_not_stored", document=entry.document_id, error=type(error).__name__)
        live = self._rooms.get(entry.document_id)
        if live is not None:
            self._give_up(live)

    # -- poison -------------------------------------------------------------------------------------------------

    def _rebuild_soon(self, poisoned: room.Room) -> None:
        poisoned.intake.rebuilds += 1
        if poisoned.intake.rebuilds > _MOST_REBUILDS:
            self._give_up(poisoned)
            return
        self._tasks.spawn(f"rebuild:{poisoned.document_id}", self._rebuild(poisoned))

    async def _rebuild(self, poisoned: room.Room) -> None:
        """Load the document again and put it in the place of the suspect one; nobody is disconnected."""
        while True:
            try:
                await self._journal.wait(poisoned.last_ticket)
                document, _ = await self._replica(poisoned.document_id)
            except db.DatabaseUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except Exception:
                self._give_up(poisoned)
                raise
            poisoned.rebuilt(document)
            return

    def _give_up(self, lost: room.Room) -> None:
        """A room whose document cannot be had: whoever is in it is sent away, to a new room if that can be opened."""
        for one in list(lost.clients.values()):
            one.close(Code.SERVER_ERROR, "the document could not be loaded")
        if self._rooms.get(lost.document_id) is lost:
            del self._rooms[lost.document_id]
            metrics.rooms.set(len(self._rooms))
        lost.given_up = True
        lost.clean.set()

    # -- durability ---------------------------------------------------------------------------------------------

    def _on_durable(self, ticket: int) -> None:
        self._durability.reached(ticket)
        if self._paused and self._journal.backlog_bytes < self._settings.journal_backlog_bytes // 2:
            self._pause_reading(paused=False)

    def _pause_reading(self, *, paused: bool) -> None:
        """The database is behind: let TCP hold the writers back rather than fill the memory."""
        self._paused = paused
        _log.warning("journal backlog", paused=paused, bytes=self._journal.backlog_bytes)
        for live in self._rooms.values():
            for reader in live.clients.values():
                if paused:
                    reader.wire.hold(Hold.JOURNAL)
                else:
                    reader.wire.release(Hold.JOURNAL)

    # -- time ---------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Housekeeping, several times a second: presence, backlog, slow clients, idle rooms, compaction."""
        settings = self._settings
        now = clock.monotonic()
        metrics.journal_backlog_bytes.set(self._journal.backlog_bytes)
        metrics.journal_backlog_rows.set(self._journal.backlog_rows)
        if not self._paused and self._journal.backlog_bytes > settings.journal_backlog_bytes:
            self._pause_reading(paused=True)
        for live in list(self._rooms.values()):
            try:
                live.tick(
                    now, slow_seconds=settings.slow_client_seconds, keep_encoding=_ENCODING_SECONDS
                )
            except Exception:  # noqa: BLE001 (a mistake of ours in one room must not end the others' time)
                live.fail()
            self._care_for(live, now)

    def _care_for(self, live: room.Room, now: float) -> None:
        settings = self._settings
        full = (
            live.intake.rows_since_snapshot >= settings.compact_rows
            or live.intake.bytes_since_snapshot >= settings.compact_bytes
        )
        if full and now >= live.compact_not_before and live.document_id not in self._compacting:
            self._compacting.add(live.document_id)
            self._tasks.spawn(f"compact:{live.document_id}", self._compact(live))
        idle = live.idle_since is not None and now - live.idle_since > settings.room_idle_seconds
        if idle and live.document_id not in self._unloading:
            self._unloading.add(live.document_id)
            self._tasks.spawn(f"unload:{live.document_id}", self._unload(live))

    async def _compact(self, live: room.Room) -> None:
        rows, size = live.intake.rows_since_snapshot, live.intake.bytes_since_snapshot
        started = clock.monotonic()
        try:
            await self._journal.wait(live.last_ticket)
            await compaction.compact(self._database, live.document_id)
            live.intake.rows_since_snapshot -= rows
            live.intake.bytes_since_snapshot -= size
        finally:
            done = clock.monotonic()
            pause = max(_BETWEEN_COMPACTIONS, (done - started) * _COMPACTION_SHARE)
            live.compact_not_before = done + pause
            self._compacting.discard(live.document_id)

    async def _compact_if_possible(self, live: room.Room) -> None:
        """A room is let go of although its tail cannot be folded."""
        try:
            await self._compact(live)
        except Exception:  # noqa: BLE001 (said above; the rows are all there, for the next time)
            _log.exception("compaction_failed", document=live.document_id)

    async def _unload(self, live: room.Room) -> None:
        try:
            await self._journal.wait(live.last_ticket)
            if (
                live.intake.rows_since_snapshot >= _WORTH_FOLDING
                and clock.monotonic() >= live.compact_not_before
            ):
                await self._compact_if_possible(live)
            # Somebody may have come in, and written, while this waited.
            if live.idle_since is None or not live.clean.is_set():
                return
            if live.last_ticket > self._journal.durable:
                return
            if self._rooms.get(live.document_id) is live:
                del self._rooms[live.document_id]
                metrics.rooms.set(len(self._rooms))
                live.close()
        finally:
            self._unloading.discard(live.document_id)

    # -- sockets ------------------------------------------------------------------------------------------------

    def everybody(self) -> list[Client]:
        """Every admitted client."""
        return [one for live in self._rooms.values() for one in live.clients.values()]

    def admit_reading(self, newcomer: Client) -> None:
        """A client that comes while the journal is behind waits like the others."""
        if self._paused:
            newcomer.wire.hold(Hold.JOURNAL)

    def keep_alive(self) -> None:
        """See `room.Room.keep_alive`."""
        for live in self._rooms.values():
            live.keep_alive()

    # -- api.ports.LiveRooms --------------------------------------------------------------------------------------

    async def snapshot(self, document_id: int) -> bytes:
        """The live state as one v1 update, without what waits for its dependencies."""
        live = await self._settled(document_id)
        try:
            return live.replica.full()
        except replica.Poisoned as poison:
            live.distrust()
            raise ports.RoomUnavailable from poison

    async def diff(self, document_id: int, state_vector: bytes) -> Difference:
        """What the live state has beyond a state vector, without what waits for its dependencies."""
        found = await self._settled(document_id)
        try:
            return found.replica.beyond(state_vector)
        except replica.Poisoned as poison:
            found.distrust()
            raise ports.RoomUnavailable from poison

    async def apply(self, document_id: int, update: bytes, author: UUID | None) -> ports.Applied:
        """Apply an update as one more writer in the room; returns once it is durable."""
        live = await self._settled(document_id)
        submission = Submission(author)
        live.submit(submission, update)
        outcome = live.turn()
        submission.check()
        if outcome == room.NOTHING_DONE and not live.clean.is_set():
            raise ports.RoomUnavailable  # the document failed before this update's turn came
        durable = asyncio.get_running_loop().create_future()
        live.when_durable(partial(_resolve, durable))
        await durable
        if live.given_up:
            raise ports.RoomUnavailable  # perhaps because it could not be stored
        return ports.Applied(changed=outcome.deltas > 0, pending=outcome.pending > 0)

    async def _settled(self, document_id: int) -> room.Room:
        """The room with nothing left to do: what its clients said before is in its document."""
        address = await self._address(document_id)
        live = await self.open(address)
        while True:
            live.turn()
            if live.given_up:
                live = await self.open(address)
            elif live.clean.is_set():
                return live
            else:
                await live.clean.wait()

    @contextlib.asynccontextmanager
    async def held(
        self, document_ids: Sequence[int], *, code: int, reason: str
    ) -> AsyncGenerator[None]:
        """Nothing happens in these rooms meanwhile, and they are loaded anew afterwards."""
        while taken := [held for each in document_ids if (held := self._held.get(each))]:
            await taken[0].wait()
        over = asyncio.Event()
        self._held.update(dict.fromkeys(document_ids, over))
        still: list[room.Room] = []
        # Whoever fails half way may have replaced what is stored: then too nobody goes on as before.
        ending = Code.TRY_LATER, "the room had to be loaded again"
        try:
            for document_id in document_ids:
                await self._still(document_id, still)
            for live in still:
                await self._journal.wait(live.last_ticket)
            yield
            ending = Code(code), reason
        finally:
            for live in still:
                if self._rooms.get(live.document_id) is live:
                    del self._rooms[live.document_id]
                live.let_go(*ending)
            metrics.rooms.set(len(self._rooms))
            for document_id in document_ids:
                del self._held[document_id]
            over.set()

    async def _still(self, document_id: int, still: list[room.Room]) -> None:
        """Let a room, if it is open or being opened, finish what it has, and then do nothing more."""
        opening = self._opening.get(document_id)
        if opening is not None:
            await asyncio.wait([opening])
        while (live := self._rooms.get(document_id)) is not None:
            live.turn()
            if live.clean.is_set() and not live.given_up:
                live.hold()
                still.append(live)
                return
            await live.clean.wait()
            await asyncio.sleep(0)

    def statistics(self) -> ports.LiveStatistics:
        """How much is open."""
        return ports.LiveStatistics(rooms=len(self._rooms), connections=self.connections)

    async def _address(self, document_id: int) -> Address:
        live = self._rooms.get(document_id)
        if live is not None:
            return Address(document_id, live.project_id)
        async with self._database.connection() as tx:
            project_id = await documents.project_of(tx, document_id)
        return Address(document_id, project_id)

    async def aclose(self) -> None:
        """The server stops: take what is in the rooms' hands, then make it durable.

        Raises NotDrained when the database does not take it in time; none of that was acknowledged.
        """
        for live in self._rooms.values():
            live.turn()
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._journal.drain()
        except TimeoutError:
            rows = self._journal.backlog_rows
            raise NotDrained(
                f"{rows} updates could not be stored before the end", rows=rows
            ) from None
        for live in self._rooms.values():
            live.close()
        self._rooms.clear()


def _resolve(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
