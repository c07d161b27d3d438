"""One connected socket as its room sees it: who it is, what is still to be written, whether it keeps up.

Output is bounded by never queueing anything here: frames go straight to the transport, and a client whose
transport is full is marked behind, gets nothing more, and is brought up to date from the document once it
has read what it had. So a slow reader costs one flag, not a copy of the room's traffic.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, Final, Protocol

from syncserver.wire import frames, yjs

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from syncserver import connection

_FOR_GOOD: Final = range(4400, 4500)
"""Close codes after which a stock client does not come back by itself."""


READER: Final = "you may read this project but not change it"
READER_NOW: Final = "you may read this project from now on, but not change it"
PROTECTED: Final = (
    "this branch is protected: you may read it but not change it; edit another branch"
)


class Hold(IntFlag):
    """Why a socket is not read for now; it is read again when the last reason is gone."""

    ADMISSION = 1
    """Enough waits already for the client to be admitted."""
    BEHIND = 2
    """It does not read what is written to it: who does not read its answers asks no further questions."""
    JOURNAL = 4
    """The database is behind with what the clients have said."""
    BUDGET = 8
    """It said more than it may in so short a time."""
    ROOM = 16
    """What is stored of the room's document is being replaced."""


class Wire(Protocol):
    """What a client needs of its socket; `syncserver.transport` implements it."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """Queues whole frames; never blocks."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and end the connection."""
        ...

    def abort(self) -> None:
        """Drop the connection at once."""
        ...

    def buffered(self) -> int:
        """Bytes accepted by `write` that the kernel has not taken yet."""
        ...

    def hold(self, reason: Hold) -> None:
        """Let TCP hold the client back, until every reason given has been released."""
        ...

    def release(self, reason: Hold) -> None:
        """Take a reason back, given or not; read on if it was the last one."""
        ...


class Client:
    """A socket in a room.

    `behind` is the state vector up to which the client surely has everything once its transport drains; None
    while it keeps up. `missed` says that something was left out since. `told` is cleared by the housekeeping and
    set by whatever is written, `resyncing` counts the bytes of a fresh state that are under way to it. `asking`
    counts the acknowledgements that it waits for, `asks_next` is the newest of those that were too many. `on_expelled`
    is told when the client is closed for good; its socket may be there for seconds more. `may_not` says why
    a reader is one.
    """

    __slots__ = (
        "asking",
        "asks_next",
        "author",
        "behind",
        "behind_from",
        "behind_since",
        "buffered_then",
        "closed",
        "connection",
        "id",
        "may_edit",
        "may_not",
        "missed",
        "missed_presence",
        "on_expelled",
        "resyncing",
        "since",
        "told",
        "username",
        "warned",
        "wire",
        "write",
    )

    def __init__(
        self,
        *,
        number: int,
        wire: Wire,
        protocol: connection.Connection,
        author: UUID | None,
        username: str | None,
    ) -> None:
        self.id = number
        self.wire = wire
        self.write = wire.write
        self.connection = protocol
        self.author = author
        self.username = username
        self.may_edit = False
        self.may_not = READER
        self.closed = False
        self.told = True
        self.warned = False
        self.behind: bytes | None = None
        self.behind_from = 0.0
        self.behind_since = 0.0
        self.buffered_then = 0
        self.missed = False
        self.missed_presence = False
        self.resyncing = 0
        self.since = 0.0
        self.asking = 0
        self.asks_next: bytes | None = None
        self.on_expelled: Callable[[Client], None] | None = None

    def refuse(self, why: connection.Refusal) -> None:
        """An update of this client was not taken: its document and ours part ways here."""
        self.close(why.code, why.reason)

    def close(self, code: connection.Code, reason: str) -> None:
        """Close this client; nothing of it is accepted any more."""
        if not self.closed:
            self.closed = True
            self.connection.close(code, reason)
            self.wire.close(int(code), reason)
            if code in _FOR_GOOD and self.on_expelled is not None:
                self.on_expelled(self)

    def warn(self, reason: str) -> None:
        """Tell a reader, once, that its edits are not taken. Stock clients print it to their console."""
        if not self.warned:
            self.warned = True
            self.write(frames.binary(yjs.permission_denied(reason)))
