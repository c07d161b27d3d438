"""Who is here in one room: the server owns it, clients only announce themselves.

Promises:

1. An id belongs to the live connection that announced it. Nobody else can change or remove it.
2. A client that comes back on a new socket within the grace period, or while its old socket is
   half dead, is never seen to leave.
3. A client that is gone is removed: at once if it says so, after the grace period if its socket
   died, after the time to live if it fell silent. No ghosts.
4. What is relayed says who is speaking: identity comes from the connection, not from the client.

Pure: times are arguments (seconds, monotonic), connections are numbers that are never used twice.

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

What is not promised: anonymous clients prove nothing, so one of them can take another's id. An id
that was given up is free. A client without a state that loses its socket waits for the others'
renewals, for it does not say that it was here.

Identity: a signed-in client's state gets `user.id` and `user.name` of its account, in a `user` that
is made if there is none. An anonymous client's `user` loses `id` and gets `guest: true`. If it has
no `user` none is made: clients draw a cursor for whoever has a `user`, and a visitor without
a name would become a nameless cursor on everybody's screen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from syncserver.wire import awareness
from syncserver.wire.awareness import State

TOMBSTONE_SECONDS: Final = 600.0
"""How long a removed id's clock is remembered. Clients move on by a clock every 15 s and need no
help after that; a sleeping laptop does not."""

RESERVED_SECONDS: Final = 60.0
"""How long an id whose socket died is kept for its account, so that nobody else sits down on it."""

TOMBSTONES: Final = 1024
"""Most tombstones in a room; the oldest go first."""

MAX_STATES_PER_MESSAGE: Final = 16_384
"""A client sends back all that it was greeted with in one message, so this bounds rooms, not
clients; decoding that many takes tens of milliseconds."""

CLOCK_LIMIT: Final = 2**40
CLOCK_STEP: Final = 2**20
"""A clock may be up to CLOCK_LIMIT (centuries of mouse moves), or up to CLOCK_STEP above the one
that is known. Whoever drives an id's clock up therefore cannot use it up: its owner can always go
one higher."""

_CLOCK_END: Final = 2**52
"""No step leads further: clients read numbers below 2**53, and we go a little beyond theirs."""

EMPTY: Final = "{}"
"""The state every client starts with. To others it would be somebody without a name or a cursor."""

_UNKNOWN: Final = -1
"""Below every clock: no client has seen this id yet."""

_QUESTION: Final = 1024
"""How far above an id's clock its owner is asked whether it is that client. So far that no null of
its own can have that very clock, which only an echo has."""

_FORGOTTEN: Final = 16
"""How far beyond a client's clock a server that was restarted since may have gone: removals and
lent states are one ahead each time."""


class PresenceUser(NamedTuple):
    """The account behind a signed-in connection."""

    id: str
    name: str


class Received(NamedTuple):
    """What became of one awareness message."""

    relay: list[State]
    """For everybody in the room, the sender included: y-websocket hangs up without an echo."""
    reply: list[State]
    """For the sender alone."""
    malformed: str | None = None
    """Why nothing of the message could be used, as a short ASCII phrase."""
    ignored: int = 0
    """Entries without effect. Echoes are among them, so on a healthy server there are many."""
    refused: int = 0
    """Those of the ignored that broke a limit: size, ids per connection, clock."""


@dataclass(slots=True)
class _Connection:
    user: PresenceUser | None
    ids: set[int] = field(default_factory=set[int])
    spoken: bool = False
    own: int | None = None
    """The id it introduced itself with."""
    returns: bool = False
    """It was here before: with its socket it dropped what it knew of everybody else, so it is lent
    that once it is certain who it is."""

    def mistaken(self) -> None:
        """It is not the client that it was taken for."""
        self.own = None
        self.returns = False


@dataclass(slots=True)
class _Entry:
    connection: int | None
    """The owner; None in the grace period."""
    user: PresenceUser | None
    clock: int
    """The owner's latest."""
    sent: int
    """The highest clock that anybody was sent. Above `clock` if it was lent, see `_lend`."""
    source: str
    """JSON as the owner wrote it."""
    json: str
    """JSON as it is relayed."""
    due: float
    """When it is removed unless it is renewed."""
    rival: int | None = None
    """From whom the owner took it, until the owner has answered."""
    asked: int | None = None
    """The clock with which the owner was asked whether it is that client, see _QUESTION."""
    lent: dict[int | None, int] = field(default_factory=dict[int | None, int])
    """Clocks above `clock`, by the id of the client that got them."""


class _Tombstone(NamedTuple):
    clock: int
    account: str | None
    """Whose it is for RESERVED_SECONDS; None if it is anybody's."""
    since: float


