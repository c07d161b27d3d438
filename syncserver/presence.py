"""Who is here in one room: the server owns it, clients only announce themselves.

Promises:

1. An id belongs to the live connection that announced it. Nobody else can change or remove it.
2. A client that comes back on a new socket within the grace period, or while its old socket is
   half dead, is never seen to leave.
3. A client that is gone is removed: at once if it says so or was expelled, after the grace period
   if its socket died, after the time to live if it fell silent. No ghosts.
4. What is relayed says who is speaking: identity comes from the connection, not from the client.

Pure: times are arguments (seconds, monotonic), connections are numbers that are never used twice.

What is not promised: anonymous clients prove nothing, so one of them can take another's id. An id
that was given up is free. A client without a state that loses its socket waits for the others'
renewals, for it does not say that it was here.

`hearing.py` has the rules by which the promises are kept, `ownership.py` the books, `announcement.py`
what becomes of one state.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from syncserver import announcement
from syncserver.announcement import PresenceUser
from syncserver.hearing import Hearing
from syncserver.ownership import Connection, Owners
from syncserver.wire import awareness
from syncserver.wire.awareness import State

__all__ = ["Presence", "PresenceUser", "Received"]

MAX_STATES_PER_MESSAGE: Final = 16_384
"""A client sends back all that it was greeted with in one message, so this bounds rooms, not
clients. How many of them are read is another question, see `Presence.receive`."""

_LONG_AGO: Final = float("-inf")
"""When somebody has left for whom there is no grace."""


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
    """Those of the ignored that broke a limit: size, ids per connection, clock, length."""


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
        self._max_ids = max_states_per_connection
        self._max_bytes = max_state_bytes
        self._owners = Owners(grace=grace)
        self._hearing = Hearing(
            self._owners, ttl=ttl, max_ids=self._max_ids, forgetful_until=forgetful_until
        )

    def join(self, connection: int, user: PresenceUser | None, now: float) -> list[State]:
        """A socket came in. Returns the states that it must be sent, see `states`.

        Raises ValueError for a connection that is here already.
        """
        if connection in self._owners.connections:
            raise ValueError(f"connection {connection} is here already")
        self._owners.connections[connection] = Connection(user)
        return self.states(now)

    def leave(self, connection: int, now: float) -> None:
        """The socket is gone, known or not: its states enter the grace period."""
        self._owners.leave(connection, now)

    def expel(self, connection: int, now: float) -> list[State]:
        """A client is shut out, known or not. Returns removals to broadcast now, as `due` does.

        There is no grace: nobody waits for it to come back. Only what it took from another live
        socket, which has yet to be settled, goes back there.
        """
        self._owners.leave(connection, _LONG_AGO)
        return self._owners.expired(now)

    def receive(self, connection: int, payload: bytes, now: float) -> Received:
        """An awareness message of a connection; any bytes, all or nothing.

        A message of a connection that has left (or never joined) has no effect.

        What a client has to say is at most its own ids and an echo of those that we told it of.
        Entries beyond that many are refused like ids beyond the limit of a connection, but unread:
        a message of thousands of tiny states costs milliseconds to take apart. No reason to hang
        up, for an echo may be longer: of several turns at once, or of what another server said.
        """
        decoded = awareness.decode(
            payload,
            max_states=MAX_STATES_PER_MESSAGE,
            max_state_bytes=self._max_bytes,
            max_read=self._max_ids + self._owners.known,
        )
        if isinstance(decoded, awareness.Malformed):
            return Received([], [], decoded.reason)
        states = decoded.states
        left_out = decoded.oversize + decoded.unread
        sender = self._owners.connections.get(connection)
        if sender is None:
            return Received([], [], ignored=len(states) + left_out)
        turn = self._hearing.hear(connection, sender, states, left_out, now)
        ignored = len(states) - len(turn.relay)
        return Received(turn.relay, turn.reply, None, ignored + left_out, turn.refused + left_out)

    def due(self, now: float) -> list[State]:
        """Removals to broadcast now: the grace is over, or not renewed within the time to live."""
        return self._owners.expired(now)

    def next_due(self) -> float | None:
        """When to call `due` next; None while nobody is here. Sometimes early, never late."""
        return self._owners.wake if self._owners.entries else None

    def states(self, now: float) -> list[State]:
        """Everybody who is here or in the grace period.

        Empty states are left out, see `announcement.EMPTY`.
        """
        return [
            State(client_id, entry.clock, entry.json)
            for client_id, entry in self._owners.entries.items()
            if entry.due > now and entry.json != announcement.EMPTY
        ]
