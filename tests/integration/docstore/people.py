"""What the tests of this folder need before they begin. Not a test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from base import ids
from docstore import projects
from tests.unit.docstore.writers import typed as letters

__all__ = ["NOW", "letters", "person", "song", "write"]

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database, Tx

NOW = datetime(2026, 8, 21, 12, 0, tzinfo=UTC)


async def person(tx: Tx, name: str = "anna") -> UUID:
    """Somebody who can own projects."""
    user = ids.new_id()
    await tx.execute(
        "INSERT INTO users (id, email, username, username_key, password_hash, created_at)"
        " VALUES (%s, %s, %s, %s, 'x', %s)",
        (user, f"{name}@example.org", name, name, NOW),
    )
    return user


async def song(database: Database, kind: str = "opendaw", owner: str = "anna") -> projects.Project:
    """A project of a new person; openDAW's kind has nothing in it."""
    async with database.transaction() as tx:
        return await projects.create(
            tx,
            owner=await person(tx, owner),
            name="Song",
            kind=kind,
            description="",
            is_public=False,
            now=NOW,
        )


async def write(
    tx: Tx, document_id: int, *updates: bytes, author: UUID | None = None, waiting: bool = False
) -> None:
    """Journal rows, without the journal. `waiting`: flagged as waiting for others."""
    for update in updates:
        await tx.execute(
            "INSERT INTO journal (document_id, author, payload, created_at, waiting)"
            " VALUES (%s, %s, %s, %s, %s)",
            (document_id, author, update, NOW, waiting),
        )
