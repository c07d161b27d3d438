"""Bundles at rest: numbered in their project, in parts. Tables: `project_bundles`, `bundle_parts`.

A bundle is there with all its parts or not at all. What is deleted does not give its number back.
Whoever looks may do so in their own transaction (migration 0007); parts, and all that is written,
are the server's own work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import anyio.to_thread
from psycopg.rows import class_row

from base import ids
from docstore.bundles.errors import BundleDamaged, BundleNotFound, TooManyBundles

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from base.db import Database, Tx

PART_BYTES: Final = 256 * 1024
"""Of every part but the last."""


class Bundle(NamedTuple):
    """A project written down as a file."""

    id: UUID
    project_id: UUID
    version: int
    """Counts up from 1 within the project."""
    branch: str
    """As it was called then."""
    commit_id: UUID | None
    """What it was made of; None: what the branch said at that moment."""
    kind: str
    """odb or zip."""
    filename: str
    bytes: int
    sha256: bytes
    """Of the file."""
    content_sha256: bytes
    """Of what the document says."""
    note: str
    created_by: UUID
    people: bool
    """Whether the authors of commits are named in it."""
    created_at: datetime


class Made(NamedTuple):
    """A file that is a bundle, still on disk."""

    path: Path
    bytes: int
    sha256: bytes
    content_sha256: bytes


# One at a time for each project: the row of the project is held until the end.
NEXT: LiteralString = """
    UPDATE projects SET last_bundle = last_bundle + 1 WHERE id = %s RETURNING last_bundle"""

COUNT: LiteralString = "SELECT count(*) FROM project_bundles WHERE project_id = %s"

INSERT: LiteralString = """
    INSERT INTO project_bundles (id, project_id, version, branch, commit_id, kind, filename, bytes,
        sha256, content_sha256, note, created_by, people, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""

INSERT_PART: LiteralString = """
    INSERT INTO bundle_parts (bundle_id, number, body) VALUES (%s, %s, %s)"""

_SELECT: LiteralString = """
    SELECT id, project_id, version, branch, commit_id, kind, filename, bytes, sha256,
        content_sha256, note, created_by, people, created_at
    FROM project_bundles WHERE project_id = %s"""

LIST: LiteralString = _SELECT + " ORDER BY version DESC"

BY_VERSION: LiteralString = _SELECT + " AND version = %s"

DELETE: LiteralString = "DELETE FROM project_bundles WHERE project_id = %s AND version = %s"

PART: LiteralString = "SELECT body FROM bundle_parts WHERE bundle_id = %s AND number = %s"

_LARGEST_VERSION: Final = 2**31 - 1


async def check_room(tx: Tx, project_id: UUID, most: int) -> None:
    """Whether a project may have one more. Raises TooManyBundles."""
    row = await (await tx.execute(COUNT, (project_id,))).fetchone()
    if row is not None and row[0] >= most:
        raise TooManyBundles(limit=most)


async def keep(
    tx: Tx,
    project_id: UUID,
    made: Made,
    *,
    branch: str,
    commit_id: UUID | None,
    kind: str,
    name: str,
    note: str,
    people: bool,
    created_by: UUID,
    most: int,
    now: datetime,
) -> Bundle:
    """Store a file as the project's next version, a part at a time.

    tx holds `archive.lock`: the commit must not be taken away meanwhile. name: what the project is
    called. most: bundles of a project. Raises TooManyBundles.
    """
    ((version,),) = await (await tx.execute(NEXT, (project_id,))).fetchall()
    await check_room(tx, project_id, most)
    bundle = Bundle(
        ids.new_id(),
        project_id,
        version,
        branch,
        commit_id,
        kind,
        f"{name} v{version}.{kind}",
        made.bytes,
        made.sha256,
        made.content_sha256,
        note,
        created_by,
        people,
        now,
    )
    await tx.execute(INSERT, bundle)
    with await anyio.to_thread.run_sync(made.path.open, "rb") as file:
        number = 0
        while body := await anyio.to_thread.run_sync(file.read, PART_BYTES):
            await tx.execute(INSERT_PART, (bundle.id, number, body))
            number += 1
    return bundle


async def listing(tx: Tx, project_id: UUID) -> list[Bundle]:
    """All of a project, the newest first."""
    async with tx.cursor(row_factory=class_row(Bundle)) as cursor:
        await cursor.execute(LIST, (project_id,))
        return await cursor.fetchall()


async def get(tx: Tx, project_id: UUID, version: int) -> Bundle:
    """The bundle of this version. Raises BundleNotFound."""
    if not 0 < version <= _LARGEST_VERSION:
        raise BundleNotFound
    async with tx.cursor(row_factory=class_row(Bundle)) as cursor:
        await cursor.execute(BY_VERSION, (project_id, version))
        found = await cursor.fetchone()
    if found is None:
        raise BundleNotFound
    return found


async def delete(tx: Tx, project_id: UUID, version: int) -> None:
    """Take a bundle away for good. Raises BundleNotFound."""
    if not 0 < version <= _LARGEST_VERSION:
        raise BundleNotFound
    if not (await tx.execute(DELETE, (project_id, version))).rowcount:
        raise BundleNotFound


async def read(
    database: Database, bundle: Bundle, start: int = 0, stop: int | None = None
) -> AsyncGenerator[bytes]:
    """The bytes of a bundle from `start` until before `stop`, at most a part at a time.

    No connection is held in between: whoever reads may be slow. Raises BundleDamaged when parts
    are missing, also because the bundle was deleted meanwhile.
    """
    stop = bundle.bytes if stop is None else stop
    while start < stop:
        number, skipped = divmod(start, PART_BYTES)
        async with database.connection() as tx, tx.cursor(binary=True) as cursor:
            await cursor.execute(PART, (bundle.id, number))
            row = await cursor.fetchone()
        body = b"" if row is None else row[0][skipped : skipped + stop - start]
        if not body:
            raise BundleDamaged(version=bundle.version)
        start += len(body)
        yield body
