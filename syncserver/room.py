"""One live project: takes what its clients say, one turn of the event loop at a time.

A turn applies everything that arrived, one transaction per author, hands the deltas to the journal and writes
one buffer of finished frames to every socket. What happens to the document is `intake`'s, who does not keep up
`laggards`'; opening, rebuilding and unloading are the hub's. Nothing here waits.

Promises, cited in the code by number:
1. An update is acknowledged only when the journal has made it, and all before it, durable.
2. What a client receives is what was journaled: a failed update reaches neither a peer nor the journal.
3. A client that does not keep up costs the others nothing: it is skipped, then brought up to date.
4. An update whose dependencies have not arrived is journaled as it was received.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from base import clock, log, metrics
from docstore import retired
from syncserver import budget, client, connection, durability, intake, laggards, presence, replica
from syncserver.wire import awareness, events, frames, yjs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from syncserver.group import Source

_log = log.get("syncserver.room")

_COMPANY_SECONDS: Final = 50e-6
_COMPANY_LEAST: Final = 0.5e-3
_COMPANY_MOST: Final = 4e-3
"""When several people write, a turn comes this long after the one before, times the number of readers: a few times
what its writes cost. Then what others write meanwhile shares them. Below the least it is not worth a timer."""

_MOST_ASKED: Final = 100
"""Acknowledgements on their way to one client."""

_EVERYTHING: Final = b"\x00"
"""The state vector of somebody who has nothing."""
_NOTHING_YET: Final = (b"", _EVERYTHING)


class Outcome(NamedTuple):
    """What a turn did: deltas journaled, and updates kept that wait for others."""

    deltas: int
    pending: int


NOTHING_DONE: Final = Outcome(0, 0)


class Room:
    """See the module. All methods are synchronous and run on the event loop."""

    def __init__(
        self,
        *,
        document_id: int,
        project_id: UUID,
        document: replica.Replica,
        writer: intake.Journal,
        durable: durability.Durability,
        limits: intake.Limits,
        people: presence.Presence,
        resyncs: budget.Budget,
        on_poison: Callable[[Room], None],
        retired: frozenset[int] | None = None,
    ) -> None:
        """`retired`: clients that wrote before the project was squashed; None: it never was."""
        self.document_id = document_id
        self.project_id = project_id
        self.retired = retired
        self.intake = intake.Intake(
            document_id=document_id, document=document, writer=writer, limits=limits
        )
        self.presence = people
        self.clients: dict[int, client.Client] = {}
        self.compact_not_before = 0.0
        self.idle_since: float | None = clock.monotonic()
        self.clean = asyncio.Event()
        self.clean.set()
        self.given_up = False
        self._durability = durable
        self._laggards = laggards.Laggards(resyncs)
        self._on_poison = on_poison
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._last_welcome = 0.0
        self._earliest = 0.0
        self._last_writer = 0
        self._joiners: dict[client.Client, bytes] = {}
        self._curious: set[client.Client] = set()
        self._after: list[Callable[[], None]] = []
        self._people: dict[int, awareness.State] = {}

    @property
    def replica(self) -> replica.Replica:
        """The document."""
        return self.intake.replica

    @property
    def last_ticket(self) -> int:
        """The journal's ticket for the newest of what this room has written."""
        return self.intake.last_ticket

    # -- what arrives -------------------------------------------------------------------------------------------

    def join(self, newcomer: client.Client) -> None:
        """Take a client in: ask for what it has, and tell it who is here."""
        self.clients[newcomer.id] = newcomer
        newcomer.on_expelled = self._expelled
        newcomer.since = clock.monotonic()
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

    def leave(self, leaver: client.Client, *, for_good: bool = False) -> None:
        """A socket is gone. Its presence stays for the grace period, in case it comes back at once.

        Not of somebody who has to go for good: of whom `Client.close` told so, it went before.
        """
        leaver.closed = True
        leaver.on_expelled = None
        self._joiners.pop(leaver, None)
        if self.clients.pop(leaver.id, None) is None:
            return
        self._laggards.left(leaver)
        now = clock.monotonic()
        if for_good:
            self._expelled(leaver)
        else:
            self.presence.leave(leaver.id, now)
        if not self.clients:
            self.idle_since = now

    def _expelled(self, one: client.Client) -> None:
        gone = self.presence.expel(one.id, clock.monotonic())
        if gone:
            self._tell(gone)
            self._schedule()

    def permit(self, one: client.Client, *, may_edit: bool) -> None:
        """Somebody may edit from now on, or no more; what was said before in this turn counts as it was said."""
        # What it typed as a reader was refused: its answer to this brings all of it.
        question = frames.binary(yjs.step1(self._state())) if may_edit else b""
        one.may_edit = may_edit
        one.connection.permit(may_edit=may_edit)
        one.warned = False
        if may_edit:
            one.write(question)
            one.told = True
        else:
            protected = one.may_not == client.PROTECTED
            one.warn(client.PROTECTED if protected else client.READER_NOW)

    def receive(self, sender: client.Client, kind: int, body: bytes) -> None:
        """One event of a client; it takes effect at the end of this turn of the loop."""
        if kind == events.UPDATE or kind == events.STEP2:
            self.submit(sender, body)
            return
        if kind == events.STEP1:
            if self.retired is not None and retired.is_known(body, self.retired):
                sender.refuse(connection.RETIRED)
                return
            self._joiners[sender] = body
        elif kind == events.SYNC_STATUS:
            self._acknowledge_when_durable(sender, body)
        elif kind == events.AWARENESS:
            self._hear_presence(sender, body)
        elif kind == events.QUERY_AWARENESS:
            self._curious.add(sender)
        elif kind == events.REFUSED:
            metrics.rejected_updates_total.labels("read_only").inc()
            sender.warn(sender.may_not)
        self._schedule()

    def submit(self, source: Source, update: bytes) -> None:
        """An update to apply at the end of this turn."""
        if self.retired is not None and retired.is_in(update, self.retired):
            intake.refuse(source, connection.RETIRED)
            return
        if not self.intake.submit(source, update):
            return
        self.intake.received = now = clock.monotonic()
        if not self._scheduled:
            self._scheduled = True
            if now < self._earliest and id(source) != self._last_writer:
                self._loop.call_at(self._loop.time() + self._earliest - now, self.turn)
            else:
                self._loop.call_soon(self.turn)

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` once everything this room has journaled so far is durable: promise 1."""
        self._durability.when(self.last_ticket, then)

    def _acknowledge_when_durable(self, asker: client.Client, body: bytes) -> None:
        """Say these bytes to a client once all that it sent before is durable.

        Of what it asks while too many answers are on their way only the newest counts, which covers the others.
        """
        if asker.asking == _MOST_ASKED:
            asker.asks_next = body
            return
        asker.asking += 1
        self._after.append(partial(self._acknowledge, asker, body))

    def _acknowledge(self, asker: client.Client, body: bytes) -> None:
        asker.asking -= 1
        if asker.closed:
            return
        asker.write(frames.binary(yjs.sync_status(body)))
        following, asker.asks_next = asker.asks_next, None
        if following is not None:
            self._acknowledge_when_durable(asker, following)
            self._schedule()

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
        if heard.reply and not sender.closed:
            sender.write(_presence_frame(heard.reply))
        self._tell(heard.relay)

    def _tell(self, states: Iterable[awareness.State]) -> None:
        """Send these with the turn; of one id only what is newest."""
        for state in states:
            self._people[state.client_id] = state

    def _state(self) -> bytes:
        # A suspect document is not asked anything: its state may be half of an update.
        return self.replica.state_vector() if self.clean.is_set() else _EVERYTHING

    # -- one turn -----------------------------------------------------------------------------------------------

    def turn(self) -> Outcome:
        """Apply, journal, fan out, answer; in this order."""
        self._scheduled = False
        if not self.clean.is_set() or self.given_up:
            return NOTHING_DONE
        deltas: list[bytes] = []
        kept = 0
        sources: set[int] = set()
        if self.intake.waits:
            try:
                deltas, sources, kept = self.intake.take()
            except Exception:  # noqa: BLE001 (a mistake of ours: nobody may be told that all is well)
                self.fail()
                return NOTHING_DONE
        if deltas or self._people:
            self._fan_out(deltas, sources)
        if self.intake.suspect:
            self.distrust()
            return Outcome(len(deltas), kept)
        if self._curious:
            self._show_presence()
        try:
            self._answer_all()
        except replica.Poisoned as poison:
            # Nobody's fault who is here: they ask the rebuilt document.
            _log.warning("poison_document", document=self.document_id, cause=str(poison))
            self.distrust()
            return Outcome(len(deltas), kept)
        if self._after:
            after, self._after = self._after, []
            for then in after:
                self.when_durable(then)
        return Outcome(len(deltas), kept)

    def distrust(self) -> None:
        """The document is asked nothing any more until the hub has replaced it."""
        self.clean.clear()
        self._on_poison(self)

    def fail(self) -> None:
        """Something is wrong that was not foreseen: everybody reconnects, sends again what is missing, and is served anew."""
        _log.exception("turn_failed", document=self.document_id)
        self._after = []
        for one in list(self.clients.values()):
            one.close(connection.Code.SERVER_ERROR, "the room failed")
        self.distrust()

    def _fan_out(self, deltas: list[bytes], sources: set[int]) -> None:
        """Write this turn to every socket, encoded once."""
        people, self._people = list(self._people.values()), {}
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
            metrics.edit_to_fanout_seconds.observe(now - self.intake.received)
            # Alone, a writer is never made to wait; see _COMPANY_SECONDS.
            self._last_writer = next(iter(sources)) if len(sources) == 1 else 0
            company = reached * _COMPANY_SECONDS
            self._earliest = now + min(company, _COMPANY_MOST) if company > _COMPANY_LEAST else 0.0

    def _answer_all(self) -> None:
        """Answer those who asked in this turn for what they lack, and those who have caught up reading.

        Raises replica.Poisoned; who was not answered is asked for again.
        """
        if self._joiners:
            self._welcome()
        if self._laggards:
            self._laggards.catch_up(self.replica.size, self.replica.diff, self._everybody)

    def _welcome(self) -> None:
        """Answer the SyncStep1 of this turn; equal questions share one answer."""
        answers: dict[bytes, bytes] = {}
        self._last_welcome = clock.monotonic()
        for joiner, state_vector in list(self._joiners.items()):
            if joiner.behind is not None:
                continue  # it asks more than it reads; answered when it has read
            answer = answers.get(state_vector)
            if answer is None and not joiner.closed:
                try:
                    answer = answers[state_vector] = self._answer(state_vector)
                except ValueError:
                    joiner.close(connection.Code.BAD_DATA, "this state vector cannot be read")
                except replica.Poisoned:
                    # Perhaps it is this question that yrs fails at: it is not asked of the rebuilt document again.
                    if state_vector not in _NOTHING_YET:
                        del self._joiners[joiner]
                        joiner.close(connection.Code.SERVER_ERROR, "the document could not be read")
                    raise
            del self._joiners[joiner]
            if answer is None or joiner.closed:
                continue
            joiner.write(answer)
            joiner.told = True

    def _everybody(self) -> bytes:
        return _presence_frame(self.presence.states(clock.monotonic()))

    def _show_presence(self) -> None:
        """Answer those who asked in this turn who is here."""
        curious, self._curious = self._curious, set()
        here = self._everybody()
        for one in curious:
            if one.behind is not None:
                one.missed_presence = True
            elif not one.closed:
                one.write(here)

    def _answer(self, state_vector: bytes) -> bytes:
        if state_vector in _NOTHING_YET:
            return self.replica.welcome()
        return frames.binary(yjs.step2(self.replica.diff(state_vector)))

    # -- clients that do not keep up ------------------------------------------------------------------------------

    def fell_behind(self, slow: client.Client) -> None:
        """The transport is full. What was written so far includes all that the document holds: promise 3."""
        self._laggards.fell_behind(slow, self._state(), clock.monotonic())

    def caught_up(self, slow: client.Client) -> None:
        """The transport has drained: at the end of the turn the client is brought from where it stopped to now."""
        if self._laggards.drained(slow) or self._joiners:
            self._schedule()

    # -- time ---------------------------------------------------------------------------------------------------

    def tick(self, now: float, *, slow_seconds: float, keep_encoding: float) -> None:
        """What time brings: presence that is over, clients that stall, memory that nobody asked for."""
        gone = self.presence.due(now)
        if gone:
            self._tell(gone)
        if self.clean.is_set():
            self.intake.tick(now)
        if gone or self._laggards or self.intake.waits or self.intake.suspect or self._joiners:
            self._schedule()
        if now - self._last_welcome > keep_encoding:
            self.replica.forget_encoding()
        for one in list(self.clients.values()):
            if one.behind is not None and not one.closed:
                self._laggards.check(one, now, slow_seconds)

    def keep_alive(self) -> None:
        """Say something to those who heard nothing lately: y-websocket hangs up after 30 s of silence."""
        for one in self.clients.values():
            if not one.told and not one.closed and one.behind is None:
                one.write(_KEEPALIVE)
            one.told = False

    # -- its end, or a new start -----------------------------------------------------------------------------------

    def rebuilt(self, document: replica.Replica) -> None:
        """A clean document replaces the suspect one; everything that waited takes its turn."""
        self.intake.replace(document)
        self.clean.set()
        metrics.room_rebuilds_total.inc()
        self._schedule()

    def hold(self) -> None:
        """Do nothing more until `let_go`; what comes meanwhile is not read from the sockets."""
        self.clean.clear()
        for one in self.clients.values():
            one.wire.hold(client.Hold.ROOM)

    def let_go(self, code: connection.Code, reason: str) -> None:
        """Send everybody away, and whoever waits for this room to another."""
        for one in list(self.clients.values()):
            one.close(code, reason)
            one.wire.release(client.Hold.ROOM)
        self.given_up = True
        self.clean.set()

    def close(self) -> None:
        """Let go of the document. The room is not used again."""
        self.replica.close()


_KEEPALIVE: Final = frames.binary(yjs.KEEPALIVE)


def _presence_frame(states: list[awareness.State]) -> bytes:
    return frames.binary(yjs.awareness(awareness.encode(states)))
