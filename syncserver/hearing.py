"""What one message of a client changes: who may announce an id, who may take it over, who left.

How stock clients behave (y-protocols 1.0.6, y-websocket 1.5 to 3.1), which decides the rules here:

* A client takes an entry only if its clock is higher than the highest it has seen of that id, or
  equal and the entry is null. It never forgets that clock, not even when it drops the state.
* y-websocket sends back every state that it takes, ours too. So an entry in a message says nothing
  about whose it is, and a rule like "the last sender owns the id" makes ghosts.
* When its socket closes, it drops everybody else's state, and tells tabs of the same browser so,
  which pass those nulls on to us.
* A client that receives a null for its own id, with a clock not below its own, sets its clock one
  higher and announces itself again. We use that as a question, and to lift a clock that others
  would not take, at once instead of with its next renewal, up to 15 s later.

Telling a client that introduces itself from an echo. In its `onopen`, before it can have processed
anything that we sent, y-websocket sends one awareness message with exactly one entry, its own
(Hocuspocus' provider does the same). That is the *introduction*: the first awareness message of a
connection, one entry, not null. If the account is the same, it takes the id over. Everything later
may be an echo and takes nothing. One client can be mistaken: one without a state of its own, whose
first message is then the echo of our greeting, if exactly one client of the same account (or, both
anonymous, of none) is here. But an echo never has a clock above what we have sent. So whoever
introduces itself with no more than that gets the id, and is asked: a client that it is answers with
a higher clock, an echo comes back as a null with the very clock of the question, and the id goes
back. Meanwhile nothing changes for anybody: an echo says what all have heard.

Pure, like `presence.py`, whose promises these rules keep; the books are `ownership.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from syncserver import announcement, ownership
from syncserver.ownership import Tombstone
from syncserver.wire.awareness import State

if TYPE_CHECKING:
    from syncserver.ownership import Connection, Entry, Owners

_QUESTION: Final = 1024
"""How far above an id's clock its owner is asked whether it is that client. So far that no null of
its own can have that very clock, which only an echo has."""

_FORGOTTEN: Final = 16
"""How far beyond a client's clock a server that was restarted since may have gone: removals and
lent states are one ahead each time."""


@dataclass(slots=True)
class Turn:
    """One message while it is being taken apart."""

    connection: int
    sender: Connection
    introduced: int | None
    """The id that this very message introduces."""
    now: float
    relay: list[State] = field(default_factory=list[State])
    reply: list[State] = field(default_factory=list[State])
    refused: int = 0


class Hearing:
    """The rules by which one room hears its clients."""

    def __init__(self, owners: Owners, *, ttl: float, max_ids: int, forgetful_until: float) -> None:
        """`ttl`: seconds an unrenewed state lasts. `max_ids`: most that one connection owns.

        `forgetful_until`: until then, an id that is new here may be old to the clients.
        """
        self._owners = owners
        self._ttl = ttl
        self._max_ids = max_ids
        self._forgetful_until = forgetful_until

    def hear(
        self, connection: int, sender: Connection, states: list[State], left_out: int, now: float
    ) -> Turn:
        """One message: its states, and how many more it had that were over a limit."""
        introduced: int | None = None
        if not sender.spoken and (states or left_out):
            sender.spoken = True
            if len(states) == 1 and not left_out and states[0].json is not None:
                introduced = states[0].client_id
        turn = Turn(connection, sender, introduced, now)
        for state in states:
            if state.json is None:
                self._hear_leave(turn, state)
            else:
                self._hear(turn, state, state.json)
        return turn

    def _hear(self, turn: Turn, state: State, source: str) -> None:
        """A client is said to be here.

        Accepted if nobody owns the id, or the sender does, or it may take the id over.
        """
        client_id, clock, _ = state
        entry = self._owners.entries.get(client_id)
        if entry is None:
            known = self._known_clock(turn, client_id, clock)
            if not self._may_return(turn, client_id, clock):
                return
        else:
            known = entry.sent
            if not self._may_speak(turn, client_id, clock, entry):
                return
        if clock > announcement.reach(known) or not self._has_room(turn.sender, client_id):
            turn.refused += 1
            return
        if turn.introduced == client_id:
            turn.sender.own = client_id
            turn.sender.returns = known != ownership.UNKNOWN
        if entry is None:
            entry = self._owners.enter(turn.connection, client_id, known, turn.now + self._ttl)
        elif entry.connection != turn.connection:
            introduced = turn.introduced == client_id
            self._owners.take(turn.connection, client_id, introduced=introduced)
        self._store(turn, state, source, entry)

    def _may_speak(self, turn: Turn, client_id: int, clock: int, entry: Entry) -> bool:
        """Whether the sender may announce an id that is here already; may answer with a question."""
        if entry.connection == turn.connection:
            if clock < entry.clock and turn.sender.own == client_id:
                turn.reply.append(State(client_id, entry.sent, None))  # its clock was set back
            return clock > entry.clock
        if not announcement.same_account(entry.user, turn.sender.user):
            return False
        if turn.introduced == client_id:
            return True
        if turn.connection == entry.rival:
            return clock > entry.clock
        if clock <= entry.sent:
            return False
        # No echo of ours has a clock that we never sent.
        if turn.sender.own is None:
            # It came without a state of its own. Now it has one, and so says who it is.
            turn.introduced = client_id
            return True
        # Its socket is dead, but a tab of the same browser carries on for it.
        return entry.connection is None

    def _known_clock(self, turn: Turn, client_id: int, clock: int) -> int:
        """The highest clock that others may know of an id which is not here."""
        tombstone = self._owners.tombstone(client_id, turn.now)
        if tombstone is not None:
            return tombstone.clock
        if turn.introduced == client_id and turn.now < self._forgetful_until:
            return min(clock, announcement.CLOCK_LIMIT) + _FORGOTTEN
        return ownership.UNKNOWN

    def _may_return(self, turn: Turn, client_id: int, clock: int) -> bool:
        """Whether the sender may announce an id that is not here, as far as tombstones go."""
        tombstone = self._owners.tombstone(client_id, turn.now)
        if tombstone is None:
            return True
        if tombstone.kept_from(turn.sender.user, turn.now):
            return False
        if clock > tombstone.clock:
            return True
        # Either an echo of what has been removed since: then this is no news to it. Or the client
        # itself, whom nobody would see at this clock: then it learns the clock that it has to pass.
        turn.reply.append(State(client_id, tombstone.clock, None))
        if turn.introduced == client_id:
            turn.sender.returns = True
        return False

    def _has_room(self, sender: Connection, client_id: int) -> bool:
        return client_id in sender.ids or len(sender.ids) < self._max_ids

    def _store(self, turn: Turn, state: State, source: str, entry: Entry) -> None:
        """Keep a state of its owner and relay it; ask for a higher clock if others need one."""
        client_id, clock, _ = state
        entry.due = turn.now + self._ttl
        if clock > entry.sent:
            entry.sent = clock
            entry.lent.clear()
            if entry.asked is None or clock > entry.asked:
                entry.asked = entry.rival = None
        elif turn.introduced == client_id:
            # Who comes back, or an echo?
            entry.asked = entry.sent + _QUESTION
            turn.reply.append(State(client_id, entry.asked, None))
        elif turn.sender.own == client_id:
            turn.reply.append(State(client_id, entry.sent, None))
        if turn.sender.returns and turn.sender.own == client_id and entry.asked is None:
            turn.sender.returns = False
            turn.reply += self._owners.lend_all(client_id, turn.now)
        if clock < entry.clock:
            return  # older than what we have; the answer will not be
        user = turn.sender.user
        if source != entry.source or user != entry.user:
            entry.json = announcement.stamp(source, user)
        entry.source = source
        entry.user = user
        entry.clock = clock
        turn.relay.append(State(client_id, clock, entry.json))

    def _hear_leave(self, turn: Turn, state: State) -> None:
        """A client is said to have left; only its owner may say so."""
        client_id, clock, _ = state
        sender = turn.sender
        entry = self._owners.entries.get(client_id)
        if entry is None:
            return
        if entry.connection == turn.connection and clock == entry.asked:
            # The question came back as an echo: it is not the client that it was taken for. And it
            # has dropped that client on our word, so it needs it again.
            entry.sent = max(entry.sent, clock)
            self._owners.give_back(client_id, turn.now)
            sender.ids.discard(client_id)
            sender.mistaken()
            turn.reply += ownership.lend(None, client_id, entry, clock)
            return
        if turn.connection not in (entry.connection, entry.rival):
            # Can it be the client itself, which has yet to say who it is?
            itself = sender.own is None and announcement.same_account(entry.user, sender.user)
            if not itself and sender.own != client_id:
                self._show_again(turn, client_id, clock, entry)
            if not itself or clock <= entry.sent:
                return
        if clock < entry.clock:
            return
        if clock > announcement.reach(entry.sent):
            turn.refused += 1
            return
        last = max(clock, entry.sent)
        if entry.rival == turn.connection:
            last = max(last, entry.asked or 0)
        # Given up freely, so it is anybody's: whoever signs out may come back as a guest.
        self._owners.bury(client_id, Tombstone(last, None, turn.now))
        turn.relay.append(State(client_id, last, None))

    def _show_again(self, turn: Turn, client_id: int, clock: int, entry: Entry) -> None:
        """The sender has dropped somebody who is here.

        A tab of its browser lost its socket, or a renewal came late. If what it dropped is no
        older than what we have, it will not hear of them from us unless we say it again. Never
        done for its own id: that would overwrite what it says of itself.
        """
        if clock >= entry.clock and entry.due > turn.now:
            turn.reply += ownership.lend(turn.sender.own, client_id, entry, clock)
