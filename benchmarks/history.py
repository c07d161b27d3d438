"""`python -m benchmarks.history`: what commits cost, in bytes and in time.

A document of 1 MB is changed a little and committed, a thousand times, in an embedded PostgreSQL.
Printed: bytes more in the database, how long a commit takes, how late a heartbeat of the loop came
meanwhile, how long it takes to open any of the commits, and to read a page of the log. The figures
are in docs/benchmarks-history.md.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pycrdt

from base import clock, ids
from base.db import Database
from base.embedded import EmbeddedPostgres
from docstore import migrate, projects
from docstore.history import commits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

BEAT = 0.001
"""Seconds between two beats of the heart that is to feel when the loop is held up."""

PAGE = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print what was measured."""
    parser = argparse.ArgumentParser(description="What commits cost.")
    parser.add_argument("--commits", type=int, default=1_000)
    parser.add_argument("--bytes", type=int, default=1_000_000, help="size of the document")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-bench-"))
    server = EmbeddedPostgres(folder)
    try:
        server.start()
        migrate.upgrade(server.url)
        anyio.run(measure, server.url, chosen.commits, chosen.bytes, backend_options={})
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


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

    def change(self) -> None:
        """Turn one knob."""
        self._stems[self._random.choice(self._keys)]["volume"] = self._random.random()


async def measure(url: str, number: int, size: int) -> None:
    """Commit, open, list; print."""
    database = await Database.open(url, size=4)
    project = await _project(database)
    document = Document(size)
    made: list[commits.Commit] = []
    times: list[float] = []

    async def commit() -> None:
        state = document.doc.get_update()
        started = clock.monotonic()
        made.append(
            await commits.make(
                database,
                project_id=project.id,
                document_id=project.document_id,
                branch="main",
                state=state,
                author=project.owner_id,
                message=f"Take {len(made)}",
                now=clock.now(),
            )
        )
        times.append(clock.monotonic() - started)

    await commit()
    print(f"document: {len(document.doc.get_update()) / 1e6:.2f} MB; first commit {_ms(times)}")
    times.clear()
    before = await _stored(database)
    held: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_beat, held)
        for _ in range(number):
            document.change()
            await commit()
        group.cancel_scope.cancel()
    more = await _stored(database) - before
    print(f"{number} commits: {more / 1e6:.2f} MB more in the database")
    print(f"a commit: {_ms(times)}")
    print(f"a beat of the loop came late by: {_ms(held)}")
    await _reading(database, project.id, made)
    await database.close()


async def _reading(database: Database, project_id: UUID, made: list[commits.Commit]) -> None:
    opened: list[float] = []
    for each in random.Random(2).sample(made, min(200, len(made))):
        async with database.transaction() as tx:
            started = clock.monotonic()
            await commits.state_of(tx, await commits.get(tx, project_id, each.id))
            opened.append(clock.monotonic() - started)
    print(f"opening one: {_ms(opened)}")
    for branch in ("main", None):
        pages: list[float] = []
        cursor: str | None = None
        async with database.acting(made[0].author) as tx:
            while True:
                started = clock.monotonic()
                _, cursor = await commits.log(
                    tx, project_id, branch=branch, after=cursor, limit=PAGE
                )
                pages.append(clock.monotonic() - started)
                if cursor is None:
                    break
            started = clock.monotonic()
            await commits.log(tx, project_id, branch=branch, author=ids.new_id(), limit=PAGE)
            nobody = clock.monotonic() - started
        print(
            f"a page of {PAGE} of {branch or 'all'}: {_ms(pages)}; of nobody {nobody * 1e3:.1f} ms"
        )


async def _beat(held: list[float]) -> None:
    while True:
        started = clock.monotonic()
        await anyio.sleep(BEAT)
        held.append(max(0.0, clock.monotonic() - started - BEAT))


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


async def _stored(database: Database) -> int:
    """Bytes of all tables, indexes and what is stored beside them."""
    async with database.connection() as tx:
        cursor = await tx.execute(
            "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE c.relkind = 'r'"
            " AND c.relname IN ('states', 'commits', 'commit_parents', 'documents')"
        )
        ((found,),) = await cursor.fetchall()
        return int(found)


def _ms(times: Sequence[float]) -> str:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return (
        f"p50 {statistics.median(ordered) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms,"
        f" most {ordered[-1] * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    raise SystemExit(main())