class Presence:
    """The presence of one room."""

    def __init__(
        self,
        *,
        grace: float,
        ttl: float,
        max_states_per_connection: int,
        max_state_bytes: int,
        forgetful_until: float = float("-inf"),
    ) -> None:
        """Times in seconds.

        `forgetful_until`: until this moment an id that is new here may be old to the clients,
        because the server has just been restarted. They are asked to announce themselves with
        a new clock, which takes a round trip instead of 15 s.
        """
        self._grace = grace
        self._ttl = ttl
        self._max_ids = max_states_per_connection
        self._max_bytes = max_state_bytes
        self._forgetful_until = forgetful_until
        self._connections: dict[int, _Connection] = {}
        self._entries: dict[int, _Entry] = {}
        self._tombstones: dict[int, _Tombstone] = {}
        # Not later than the first entry's `due`: renewals leave it as it is, `due` corrects it.
        self._wake = float("inf")

    # -- what the room calls -------------------------------------------------------------------

    def join(self, connection: int, user: PresenceUser | None, now: float) -> list[State]:
        """A socket came in. Returns the states that it must be sent, see `states`.

        Raises ValueError for a connection that is here already.
        """
        if connection in self._connections:
            raise ValueError(f"connection {connection} is here already")
        self._connections[connection] = _Connection(user)
        return self.states(now)

    def leave(self, connection: int, now: float) -> None:
        """The socket is gone, known or not: its states enter the grace period."""
        leaver = self._connections.pop(connection, None)
        if leaver is None:
            return
        for client_id in leaver.ids:
            self._give_back(client_id, self._entries[client_id], now)

    def receive(self, connection: int, payload: bytes, now: float) -> Received:
        """An awareness message of a connection; any bytes, all or nothing.

        A message of a connection that has left (or never joined) has no effect.
        """
        decoded = awareness.decode(
            payload, max_states=MAX_STATES_PER_MESSAGE, max_state_bytes=self._max_bytes
        )
        if isinstance(decoded, awareness.Malformed):
            return Received([], [], decoded.reason)
        states, oversize = decoded
        sender = self._connections.get(connection)
        if sender is None:
            return Received([], [], ignored=len(states) + oversize)
        introduced: int | None = None
        if not sender.spoken and (states or oversize):
            sender.spoken = True
            if len(states) == 1 and not oversize and states[0].json is not None:
                introduced = states[0].client_id
        turn = _Turn(connection, sender, introduced, now)
        for state in states:
            if state.json is None:
                self._hear_leave(turn, state)
            else:
                self._hear(turn, state, state.json)
        ignored = len(states) - len(turn.relay)
        return Received(turn.relay, turn.reply, None, ignored + oversize, turn.refused + oversize)

    def due(self, now: float) -> list[State]:
        """Removals to broadcast now: the grace is over, or not renewed within the time to live."""
        if now < self._wake:
            return []
        gone = [
            self._remove(client_id, entry, now)
            for client_id, entry in list(self._entries.items())
            if entry.due <= now
        ]
        self._wake = min((entry.due for entry in self._entries.values()), default=float("inf"))
        return gone

    def next_due(self) -> float | None:
        """When to call `due` next; None while nobody is here. Sometimes early, never late."""
        return self._wake if self._entries else None

    def states(self, now: float) -> list[State]:
        """Everybody who is here or in the grace period.

        Empty states are left out, see EMPTY.
        """
        return [
            State(client_id, entry.clock, entry.json)
            for client_id, entry in self._entries.items()
            if entry.due > now and entry.json != EMPTY
        ]

    # -- one entry of a message ----------------------------------------------------------------

    def _hear(self, turn: _Turn, state: State, source: str) -> None:
        """A client is said to be here.

        Accepted if nobody owns the id, or the sender does, or it may take the id over.
        """
        client_id, clock, _ = state
        entry = self._entries.get(client_id)
        if entry is None:
            known = self._known_clock(turn, client_id, clock)
            if not self._may_return(turn, client_id, clock):
                return
        else:
            known = entry.sent
            if not self._may_speak(turn, client_id, clock, entry):
                return
        if clock > _reach(known) or not self._has_room(turn.sender, client_id):
            turn.refused += 1
            return
        if turn.introduced == client_id:
            turn.sender.own = client_id
            turn.sender.returns = known != _UNKNOWN
        if entry is None:
            entry = self._enter(turn, client_id, known)
        elif entry.connection != turn.connection:
            self._take(turn, client_id, entry)
        self._store(turn, state, source, entry)

    def _may_speak(self, turn: _Turn, client_id: int, clock: int, entry: _Entry) -> bool:
        """Whether the sender may announce an id that is here already; may answer with a question."""
        if entry.connection == turn.connection:
            if clock < entry.clock and turn.sender.own == client_id:
                turn.reply.append(State(client_id, entry.sent, None))  # its clock was set back
            return clock > entry.clock
        if _account(entry.user) != _account(turn.sender.user):
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

    def _known_clock(self, turn: _Turn, client_id: int, clock: int) -> int:
        """The highest clock that others may know of an id which is not here."""
        tombstone = self._tombstone(client_id, turn.now)
        if tombstone is not None:
            return tombstone.clock
        if turn.introduced == client_id and turn.now < self._forgetful_until:
            return min(clock, CLOCK_LIMIT) + _FORGOTTEN
        return _UNKNOWN

    def _may_return(self, turn: _Turn, client_id: int, clock: int) -> bool:
        """Whether the sender may announce an id that is not here, as far as tombstones go."""
        tombstone = self._tombstone(client_id, turn.now)
        if tombstone is None:
            return True
        reserved = tombstone.account is not None and turn.now < tombstone.since + RESERVED_SECONDS
        if reserved and tombstone.account != _account(turn.sender.user):
            return False
        if clock > tombstone.clock:
            return True
        # Either an echo of what has been removed since: then this is no news to it. Or the client
        # itself, whom nobody would see at this clock: then it learns the clock that it has to pass.
        turn.reply.append(State(client_id, tombstone.clock, None))
        if turn.introduced == client_id:
            turn.sender.returns = True
        return False

    def _has_room(self, sender: _Connection, client_id: int) -> bool:
        return client_id in sender.ids or len(sender.ids) < self._max_ids

    def _enter(self, turn: _Turn, client_id: int, known: int) -> _Entry:
        """A place for an id that is new here; `_store` fills it."""
        if turn.sender.own is None:
            turn.sender.own = client_id  # it had no state to introduce itself with, now it has
        turn.sender.ids.add(client_id)
        due = turn.now + self._ttl
        entry = _Entry(turn.connection, turn.sender.user, _UNKNOWN, known, "", "", due)
        self._entries[client_id] = entry
        self._tombstones.pop(client_id, None)
        self._wake = min(self._wake, due)
        return entry

    def _take(self, turn: _Turn, client_id: int, entry: _Entry) -> None:
        """The sender becomes the owner."""
        former = None if entry.connection is None else self._connections[entry.connection]
        if former is not None:
            former.ids.discard(client_id)
            if entry.asked is not None:
                # It has yet to say whether it is that client. Should it not be, it may know the
                # clock of the question.
                entry.sent = max(entry.sent, entry.asked)
                entry.asked = None
                former.mistaken()
            elif former.own == client_id and turn.introduced == client_id:
                entry.rival = entry.connection
        entry.connection = turn.connection
        turn.sender.ids.add(client_id)

    def _store(self, turn: _Turn, state: State, source: str, entry: _Entry) -> None:
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
            turn.reply += self._lend_all(client_id, turn.now)
        if clock < entry.clock:
            return  # older than what we have; the answer will not be
        user = turn.sender.user
        if source != entry.source or user != entry.user:
            entry.json = _stamp(source, user)
        entry.source = source
        entry.user = user
        entry.clock = clock
        turn.relay.append(State(client_id, clock, entry.json))

    def _hear_leave(self, turn: _Turn, state: State) -> None:
        """A client is said to have left; only its owner may say so."""
        client_id, clock, _ = state
        sender = turn.sender
        entry = self._entries.get(client_id)
        if entry is None:
            return
        if entry.connection == turn.connection and clock == entry.asked:
            # The question came back as an echo: it is not the client that it was taken for. And it
            # has dropped that client on our word, so it needs it again.
            entry.sent = max(entry.sent, clock)
            self._give_back(client_id, entry, turn.now)
            sender.ids.discard(client_id)
            sender.mistaken()
            turn.reply += _lend(None, client_id, entry, clock)
            return
        if turn.connection not in (entry.connection, entry.rival):
            # Can it be the client itself, which has yet to say who it is?
            itself = sender.own is None and _account(entry.user) == _account(sender.user)
            if not itself and sender.own != client_id:
                self._show_again(turn, client_id, clock, entry)
            if not itself or clock <= entry.sent:
                return
        if clock < entry.clock:
            return
        if clock > _reach(entry.sent):
            turn.refused += 1
            return
        last = max(clock, entry.sent)
        if entry.rival == turn.connection:
            last = max(last, entry.asked or 0)
        # Given up freely, so it is anybody's: whoever signs out may come back as a guest.
        self._bury(client_id, _Tombstone(last, None, turn.now))
        turn.relay.append(State(client_id, last, None))

    # -- lending, removing ---------------------------------------------------------------------

    def _show_again(self, turn: _Turn, client_id: int, clock: int, entry: _Entry) -> None:
        """The sender has dropped somebody who is here.

        A tab of its browser lost its socket, or a renewal came late. If what it dropped is no
        older than what we have, it will not hear of them from us unless we say it again. Never
        done for its own id: that would overwrite what it says of itself.
        """
        if clock >= entry.clock and entry.due > turn.now:
            turn.reply += _lend(turn.sender.own, client_id, entry, clock)

    def _lend_all(self, borrower: int, now: float) -> list[State]:
        """Everybody else, for a client that has just come back."""
        lent: list[State] = []
        for client_id, entry in self._entries.items():
            if client_id != borrower and entry.due > now:
                lent += _lend(borrower, client_id, entry)
        return lent

    def _give_back(self, client_id: int, entry: _Entry, now: float) -> None:
        """The owner is gone or was none: back to whom it was taken from, or into the grace."""
        rival = None if entry.rival is None else self._connections.get(entry.rival)
        entry.connection = entry.rival if rival else None
        if rival:
            rival.ids.add(client_id)
            entry.sent = max(entry.sent, entry.asked or 0)
        else:
            entry.due = min(entry.due, now + self._grace)
            self._wake = min(self._wake, entry.due)
        entry.asked = entry.rival = None

    def _remove(self, client_id: int, entry: _Entry, now: float) -> State:
        clock = entry.sent + 1
        self._bury(client_id, _Tombstone(clock, _account(entry.user), now))
        return State(client_id, clock, None)

    def _bury(self, client_id: int, tombstone: _Tombstone) -> None:
        entry = self._entries.pop(client_id)
        if entry.connection is not None:
            self._connections[entry.connection].ids.discard(client_id)
        self._tombstones.pop(client_id, None)
        self._tombstones[client_id] = tombstone
        # Oldest first, as they were put in.
        while len(self._tombstones) > TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]

    def _tombstone(self, client_id: int, now: float) -> _Tombstone | None:
        tombstone = self._tombstones.get(client_id)
        if tombstone is not None and now >= tombstone.since + TOMBSTONE_SECONDS:
            del self._tombstones[client_id]
            return None
        return tombstone


