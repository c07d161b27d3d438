"""A live document as history asks for it (`docstore/live.py`), answered by the rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from api.ports import LiveRooms
    from docstore.live import Difference


class Live(NamedTuple):
    """One document in its room. Raises RoomUnavailable, DatabaseUnavailable."""

    rooms: LiveRooms
    document_id: int

    async def snapshot(self) -> bytes:
        """All of it as one v1 update."""
        return await self.rooms.snapshot(self.document_id)

    async def diff(self, state_vector: bytes) -> Difference:
        """What it has beyond a state vector."""
        return await self.rooms.diff(self.document_id, state_vector)
