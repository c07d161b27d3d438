"""Documents to commit, and short ways to do it. Not a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pycrdt

from docstore.history import commits
from tests.integration.docstore.people import NOW

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history.commits import Commit
    from docstore.projects import Project

__all__ = ["NOW", "Song", "commit", "join", "large"]


class Song:
    """A document that somebody writes."""

    def __init__(self, state: bytes | None = None) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        if state is not None:
            self.doc.apply_update(state)
        self.stems: pycrdt.Map[Any] = self.doc.get("stems", type=pycrdt.Map)
        self._segments: pycrdt.Map[Any] = self.doc.get("segments", type=pycrdt.Map)

    def stem(self, key: str, name: str = "Bass", volume: float = 1) -> Song:
        """Put a stem there, or in another's place."""
        self.stems[key] = pycrdt.Map({"name": name, "volume": volume})
        return self

    def segment(self, key: str, of: str, name: str = "Verse") -> Song:
        """Put a segment of a stem there."""
        self._segments[key] = pycrdt.Map({"stemId": of, "name": name})
        return self

    @property
    def state(self) -> bytes:
        """All of it."""
        return self.doc.get_update()


def large(entries: int = 1_000) -> Song:
    """Some 110 bytes an entry, hard to compress."""
    song = Song()
    with song.doc.transaction():
        for at in range(entries):
            song.stems[f"{at * 7919:024x}"] = {"name": f"{at * 104729:032x}", "volume": at / 7}
    return song


async def commit(
    database: Database,
    project: Project,
    state: bytes | commits.Snapshot,
    *,
    message: str = "so far",
    author: UUID | None = None,
    now: datetime = NOW,
) -> Commit:
    """Commit to the main branch."""
    return await commits.make(
        database,
        project_id=project.id,
        document_id=project.document_id,
        branch="main",
        state=state,
        author=author or project.owner_id,
        message=message,
        now=now,
    )


async def join(tx: Tx, parents: list[Commit], **changes: Any) -> Commit:
    """Write a commit of several parents down, as a merge does, with the first one's state."""
    made = parents[0]._replace(
        id=commits.younger_than([each.id for each in parents]),
        parents=[each.id for each in parents],
        **changes,
    )
    await commits.insert(tx, made)
    return made
