"""What a document says by what is stored of it, with nobody in its room. The server's own work.

For who has the room held (`api.ports.LiveRooms.held`): all that it took is stored then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docstore import documents
from docstore.history import anew, work

if TYPE_CHECKING:
    from base.db import Tx


async def opened(tx: Tx, document_id: int) -> anew.Opened:
    """A document as its room would open it.

    Raises DocumentNotFound, SnapshotDamaged, DocumentUnreadable.
    """
    loaded = await documents.load(tx, document_id)
    rows = [row.payload for row in loaded.waiting]
    return await work.opened(anew.Old(loaded.snapshot, loaded.tail, rows))
