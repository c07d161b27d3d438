"""Whose the ids of one room are: their owners, the clocks they have reached, and who comes next.

An id is here from its first state until it is removed: its *entry* says what its owner last said.
After that a *tombstone* remembers its clock for a while, and whose it was. Clocks that others were
*lent* are kept with the entry: nobody is sent a state that it would not take.

Keeps the books and nothing else: whether a client may say what it says is for `hearing.py` to
decide, before it calls here. Pure: times are arguments (seconds, monotonic).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from syncserver import announcement
from syncserver.wire.awareness import State

if TYPE_CHECKING:
    from syncserver.announcement import PresenceUser

TOMBSTONE_SECONDS: Final = 600.0
"""How long a removed id's clock is remembered. Clients move on by a clock every 15 s and need no
help after that; a sleeping laptop does not."""

RESERVED_SECONDS: Final = 60.0
"""How long an id whose socket died is kept for its account, so that nobody else sits down on it."""

TOMBSTONES: Final = 1024
"""Most tombstones in a room; the oldest go first."""

UNKNOWN: Final = -1
"""Below every clock: no client has seen this id yet."""


@dataclass(slots=True)
class Connection:
    """A socket that is open, and what is known of the client behind it."""

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
class Entry:
    """An id that is here."""

    connection: int | None
    """The owner; None in the grace period."""
    user: PresenceUser | None
    clock: int
    """The owner's latest."""
    sent: int
    """The highest clock that anybody was sent. Above `clock` if it was lent, see `lend`."""
    source: str
    """JSON as the owner wrote it."""
    json: str
    """JSON as it is relayed."""
    due: float
    """When it is removed unless it is renewed."""
    rival: int | None = None
    """From whom the owner took it, until the owner has answered."""
    asked: int | None = None
    """The clock with which the owner was asked whether it is that client, see `hearing.py`."""
    lent: dict[int | None, int] = field(default_factory=dict[int | None, int])
    """Clocks above `clock`, by the id of the client that got them."""


class Tombstone(NamedTuple):
    """What is remembered of an id that was removed."""

    clock: int
    account: str | None
    """Whose it is for RESERVED_SECONDS; None if it is anybody's."""
    since: float

    def kept_from(self, user: PresenceUser | None, now: float) -> bool:
        """Whether the id is still reserved for another account than this one."""
        reserved = self.account is not None and now < self.since + RESERVED_SECONDS
        return reserved and self.account != announcement.account(user)


