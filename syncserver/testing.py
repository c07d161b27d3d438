"""Small fakes of our own interfaces, for the tests of rooms: a journal in memory and a wire that remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol, State

from syncserver import budget, client, connection, durability, intake, presence, replica, room
from syncserver.wire import events, yjs

if TYPE_CHECKING:
    from collections.abc import Callable

    from docstore import journal

LIMITS = connection.Limits(preauth_frames=10, preauth_bytes=1 << 20)
ADA = uuid5(UUID(int=0), "ada")
BOB = uuid5(UUID(int=0), "bob")


class MemoryJournal:
    """A journal whose disk is a list; `commit` is when its group becomes durable."""

    def __init__(self) -> None:
        self.entries: list[journal.Entry] = []
        self.durable = 0
        self.listener: Callable[[int], None] | None = None

    def append(self, entry: journal.Entry) -> int:
        """Queue an entry."""
        self.entries.append(entry)
        return len(self.entries)

    def commit(self) -> None:
        """Everything queued is durable now."""
        self.durable = len(self.entries)
        if self.listener is not None:
            self.listener(self.durable)


class MemoryWire:
    """A wire that remembers; implements `client.Wire`.

    `capacity` is how many bytes it takes before it says that it is full; None for no end.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.written: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.aborted = False
        self.on_full: Callable[[], None] | None = None
        self.held = client.Hold(0)
        self._unread = 0

    def write(self, data: bytes) -> None:
        """Take whole frames."""
        self.written.append(data)
        self._unread += len(data)
        if self.capacity is not None and self._unread > self.capacity and self.on_full is not None:
            self.on_full()

    def drain(self, size: int | None = None) -> None:
        """The peer has read so many bytes, or everything."""
        self._unread = 0 if size is None else max(0, self._unread - size)

    def close(self, code: int, reason: str) -> None:
        """Remember why."""
        self.closed = (code, reason)

    def abort(self) -> None:
        """Remember that it happened."""
        self.aborted = True

    def buffered(self) -> int:
        """What the peer has not read."""
        return self._unread

    def hold(self, reason: client.Hold) -> None:
        """Remember why it is not read."""
        self.held |= reason

    def release(self, reason: client.Hold) -> None:
        """One reason less."""
        self.held &= ~reason

    def said(self) -> list[events.Event]:
        """Every message written since the last call, read as a client would."""
        peer = Protocol(CLIENT, state=State.OPEN, max_size=None)
        peer.receive_data(b"".join(self.written))
        self.written.clear()
        found: list[events.Event] = []
        for frame in peer.events_received():
            assert isinstance(frame, Frame)
            assert frame.opcode == Opcode.BINARY
            found.extend(yjs.read(bytes(frame.data)))
        return found

    def bodies(self, *kinds: int) -> list[bytes]:
        """The bodies of every message of these kinds written since the last call."""
        return [body for kind, body in self.said() if kind in kinds]


class Stage:
    """A room with a memory journal, and people who enter it. Needs a running loop."""

    def __init__(
        self,
        *,
        document: replica.Replica | None = None,
        limits: intake.Limits = intake.Limits(1 << 26, 1000),  # noqa: B008 (immutable)
        resync_bytes: int = 1 << 25,
    ) -> None:
        self.journal = MemoryJournal()
        waiting = durability.Durability(self.journal)
        self.journal.listener = waiting.reached
        self.poisoned: list[room.Room] = []
        self.room = room.Room(
            document_id=7,
            project_id=UUID(int=7),
            document=document or replica.Replica(),
            writer=self.journal,
            durable=waiting,
            limits=limits,
            people=presence.Presence(
                grace=1.0, ttl=30.0, max_states_per_connection=8, max_state_bytes=4096
            ),
            resyncs=budget.Budget(resync_bytes),
            on_poison=self.poisoned.append,
        )
        self._next = 1

    def enter(
        self, author: UUID | None = ADA, *, may_edit: bool = True, capacity: int | None = None
    ) -> tuple[client.Client, MemoryWire]:
        """One more client, admitted, with its wire."""
        wire = MemoryWire(capacity)
        protocol = connection.Connection(yjs.read, LIMITS)
        protocol.admit(may_edit=may_edit)
        one = client.Client(
            number=self._next, wire=wire, protocol=protocol, author=author, username=None
        )
        if author is not None:
            one.username = "ada" if author == ADA else "bob"
        one.may_edit = may_edit
        wire.on_full = lambda: self.room.fell_behind(one)
        self._next += 1
        self.room.join(one)
        return one, wire

    def say(self, one: client.Client, message: bytes) -> None:
        """One message of a client, as its session would hand it on."""
        for kind, body in one.connection.receive(message):
            self.room.receive(one, kind, body)
