"""Somebody at a shell beside a database, and a project with a past for them. Not a test."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from base import db
from docstore.history import archive, commits, tags
from syncserver import cli
from tests.integration.docstore.histories import NOW, Song
from tests.integration.docstore.people import person, song, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    import pytest

    from base.db import Database, Tx
    from docstore.projects import Project

T = TypeVar("T")


@dataclass
class Told:
    """What a command said, and with which exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Terminal:
    """Somebody at a shell beside a database."""

    url: str
    capsys: pytest.CaptureFixture[str]
    project: Project = field(init=False)

    @classmethod
    def beside(cls, url: str, capsys: pytest.CaptureFixture[str]) -> Terminal:
        """One who has a project there, of somebody called anna."""
        found = cls(url, capsys)
        found.project = found.does(song)
        return found

    def __call__(self, *words: str) -> Told:
        self.capsys.readouterr()
        # A command sends the log of its process to where its errors go: here for as long as it lasts.
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            code = cli.main([*words, "--database-url", self.url])
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        said = self.capsys.readouterr()
        return Told(code, said.out, said.err)

    def does(self, action: Callable[[Database], Awaitable[T]]) -> T:
        """Something behind the commands' back."""

        async def done() -> T:
            database = await db.Database.open(self.url, size=3)
            try:
                return await action(database)
            finally:
                await database.close()

        return asyncio.run(done())


async def branch(tx: Tx, project: Project, name: str, head: UUID | None) -> int:
    """A branch whose room nobody has entered."""
    cursor = await tx.execute(
        "INSERT INTO documents (project_id, branch, created_at, head) VALUES (%s, %s, %s, %s)"
        " RETURNING id",
        (project.id, name, NOW, head),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def commit(
    database: Database,
    project: Project,
    state: bytes,
    message: str,
    *,
    on: str = "main",
    minutes: int = 0,
    merged: tuple[UUID, ...] = (),
    author: UUID | None = None,
) -> commits.Commit:
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        row = await (
            await tx.execute(
                "SELECT id FROM documents WHERE project_id = %s AND branch = %s", (project.id, on)
            )
        ).fetchone()
        assert row is not None
        return await commits.make_within(
            tx,
            project_id=project.id,
            document_id=row[0],
            branch=on,
            state=state,
            author=author or project.owner_id,
            message=message,
            now=NOW + timedelta(minutes=minutes),
            merged=merged,
        )


async def parted(database: Database, project: Project) -> list[commits.Commit]:
    """A first commit, one on each of two branches, and their merge, which has a tag."""
    base = Song().stem("bass")
    drums, keys = Song(base.state).stem("drums", "Drums"), Song(base.state).stem("keys", "Keys")
    both = Song(drums.state)
    both.doc.apply_update(keys.state)
    made = [await commit(database, project, base.state, "Bass")]
    async with database.transaction() as tx:
        await branch(tx, project, "keys", made[0].id)
        eve = await person(tx, "eve")
    made.append(await commit(database, project, drums.state, "Drums", minutes=1))
    made.append(
        await commit(database, project, keys.state, "Keys", on="keys", minutes=2, author=eve)
    )
    made.append(
        await commit(database, project, both.state, "Both", minutes=3, merged=(made[2].id,))
    )
    async with database.transaction() as tx:
        owner = project.owner_id
        await tags.tag(tx, project.id, name="v1", commit_id=made[3].id, created_by=owner, now=NOW)
        await write(tx, project.document_id, Song(both.state).stem("lead", "Lead").state)
    return made
