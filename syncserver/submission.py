"""An update that came over REST: one more source of a room's turn, whose author waits for the answer (no I/O)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api import ports
from base import clock
from syncserver import connection

if TYPE_CHECKING:
    from uuid import UUID

_ERRORS: Final = {
    connection.MALFORMED: ports.MalformedUpdate,
    connection.POISON: ports.PoisonUpdate,
    connection.DOCUMENT_FULL: ports.DocumentTooLarge,
    connection.PENDING_FULL: ports.PendingTooMany,
    connection.BARRED: ports.TooManyBroken,
    connection.BUSY: ports.RoomUnavailable,
    connection.RETIRED: ports.OtherEpoch,
}


class Submission:
    """Implements `room.Source`."""

    def __init__(self, author: UUID | None) -> None:
        self.author = author
        self.since = clock.monotonic()
        self._refusal: connection.Refusal | None = None

    def refuse(self, why: connection.Refusal) -> None:
        """The room did not take the update."""
        self._refusal = why

    def check(self) -> None:
        """Raises the kind of ports.UpdateRejected that tells why, if the room refused the update."""
        if self._refusal is not None:
            raise _ERRORS[self._refusal]