class Owners:
    """The entries of one room, their owners, and the tombstones of those who were removed."""

    def __init__(self, *, grace: float) -> None:
        """`grace`: how long an id outlives the connection of its owner, in seconds."""
        self.connections: dict[int, Connection] = {}
        self.entries: dict[int, Entry] = {}
        self.wake = float("inf")
        """Not later than the first entry's `due`: renewals leave it as it is, `expired` corrects it."""
        self._grace = grace
        self._tombstones: dict[int, Tombstone] = {}

    @property
    def known(self) -> int:
        """How many ids clients can have heard of from this room, about: here or removed of late."""
        return len(self.entries) + len(self._tombstones)

    def enter(self, connection: int, client_id: int, known: int, due: float) -> Entry:
        """A place for an id that is new here, still without a state.

        `known`: the highest clock that others may know of it. `due`: when it is removed.
        """
        sender = self.connections[connection]
        if sender.own is None:
            sender.own = client_id  # it had no state to introduce itself with, now it has
        sender.ids.add(client_id)
        entry = Entry(connection, sender.user, UNKNOWN, known, "", "", due)
        self.entries[client_id] = entry
        self._tombstones.pop(client_id, None)
        self.wake = min(self.wake, due)
        return entry

    def take(self, connection: int, client_id: int, *, introduced: bool) -> None:
        """A connection becomes the owner of an id that is here.

        `introduced`: it introduces itself with that id, so it may be mistaken for its client.
        """
        entry = self.entries[client_id]
        former = None if entry.connection is None else self.connections[entry.connection]
        if former is not None:
            former.ids.discard(client_id)
            if entry.asked is not None:
                # It has yet to say whether it is that client. Should it not be, it may know the
                # clock of the question.
                entry.sent = max(entry.sent, entry.asked)
                entry.asked = None
                former.mistaken()
            elif former.own == client_id and introduced:
                entry.rival = entry.connection
        entry.connection = connection
        self.connections[connection].ids.add(client_id)

    def leave(self, connection: int, now: float) -> None:
        """A connection is gone, known or not: its ids are given back."""
        leaver = self.connections.pop(connection, None)
        if leaver is None:
            return
        for client_id in leaver.ids:
            self.give_back(client_id, now)

    def give_back(self, client_id: int, now: float) -> None:
        """The owner is gone or was none: back to whom it was taken from, or into the grace."""
        entry = self.entries[client_id]
        rival = None if entry.rival is None else self.connections.get(entry.rival)
        entry.connection = entry.rival if rival else None
        if rival:
            rival.ids.add(client_id)
            entry.sent = max(entry.sent, entry.asked or 0)
        else:
            entry.due = min(entry.due, now + self._grace)
            self.wake = min(self.wake, entry.due)
        entry.asked = entry.rival = None

    def expired(self, now: float) -> list[State]:
        """Remove whose time is up; what everybody must be told of it."""
        if now < self.wake:
            return []
        gone = [
            self._remove(client_id, entry, now)
            for client_id, entry in list(self.entries.items())
            if entry.due <= now
        ]
        self.wake = min((entry.due for entry in self.entries.values()), default=float("inf"))
        return gone

    def _remove(self, client_id: int, entry: Entry, now: float) -> State:
        clock = entry.sent + 1
        self.bury(client_id, Tombstone(clock, announcement.account(entry.user), now))
        return State(client_id, clock, None)

    def bury(self, client_id: int, tombstone: Tombstone) -> None:
        """An id is no longer here, and this is remembered of it."""
        entry = self.entries.pop(client_id)
        if entry.connection is not None:
            self.connections[entry.connection].ids.discard(client_id)
        self._tombstones.pop(client_id, None)
        self._tombstones[client_id] = tombstone
        # Oldest first, as they were put in.
        while len(self._tombstones) > TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]

    def tombstone(self, client_id: int, now: float) -> Tombstone | None:
        """What is remembered of an id that is not here."""
        tombstone = self._tombstones.get(client_id)
        if tombstone is not None and now >= tombstone.since + TOMBSTONE_SECONDS:
            del self._tombstones[client_id]
            return None
        return tombstone

    def lend_all(self, borrower: int, now: float) -> list[State]:
        """Everybody else, for a client (its id) that has just come back."""
        lent: list[State] = []
        for client_id, entry in self.entries.items():
            if client_id != borrower and entry.due > now:
                lent += lend(borrower, client_id, entry)
        return lent


def lend(borrower: int | None, client_id: int, entry: Entry, knows: int = UNKNOWN) -> list[State]:
    """A state for a client that has dropped it but still knows its clock.

    It would not take the state at a clock that it knows, and an owner who sits still says nothing
    new for up to 15 s. So it gets it one clock ahead of what it was sent last. When the owner
    arrives at such a clock by itself, it is asked to go past it. One ahead and no more: should the
    state reach its own owner (through a tab of the same browser), an owner that has moved on since
    is at that clock already and keeps what it has.
    """
    if entry.json == announcement.EMPTY:
        return []
    knows = min(knows, entry.sent)  # nobody knows more than we have told, whatever they say
    clock = max(entry.clock, entry.lent.get(borrower, 0), knows) + 1
    entry.lent[borrower] = clock
    entry.sent = max(entry.sent, clock)
    return [State(client_id, clock, entry.json)]
