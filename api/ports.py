"""What REST needs from the live rooms; `syncserver` implements it.

A document that people are editing lives in memory, so REST reads and changes it there and never
behind its room's back. Sockets, frames and presence stay on the other side of this door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from uuid import UUID

    from docstore.live import Difference


class UpdateRejected(AppError):
    """The update was refused; the document is as it was before."""

    code = "update_rejected"


class MalformedUpdate(UpdateRejected):
    """The bytes are not a Yjs update (version 1)."""

    code = "malformed_update"


class PoisonUpdate(UpdateRejected):
    """The update looks right but cannot be applied; nothing of it was kept."""

    code = "poison_update"


class DocumentTooLarge(UpdateRejected):
    """The document would grow beyond what this server keeps."""

    code = "document_too_large"


class PendingTooMany(UpdateRejected):
    """Too many updates of this document already wait for others that they depend on."""

    code = "too_many_pending"


class TooManyBroken(UpdateRejected):
    """Too many of your updates broke this document; no more are taken for a minute."""

    code = "too_many_broken_updates"


class OtherEpoch(UpdateRejected):
    """The update builds upon what was before the project was squashed; begin anew."""

    code = "other_epoch"


class RoomUnavailable(AppError):
    """The project's room cannot be opened right now; try again in a moment."""

    code = "room_unavailable"


class Applied(NamedTuple):
    """What became of an update, all of it durable.

    changed: the document differs from before (sending an update twice changes nothing).
    pending: something of it waits for updates that it depends on and that have not arrived.
    """

    changed: bool
    pending: bool


class LiveStatistics(NamedTuple):
    """Sizes of the moment."""

    rooms: int
    connections: int


class LiveRooms(Protocol):
    """The rooms of this process. Every coroutine may raise RoomUnavailable, DatabaseUnavailable."""

    async def snapshot(self, document_id: int) -> bytes:
        """The live state as one v1 update, opened for it if need be; without what is pending."""
        ...

    async def diff(self, document_id: int, state_vector: bytes) -> Difference:
        """What the live state has beyond a state vector of its own, and all its deletions."""
        ...

    async def apply(self, document_id: int, update: bytes, author: UUID | None) -> Applied:
        """Apply, fan out, and return once durable. Raises UpdateRejected.

        author: None for somebody without an account, whom the owner lets edit.

        Cancelling the wait does not take the update back.
        """
        ...

    def held(
        self, document_ids: Sequence[int], *, code: int, reason: str
    ) -> AbstractAsyncContextManager[None]:
        """Let nobody change, or open, these documents meanwhile; what came before is durable.

        What is stored may be replaced within. Afterwards the rooms are loaded anew, and every
        socket in them is closed with the code and the reason; when it fails, so that it comes back.
        """
        ...

    def statistics(self) -> LiveStatistics:
        """How much is going on; reads memory only."""
        ...