@dataclass(slots=True)
class _Turn:
    """One message while it is being taken apart."""

    connection: int
    sender: _Connection
    introduced: int | None
    """The id that this very message introduces."""
    now: float
    relay: list[State] = field(default_factory=list[State])
    reply: list[State] = field(default_factory=list[State])
    refused: int = 0


def _lend(
    borrower: int | None, client_id: int, entry: _Entry, knows: int = _UNKNOWN
) -> list[State]:
    """A state for a client that has dropped it but still knows its clock.

    It would not take the state at a clock that it knows, and an owner who sits still says nothing
    new for up to 15 s. So it gets it one clock ahead of what it was sent last. When the owner
    arrives at such a clock by itself, it is asked to go past it. One ahead and no more: should the
    state reach its own owner (through a tab of the same browser), an owner that has moved on since
    is at that clock already and keeps what it has.
    """
    if entry.json == EMPTY:
        return []
    knows = min(knows, entry.sent)  # nobody knows more than we have told, whatever they say
    clock = max(entry.clock, entry.lent.get(borrower, 0), knows) + 1
    entry.lent[borrower] = clock
    entry.sent = max(entry.sent, clock)
    return [State(client_id, clock, entry.json)]


def _reach(known: int) -> int:
    """The highest clock accepted for an id of which this one is known."""
    return min(max(CLOCK_LIMIT, known + CLOCK_STEP), _CLOCK_END)


_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL: Final = msgspec.Raw(b"null")
_TRUE: Final = msgspec.Raw(b"true")


def _stamp(source: str, user: PresenceUser | None) -> str:
    """The state with the identity of its connection written into it.

    `source` is a JSON object. All but `user` keeps its bytes, and its place.
    """
    fields = _FIELDS.decode(source)
    said = fields.get("user", _NULL)
    if user is None and said == _NULL:
        return source if fields else EMPTY
    # What is not an object carries no id, but whoever reads `user` may count on an object.
    about = _FIELDS.decode(said) if bytes(said).startswith(b"{") else {}
    if user is None:
        about.pop("id", None)
        about["guest"] = _TRUE
    else:
        about.pop("guest", None)
        about["id"] = _raw(user.id)
        about["name"] = _raw(user.name)
    fields["user"] = _raw(about)
    return msgspec.json.encode(fields).decode()


def _raw(value: str | dict[str, msgspec.Raw]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _account(user: PresenceUser | None) -> str | None:
    return None if user is None else user.id
