"""One live project: takes what its clients say, one turn of the event loop at a time.

A turn applies everything that arrived, one transaction per author, hands the deltas to the journal and writes
one buffer of finished frames to every socket. Nothing here waits: opening, rebuilding and unloading are the hub's.

Promises, cited in the code by number:
1. An update is acknowledged only when the journal has made it, and all before it, durable.
2. What a client receives is what was journaled: a failed update reaches neither a peer nor the journal.
3. A client that does not keep up costs the others nothing: it is skipped, then brought up to date.
4. An update whose dependencies have not arrived is journaled as it was received.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from base import clock, log, metrics
from docstore import journal
from syncserver import budget, client, connection, durability, presence, replica
from syncserver.group import Group, Source
from syncserver.wire import awareness, events, frames, yjs

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

_log = log.get("syncserver.room")

_COMPANY_SECONDS: Final = 20e-6
_COMPANY_LEAST: Final = 0.5e-3
_COMPANY_MOST: Final = 4e-3
"""When several people write, a turn comes this long after the one before, times the number of readers: twice
what its writes cost. Then what others write meanwhile shares them. Below the least it is not worth a timer."""

_EVERYTHING: Final = b"\x00"
"""The state vector of somebody who has nothing."""


class Journal(Protocol):
    """The part of `docstore.journal.Journal` that a room needs."""

    def append(self, entry: journal.Entry) -> int:
        """Queue for the next group commit; the ticket that will become durable."""
        ...


class Limits(NamedTuple):
    """Bounds on one room."""

    document_bytes: int
    pending_updates: int


class Outcome(NamedTuple):
    """What a turn did: deltas journaled, and updates kept that wait for others."""

    deltas: int
    pending: int


class Room:
    """See the module. All methods are synchronous and run on the event loop."""

    def __init__(
        self,
        *,
        document_id: int,
        project_id: UUID,
        document: replica.Replica,
        writer: Journal,
        durable: durability.Durability,
        limits: Limits,
        people: presence.Presence,
        resyncs: budget.Budget,
        on_poison: Callable[[Room], None],
    ) -> None:
        self.document_id = document_id
        self.project_id = project_id
        self.replica = document
        self.presence = people
        self.clients: dict[int, client.Client] = {}
        self.last_ticket = 0
        self.rows_since_snapshot = 0
        self.bytes_since_snapshot = 0
        self.compact_not_before = 0.0
        self.idle_since: float | None = clock.monotonic()
        self.clean = asyncio.Event()
        self.clean.set()
        self.given_up = False
        self.rebuilds = 0
        self._journal = writer
        self._durability = durable
        self._limits = limits
        self._resyncs = resyncs
        self._on_poison = on_poison
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._received = 0.0
        self._last_welcome = 0.0
        self._one_by_one = False
        self._earliest = 0.0
        self._last_writer = 0
        self._updates: dict[UUID | None, Group] = {}
        self._joiners: dict[client.Client, bytes] = {}
        self._late: list[client.Client] = []
        self._curious: set[client.Client] = set()
        self._after: list[Callable[[], None]] = []
        self._people: list[awareness.State] = []
        self._unsettled = False
        self._loose: list[bytes] = []

    # -- what arrives -------------------------------------------------------------------------------------------

    def join(self, newcomer: client.Client) -> None:
        """Take a client in: ask for what it has, and tell it who is here."""
        self.clients[newcomer.id] = newcomer
        self.idle_since = None
        user = None
        if newcomer.author is not None:
            user = presence.PresenceUser(str(newcomer.author), newcomer.username or "")
        here = self.presence.join(newcomer.id, user, clock.monotonic())
        # A reader has nothing to give, so it is not asked.
        greeting = frames.binary(yjs.step1(self._state())) if newcomer.may_edit else b""
        if here:
            greeting += _presence_frame(here)
        if greeting:
            newcomer.write(greeting)

    def leave(self, leaver: client.Client) -> None:
        """A socket is gone. Its presence stays for the grace period, in case it comes back at once."""
        leaver.closed = True
        self._joiners.pop(leaver, None)
        if self.clients.pop(leaver.id, None) is None:
            return
        self._resyncs.give_back(leaver.resyncing)
        leaver.resyncing = 0
        now = clock.monotonic()
        self.presence.leave(leaver.id, now)
        if not self.clients:
            self.idle_since = now

    def receive(self, sender: client.Client, kind: int, body: bytes) -> None:
        """One event of a client; it takes effect at the end of this turn of the loop."""
        if kind == events.UPDATE or kind == events.STEP2:
            self.submit(sender, body)
            return
        if kind == events.STEP1:
            self._joiners[sender] = body
        elif kind == events.SYNC_STATUS:
            self._after.append(partial(_acknowledge, sender, body))
        elif kind == events.AWARENESS:
            self._hear_presence(sender, body)
        elif kind == events.QUERY_AWARENESS:
            self._curious.add(sender)
        elif kind == events.REFUSED:
            metrics.rejected_updates_total.labels("read_only").inc()
            sender.warn("you may read this project but not change it")
        self._schedule()

    def submit(self, source: Source, update: bytes) -> None:
        """An update to apply at the end of this turn."""
        if not self._updates:
            self._received = now = clock.monotonic()
            if not self._scheduled:
                self._scheduled = True
                if now < self._earliest and id(source) != self._last_writer:
                    self._loop.call_at(self._loop.time() + self._earliest - now, self.turn)
                else:
                    self._loop.call_soon(self.turn)
        group = self._updates.get(source.author)
        if group is None:
            self._updates[source.author] = Group([source], [update])
        else:
            group.sources.append(source)
            group.updates.append(update)

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` once everything this room has journaled so far is durable: promise 1."""
        self._durability.when(self.last_ticket, then)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.turn)

    def _hear_presence(self, sender: client.Client, body: bytes) -> None:
        heard = self.presence.receive(sender.id, body, clock.monotonic())
        if heard.malformed is not None:
            metrics.rejected_frames_total.labels("presence").inc()
            sender.close(connection.Code.BAD_DATA, heard.malformed)
            return
        if heard.reply:
            sender.write(_presence_frame(heard.reply))
        self._people.extend(heard.relay)

    def _state(self) -> bytes:
        # A suspect document is not asked anything: its state may be half of an update.
        return self.replica.state_vector() if self.clean.is_set() else _EVERYTHING

    # -- one turn -----------------------------------------------------------------------------------------------

    def turn(self) -> Outcome:
        """Apply, journal, fan out, answer; in this order."""
        self._scheduled = False
        if not self.clean.is_set() or self.given_up:
            return Outcome(0, 0)
        deltas: list[bytes] = []
        sources: set[int] = set()
        kept = 0
        if self._updates:
            try:
                kept = self._apply_all(deltas, sources)
            except Exception:  # noqa: BLE001 (a mistake of ours: nobody may be told that all is well)
                self._fail()
                return Outcome(0, 0)
        if self._loose:
            deltas += self._loose
            self._loose = []
            sources.add(0)
        if deltas or self._people:
            self._fan_out(deltas, sources)
        outcome = Outcome(len(deltas), kept)
        if not self.clean.is_set():
            self._on_poison(self)
            return outcome
        if self._curious:
            self._show_presence()
        if self._joiners:
            joiners, self._joiners = self._joiners, {}
            self._welcome(joiners)
        if self._late and self.clean.is_set():
            self._catch_up()
        if self._after:
            after, self._after = self._after, []
            for then in after:
                self.when_durable(then)
        return outcome

    def _fail(self) -> None:
        """Something is wrong that was not foreseen: everybody reconnects, sends again what is missing, and is served anew."""
        _log.exception("turn_failed", document=self.document_id)
        self._after = []
        for one in list(self.clients.values()):
            one.close(connection.Code.SERVER_ERROR, "the room failed")
        self.clean.clear()
        self._on_poison(self)

    def _apply_all(self, deltas: list[bytes], sources: set[int]) -> int:
        """Every author's updates of this turn; how many of them are kept because they wait for others.

        Stops at poison, and keeps the rest for the rebuilt document.
        """
        authors, self._updates = self._updates, {}
        one_by_one, self._one_by_one = self._one_by_one, False
        kept = 0
        while authors:
            author, group = next(iter(authors.items()))
            del authors[author]
            metrics.updates_in_total.inc(len(group.updates))
            try:
                if self._outgrows(group):
                    group = self._within_size(group)
            except replica.Poisoned as poison:
                _log.warning("poison_document", document=self.document_id, cause=str(poison))
                self.clean.clear()
                self._updates = {author: group, **authors}
                return kept
            parts = [group] if group.updates else []
            if one_by_one:
                pairs = zip(group.sources, group.updates, strict=True)
                parts = [Group([source], [update]) for source, update in pairs]
            for done, part in enumerate(parts, 1):
                try:
                    kept += self._apply(author, part, deltas, sources)
                except replica.Poisoned as poison:
                    rest, offender = self._without_offender(part, poison)
                    for later in parts[done:]:
                        rest.extend(later.without(offender))
                    self._updates = {author: rest, **authors} if rest.updates else authors
                    self._one_by_one = self._one_by_one or one_by_one
                    return kept
        if deltas and self.replica.pending:
            # Even the writer of this turn may not have what came loose with it.
            sources.add(0)
            self._unsettled = True
        return kept

    def _apply(
        self, author: UUID | None, group: Group, deltas: list[bytes], sources: set[int]
    ) -> int:
        """Apply updates of one author in one transaction; how many of them are kept waiting.

        Raises replica.Poisoned: then nothing of them counts (promise 2).
        """
        result = self.replica.apply(group.updates)
        for index in result.malformed:
            _refuse(group.sources[index], connection.MALFORMED)
        self.rebuilds = 0
        if result.delta is not None:
            deltas.append(result.delta)
            self._write(author, result.delta)
            sources.update(map(id, group.sources))
        kept = 0
        for index in result.waiting:
            kept += self._keep(author, group.sources[index], group.updates[index])
        return kept

    def _without_offender(
        self, group: Group, poison: replica.Poisoned
    ) -> tuple[Group, Source | None]:
        """The document is suspect and not asked again; what of the group is to be applied to a clean one.

        And whose update it was, if that is known: what it sent later is not taken.
        """
        self.clean.clear()
        _log.warning("poison_update", document=self.document_id, cause=str(poison))
        if poison.index is None and len(group.updates) > 1:
            # It showed only at the commit: each alone, on the clean document, tells whose it was.
            self._one_by_one = True
            return group, None
        offender = group.sources[poison.index or 0]
        _refuse(offender, connection.POISON)
        first = poison.index or 0
        before = group.only(lambda index: index < first)
        before.extend(group.only(lambda index: index > first).without(offender))
        return before, offender

    def _write(self, author: UUID | None, payload: bytes) -> None:
        self.last_ticket = self._journal.append(
            journal.Entry(self.document_id, author, payload, self._received)
        )
        self.rows_since_snapshot += 1
        self.bytes_since_snapshot += len(payload)

    def _keep(self, author: UUID | None, source: Source, update: bytes) -> int:
        """Promise 4, within bounds: an update that waits for what it builds upon; 1 if it is news."""
        pending = self.replica.pending
        if update in pending:
            return 0  # a client that reconnects sends again what it knows to be waiting
        if len(pending) >= self._limits.pending_updates:
            _refuse(source, connection.PENDING_FULL)
            return 0
        pending.append(update)
        self._write(author, update)
        return 1

    def _settle(self) -> None:
        """Something new came while others waited: what comes loose is told; it was journaled when it came.

        yrs sees most of it by itself. Looking costs time in proportion to what waits, so it is done by the tick.
        """
        self._unsettled = False
        try:
            loose = self.replica.settle()
        except replica.Poisoned as poison:
            # What waits was journaled as it came, so the clean document will hold it and its room will see.
            _log.warning("poison_update", document=self.document_id, cause=str(poison))
            self.clean.clear()
            self._on_poison(self)
            return
        self._loose.extend(loose)

    def _outgrows(self, group: Group) -> bool:
        return self.replica.size + sum(map(len, group.updates)) > self._limits.document_bytes

    def _within_size(self, group: Group) -> Group:
        self.replica.full()  # corrects the estimate
        fits: list[bool] = []
        size = self.replica.size
        for source, update in zip(group.sources, group.updates, strict=True):
            fits.append(size + len(update) <= self._limits.document_bytes)
            if fits[-1]:
                size += len(update)
            else:
                _refuse(source, connection.DOCUMENT_FULL)
        return group.only(fits.__getitem__)

    def _fan_out(self, deltas: list[bytes], sources: set[int]) -> None:
        """Write this turn to every socket, encoded once."""
        people, self._people = self._people, []
        news = b"".join([frames.binary(yjs.update(delta)) for delta in deltas])
        present = _presence_frame(people) if people else b""
        everything = news + present if present else news
        # Who wrote all of this turn has it already.
        spared = next(iter(sources)) if len(sources) == 1 else 0
        reached = 0
        # A write can fill a transport, never empty the room: sockets are lost in turns of their own.
        for reader in self.clients.values():
            if reader.behind is not None:
                reader.missed = reader.missed or bool(deltas)
                reader.missed_presence = reader.missed_presence or bool(people)
            elif reader.closed:
                continue
            elif id(reader) == spared:
                if present:
                    reader.write(present)
                    reader.told = True
            else:
                reader.write(everything)
                reader.told = True
                reached += 1
        if deltas:
            now = clock.monotonic()
            metrics.updates_out_total.inc(reached * len(deltas))
            metrics.edit_to_fanout_seconds.observe(now - self._received)
            # Alone, a writer is never made to wait; see _COMPANY_SECONDS.
            self._last_writer = next(iter(sources)) if len(sources) == 1 else 0
            company = reached * _COMPANY_SECONDS
            self._earliest = now + min(company, _COMPANY_MOST) if company > _COMPANY_LEAST else 0.0

    def _welcome(self, joiners: dict[client.Client, bytes]) -> None:
        """Answer the SyncStep1 of this turn; equal questions share one answer."""
        answers: dict[bytes, bytes] = {}
        self._last_welcome = clock.monotonic()
        for joiner, state_vector in joiners.items():
            if joiner.closed:
                continue
            if joiner.behind is not None:
                self._joiners[joiner] = (
                    state_vector  # it asks more than it reads; answered when it has read
                )
                continue
            answer = answers.get(state_vector)
            if answer is None:
                try:
                    answer = self._answer(state_vector)
                except ValueError:
                    joiner.close(connection.Code.BAD_DATA, "this state vector cannot be read")
                    continue
                except replica.Poisoned as poison:
                    # Not this client's fault: it may come back to a rebuilt document.
                    _log.warning("poison_document", document=self.document_id, cause=str(poison))
                    joiner.close(connection.Code.SERVER_ERROR, "the document could not be read")
                    self.clean.clear()
                    # The others ask the rebuilt document.
                    self._joiners.update((j, sv) for j, sv in joiners.items() if not j.closed)
                    self._on_poison(self)
                    return
                answers[state_vector] = answer
            joiner.write(answer)
            joiner.told = True

    def _show_presence(self) -> None:
        """Answer those who asked in this turn who is here."""
        curious, self._curious = self._curious, set()
        here = _presence_frame(self.presence.states(clock.monotonic()))
        for one in curious:
            if one.behind is not None:
                one.missed_presence = True
            elif not one.closed:
                one.write(here)

    def _answer(self, state_vector: bytes) -> bytes:
        if state_vector in (b"", _EVERYTHING):
            return self.replica.welcome()
        return frames.binary(yjs.step2(self.replica.diff(state_vector)))

    # -- clients that do not keep up ------------------------------------------------------------------------------

    def fell_behind(self, slow: client.Client) -> None:
        """The transport is full. What was written so far includes all that the document holds: promise 3."""
        if slow.behind is None:
            slow.behind = self._state()
            slow.behind_since = clock.monotonic()
            slow.buffered_then = slow.wire.buffered()

    def caught_up(self, slow: client.Client) -> None:
        """The transport has drained: at the end of the turn the client is brought from where it stopped to now."""
        self._resyncs.give_back(slow.resyncing)
        slow.resyncing = 0
        if self._joiners:
            self._schedule()
        if slow.behind is not None and slow not in self._late:
            self._late.append(slow)
            self._schedule()

    def _catch_up(self) -> None:
        late, self._late = self._late, []
        answers: dict[bytes, bytes] = {}
        for slow in late:
            since = slow.behind
            if since is None or slow.closed:
                continue
            out = b""
            if slow.missed:
                if not self._resyncs.take(self.replica.size):
                    self._late.append(slow)  # tried again by the next tick
                    continue
                slow.resyncing = self.replica.size
                metrics.resyncs_total.inc()
                out = answers.get(since) or frames.binary(yjs.update(self.replica.diff(since)))
                answers[since] = out
            if slow.missed_presence:
                out += _presence_frame(self.presence.states(clock.monotonic()))
            slow.missed = slow.missed_presence = False
            slow.behind = None
            if out:
                slow.write(out)
                slow.told = True
            if slow.behind is None:
                # It went out at once: nothing will tell that it drained.
                self._resyncs.give_back(slow.resyncing)
                slow.resyncing = 0

    def _check_progress(self, slow: client.Client, now: float, slow_seconds: float) -> None:
        """A client that reads slowly is waited for; one that reads nothing for too long is closed."""
        left = slow.wire.buffered()
        if left < slow.buffered_then:
            slow.behind_since = now
        elif now - slow.behind_since > slow_seconds:
            metrics.slow_clients_closed_total.inc()
            slow.close(connection.Code.TRY_LATER, "this connection does not keep up")
        slow.buffered_then = left

    # -- time ---------------------------------------------------------------------------------------------------

    def tick(self, now: float, *, slow_seconds: float, keep_encoding: float) -> None:
        """What time brings: presence that is over, clients that stall, memory that nobody asked for."""
        gone = self.presence.due(now)
        if gone:
            self._people.extend(gone)
        if self._unsettled and self.clean.is_set():
            self._settle()
        if gone or self._late or self._loose or self._joiners:
            self._schedule()
        if now - self._last_welcome > keep_encoding:
            self.replica.forget_encoding()
        for one in list(self.clients.values()):
            if one.behind is not None and not one.closed:
                self._check_progress(one, now, slow_seconds)

    def keep_alive(self) -> None:
        """Say something to those who heard nothing lately: y-websocket hangs up after 30 s of silence."""
        for one in self.clients.values():
            if not one.told and not one.closed and one.behind is None:
                one.write(_KEEPALIVE)
            one.told = False

    # -- its end, or a new start -----------------------------------------------------------------------------------

    def rebuilt(self, document: replica.Replica) -> None:
        """A clean document replaces the suspect one; everything that waited takes its turn."""
        self.replica = document
        self.clean.set()
        metrics.room_rebuilds_total.inc()
        self._schedule()

    def close(self) -> None:
        """Let go of the document. The room is not used again."""
        self.replica.close()


_KEEPALIVE: Final = frames.binary(yjs.KEEPALIVE)


def _presence_frame(states: list[awareness.State]) -> bytes:
    return frames.binary(yjs.awareness(awareness.encode(states)))


def _refuse(source: Source, why: connection.Refusal) -> None:
    metrics.rejected_updates_total.labels(why.name).inc()
    source.refuse(why)


def _acknowledge(asker: client.Client, body: bytes) -> None:
    if not asker.closed:
        asker.write(frames.binary(yjs.sync_status(body)))
