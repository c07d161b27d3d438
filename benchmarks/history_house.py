"""A live project to commit: a large document in a hub on a PostgreSQL, nothing else around it."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pycrdt

from api.live import Live
from base import clock, ids, settings, tasks
from base.db import Database
from docstore import journal, projects
from docstore.history import commits, keeping
from syncserver import hub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Document:
    """Something to commit: stems with a few fields each, as large as was asked."""

    def __init__(self, size: int) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self._stems = self.doc.get("stems", type=pycrdt.Map)
        self._random = random.Random(1)
        self._keys: list[str] = []
        with self.doc.transaction():
            while len(self._keys) < size // 150:
                self._keys.append(f"{self._random.getrandbits(96):024x}")
                fields = {"name": f"{self._random.getrandbits(64):x}", "pan": 0.5, "mute": False}
                self._stems[self._keys[-1]] = pycrdt.Map(fields | {"volume": self._random.random()})
        while len(self.doc.get_update()) < size:
            with self.doc.transaction():
                for _ in range(200):
                    self.change()

        self._sent: list[bytes] = []
        self._watching = self.doc.observe(lambda event: self._sent.append(event.update))

    def change(self) -> None:
        """Turn one knob."""
        self._stems[self._random.choice(self._keys)]["volume"] = self._random.random()

    def edit(self) -> bytes:
        """The same; the update, as a client sends it."""
        self._sent.clear()
        self.change()
        return b"".join(self._sent)


class House(NamedTuple):
    """A hub with one project in it."""

    database: Database
    rooms: hub.Hub
    project: projects.Project

    async def commit(self, *, whole: bool = False) -> tuple[commits.Commit, float]:
        """Commit what is live; and the seconds that it took. whole: nothing is kept for it."""
        live = Live(self.rooms, self.project.document_id)
        started = clock.monotonic()
        made = await commits.make(
            self.database,
            project_id=self.project.id,
            document_id=self.project.document_id,
            branch="main",
            state=live.snapshot if whole else live,
            author=self.project.owner_id,
            message="Take",
            now=clock.now(),
        )
        return made, clock.monotonic() - started

    async def commit_something(self, document: Document) -> None:
        """So that the next commit finds what is kept in order."""
        await self.apply(document.edit())
        await self.commit()

    async def apply(self, update: bytes) -> None:
        """An edit of the owner's, durable."""
        await self.rooms.apply(self.project.document_id, update, self.project.owner_id)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncGenerator[House]:
    """A hub with an empty project, and processes that keep its document."""
    database = await Database.open(url, size=4)
    owner = tasks.Tasks()
    writer = journal.Journal(url, linger=0.0)
    owner.spawn("journal", writer.run())
    # No compaction comes between: it is measured elsewhere.
    config = settings.Settings.load({}, compact_rows=1_000_000, compact_bytes=1 << 40)
    rooms = hub.Hub(settings=config, database=database, writer=writer, owner=owner)
    async with keeping.opened():
        yield House(database, rooms, await _project(database))
    await rooms.aclose()
    await owner.aclose()
    await database.close()


async def _project(database: Database) -> projects.Project:
    async with database.transaction() as tx:
        owner = ids.new_id()
        await tx.execute(
            "INSERT INTO users (id, email, username, username_key, password_hash, created_at)"
            " VALUES (%s, 'a@example.org', 'a', 'a', 'x', now())",
            (owner,),
        )
        return await projects.create(
            tx,
            owner=owner,
            name="Song",
            kind="opendaw",
            description="",
            is_public=False,
            now=clock.now(),
        )
