"""What was taken back of a document before. The table is `rollbacks`; the server's own work."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from docstore.history import naming
from docstore.history.rollback import Earlier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from base.db import Tx
    from docstore.history.content import Path

INSERT: LiteralString = """
    INSERT INTO rollbacks (document_id, client_id, author, since, until, entities, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)"""

LIST: LiteralString = """
    SELECT client_id, author, since, until, entities FROM rollbacks
    WHERE document_id = %s ORDER BY id"""


async def note(tx: Tx, document_id: int, made: Earlier, now: datetime) -> None:
    """Write one down, before it is done: one that is in no row of the journal does not count."""
    entities = None if made.entities is None else [naming.to_text(path) for path in made.entities]
    values = (document_id, made.client_id, made.by, made.since, made.until, entities, now)
    await tx.execute(INSERT, values)


async def earlier(tx: Tx, document_id: int) -> list[Earlier]:
    """All of a document, the oldest first."""
    rows = await (await tx.execute(LIST, (document_id,))).fetchall()
    return [
        Earlier(client_id, author, since, until, None if texts is None else _paths(texts))
        for client_id, author, since, until, texts in rows
    ]


def _paths(texts: Sequence[str]) -> list[Path]:
    return [naming.from_text(text) for text in texts]
