"""One client's state machine: frames in, events out, and what it may not do.

Decides, without any I/O: what waits until the client is admitted (bounded), what a reader may not send, what
a message that cannot be read costs. The room trusts whatever comes out of here. Knows nothing of sockets,
documents or the clock.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from syncserver.wire import events


class Codec(Protocol):
    """A dialect: how one WebSocket message reads."""

    def __call__(self, message: bytes, /) -> events.Events:
        """Never raises; see `syncserver.wire.events`."""
        ...


class Code(IntEnum):
    """Why a socket is closed. 4400-4499 are final for y-websocket clients; the rest mean "reconnect"."""

    SERVER_ERROR = 1011
    RESTARTING = 1012
    TRY_LATER = 1013
    BAD_DATA = 4400
    SIGN_IN_AGAIN = 4401
    NO_ACCESS = 4403
    GONE = 4404
    OTHER_EPOCH = 4409
    TOO_LARGE = 4413
    TOO_MANY = 4429


class Closing(NamedTuple):
    """The answer to something that ends a connection."""

    code: Code
    reason: str


class Refusal(NamedTuple):
    """Why an update was not taken; closes a socket, fails a request."""

    name: str
    code: Code
    reason: str


TOO_EARLY: Final = Closing(Code.TRY_LATER, "too much was sent before the connection was admitted")
MALFORMED: Final = Refusal("malformed", Code.BAD_DATA, "this update cannot be read")
POISON: Final = Refusal("poison", Code.BAD_DATA, "this update cannot be applied")
DOCUMENT_FULL: Final = Refusal("document_too_large", Code.TOO_LARGE, "the document is full")
BARRED: Final = Refusal(
    "barred", Code.TRY_LATER, "too many broken updates came from you; wait a minute"
)
BUSY: Final = Refusal("busy", Code.TRY_LATER, "the document cannot take this update right now")
RETIRED: Final = Refusal(
    "retired",
    Code.OTHER_EPOCH,
    "the project was squashed: begin anew from the server's state",
)
PENDING_FULL: Final = Refusal(
    "pending", Code.TRY_LATER, "too many updates wait for updates that never came"
)


class Limits(NamedTuple):
    """Bounds on one connection before it is admitted.

    At `preauth_frames` the socket is read no further, so that TCP holds the client back; what was read with
    the same system call may still come, up to `preauth_bytes`.
    """

    preauth_frames: int
    preauth_bytes: int


_NOTHING: Final[events.Events] = ()
_FRAME_COST: Final = 64
"""Bytes of memory that keeping even an empty frame takes; counted, or a million empty frames would be free."""
_EMPTY_UPDATE: Final = b"\x00\x00"
_LIVE_EDIT: Final = b"\x00\x02"


class Connection:
    """The protocol side of one socket.

    1. Nothing of a client reaches a room before `admit`; what waits is bounded.
    2. An edit from a reader comes out as REFUSED, never as STEP2 or UPDATE.
    3. After `closing` is set nothing comes out any more.
    4. Once an edit was refused, later durable acknowledgements are withheld: they would promise too much. Who may
       edit again later is asked for everything (`permit`), and has the newest of them once that has come.
    """

    __slots__ = (
        "_admitted",
        "_limits",
        "_may_edit",
        "_owed",
        "_read",
        "_refused",
        "_waiting",
        "_waiting_bytes",
        "closing",
    )

    def __init__(self, read: Codec, limits: Limits) -> None:
        self._read = read
        self._limits = limits
        self._admitted = False
        self._may_edit = False
        self._refused = False
        self._owed: bytes | None = None
        self._waiting: list[bytes] | None = []
        self._waiting_bytes = 0
        self.closing: Closing | None = None

    def receive(self, message: bytes) -> events.Events:
        """The events of one message; empty while the client waits to be admitted or once it is closing."""
        if self._admitted:
            found = self._read(message)
            if (
                self._may_edit
                and len(found) == 1
                and found[0][0] <= events.SYNC_STATUS
                and not self._refused
            ):
                return found
            return self._checked(found)
        if self.closing is None:
            self._wait(message)
        return _NOTHING

    @property
    def enough(self) -> bool:
        """Whether so much waits for admission that the socket should not be read for now."""
        return self._waiting is not None and len(self._waiting) >= self._limits.preauth_frames

    def quick(self, message: bytes) -> bytes | None:
        """The update that a message holds, if it is nothing but one short live edit of an editor; else None.

        Nearly every message on a busy server is: 00 02 length body. What `receive` does with it, sooner.
        """
        if self._may_edit and message[:2] == _LIVE_EDIT and self._admitted:
            size = len(message) - 3
            if 0 <= size < 0x80 and message[2] == size:
                return message[3:]
        return None

    def admit(self, *, may_edit: bool) -> list[events.Event]:
        """The client is known now: the events of everything that waited, in order."""
        waiting, self._waiting = self._waiting or [], None
        self._waiting_bytes = 0
        self._may_edit = may_edit
        self._admitted = self.closing is None
        found: list[events.Event] = []
        for message in waiting:
            found.extend(self.receive(message))
        return found

    def permit(self, *, may_edit: bool) -> None:
        """What the client may do has changed. Who may edit now has to be asked for what it has: SyncStep1."""
        if may_edit and not self._may_edit:
            # Also where no edit came: what a reader typed elsewhere was never asked for.
            self._refused = True
        self._may_edit = may_edit

    def close(self, code: Code, reason: str) -> None:
        """The connection ends; the first reason counts."""
        if self.closing is None:
            self.closing = Closing(code, reason)
        self._admitted = False
        self._waiting = None

    def _wait(self, message: bytes) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        self._waiting_bytes += len(message) + _FRAME_COST
        if self._waiting_bytes > self._limits.preauth_bytes:
            self.close(*TOO_EARLY)
            return
        waiting.append(message)

    def _checked(self, found: events.Events) -> events.Events:
        allowed: list[events.Event] = []
        for kind, body in found:
            if kind == events.MALFORMED:
                self.close(Code.BAD_DATA, body.decode("ascii", "replace"))
                break
            if kind in (events.STEP2, events.UPDATE) and not self._may_edit:
                # Every client answers the handshake with a SyncStep2; an empty one is courtesy, not an edit.
                if body != _EMPTY_UPDATE:
                    self._refused = True
                    allowed.append((events.REFUSED, body))
            elif kind == events.SYNC_STATUS and self._refused:
                self._owed = body
            elif kind != events.IGNORED:
                allowed.append((kind, body))
                if kind == events.STEP2 and self._refused:
                    # It holds all that this client has and the room has not: what was refused, too.
                    self._refused = False
                    owed, self._owed = self._owed, None
                    if owed is not None:
                        allowed.append((events.SYNC_STATUS, owed))
        return allowed
