"""Bundles in PostgreSQL: part by part, never whole in memory."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import anyio
import psutil

from base import clock, ids
from docstore.bundles import scratch, store
from tests.integration.docstore import people

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from base.db import Database

MIB = 1024 * 1024
SIZE = 50 * MIB
ROOM = 16 * MIB
"""What the process may grow by: much less than the file."""


def written(path: Path) -> store.Made:
    """A file of 50 MB that does not shrink."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(SIZE // MIB):
            chunk = os.urandom(MIB)
            digest.update(chunk)
            file.write(chunk)
    return store.Made(path, SIZE, digest.digest(), bytes(32))


async def kept(database: Database, project_id: UUID, made: store.Made) -> store.Bundle:
    async with database.transaction() as tx:
        return await store.keep(
            tx,
            project_id,
            made,
            branch="main",
            commit_id=None,
            kind="zip",
            name="Large",
            note="",
            people=False,
            created_by=ids.new_id(),
            most=100,
            now=clock.now(),
        )


async def test_a_large_bundle_goes_in_and_out_a_part_at_a_time(
    database: Database, tmp_path: Path
) -> None:
    project_id = (await people.song(database)).id
    # What the first one costs once: buffers, caches.
    small = store.Made(tmp_path / "small", 0, bytes(32), bytes(32))
    small.path.write_bytes(b"")
    await kept(database, project_id, small)
    made = written(tmp_path / "large")
    process = psutil.Process()
    before = most = process.memory_info().rss

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, process.memory_info().rss)
            await anyio.sleep(0.005)

    digest, parts = hashlib.sha256(), 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        bundle = await kept(database, project_id, made)
        async for part in store.read(database, bundle):
            digest.update(part)
            parts += 1
            most = max(most, process.memory_info().rss)
        tasks.cancel_scope.cancel()
    assert digest.digest() == made.sha256
    assert parts == SIZE // store.PART_BYTES
    assert most - before < ROOM


async def test_what_a_killed_server_left_behind_goes_with_the_next_folder(tmp_path: Path) -> None:
    async with scratch.folder(tmp_path) as home:
        old = home.parent / "old"
        old.mkdir()
        (old / "upload").write_bytes(b"x")
        os.utime(old, (0, 0))
        async with scratch.folder(tmp_path) as other:
            assert not old.exists()
            assert home.exists()
            assert home != other
    assert list((tmp_path / scratch.FOLDER).iterdir()) == []
