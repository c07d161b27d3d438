"""Erases deleted projects for good, in portions: journals, history, bundles, and all that is theirs.

Promise: what is not deleted, or not for long enough, is not touched; what is begun is finished the
next time if the process ends meanwhile. Whoever writes the project's history is waited for. The
audit log stays: what happened, happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from docstore.history import writers
from docstore.history.retention import Collected

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx

PORTION: Final = 1_000
"""Rows that one transaction deletes, of tables with large ones; of a journal five times as many."""

DUE: LiteralString = "SELECT id FROM projects WHERE deleted_at < %s ORDER BY id"

IS_DUE: LiteralString = "SELECT FROM projects WHERE id = %s AND deleted_at < %s FOR UPDATE"

DOCUMENTS: LiteralString = "SELECT id FROM documents WHERE project_id = %s ORDER BY id"

DROP_ROWS: LiteralString = """
    WITH gone AS (DELETE FROM journal WHERE document_id = %(id)s AND seq IN (
        SELECT seq FROM journal WHERE document_id = %(id)s LIMIT %(most)s)
        RETURNING length(payload) AS size)
    SELECT count(*), coalesce(sum(size), 0) FROM gone"""

# What others rest on goes after them: the youngest commits and states first.
PORTIONS: tuple[LiteralString, ...] = (
    """
    WITH gone AS (DELETE FROM bundle_parts WHERE (bundle_id, number) IN (
        SELECT p.bundle_id, p.number FROM project_bundles b JOIN bundle_parts p ON p.bundle_id = b.id
        WHERE b.project_id = %(id)s LIMIT %(most)s) RETURNING length(body) AS size)
    SELECT count(*), coalesce(sum(size), 0) FROM gone""",
    """
    WITH gone AS (DELETE FROM project_bundles WHERE id IN (
        SELECT id FROM project_bundles WHERE project_id = %(id)s LIMIT %(most)s) RETURNING id)
    SELECT count(*), 0 FROM gone""",
    """
    WITH gone AS (DELETE FROM tags WHERE project_id = %(id)s AND name IN (
        SELECT name FROM tags WHERE project_id = %(id)s LIMIT %(most)s) RETURNING name)
    SELECT count(*), 0 FROM gone""",
    """
    WITH gone AS (DELETE FROM journal_segments WHERE id IN (
        SELECT s.id FROM documents d JOIN journal_segments s ON s.document_id = d.id
        WHERE d.project_id = %(id)s LIMIT %(most)s) RETURNING length(body) AS size)
    SELECT count(*), coalesce(sum(size), 0) FROM gone""",
    """
    WITH sizes AS (
        SELECT coalesce(sum(length(s.state)), 0) AS size
        FROM documents d JOIN snapshots s ON s.document_id = d.id WHERE d.project_id = %(id)s),
    gone AS (DELETE FROM documents WHERE id IN (
        SELECT id FROM documents WHERE project_id = %(id)s LIMIT %(most)s) RETURNING id)
    SELECT count(*), (SELECT size FROM sizes) FROM gone""",
    """
    WITH gone AS (DELETE FROM commits WHERE id IN (
        SELECT id FROM commits WHERE project_id = %(id)s ORDER BY id DESC LIMIT %(most)s)
        RETURNING id)
    SELECT count(*), 0 FROM gone""",
    """
    WITH gone AS (DELETE FROM states WHERE id IN (
        SELECT id FROM states WHERE project_id = %(id)s ORDER BY number DESC LIMIT %(most)s)
        RETURNING length(body) AS size)
    SELECT count(*), coalesce(sum(size), 0) FROM gone""",
)

DROP_PROJECT: LiteralString = "DELETE FROM projects WHERE id = %s AND deleted_at < %s"


async def due(tx: Tx, before: datetime) -> list[UUID]:
    """The projects that were deleted before a moment."""
    return [row[0] for row in await _all(tx, DUE, (before,))]


async def erase(database: Database, project_id: UUID, before: datetime) -> Collected:
    """Erase a project that was deleted before a moment; any other stays as it is."""
    async with database.connection() as tx:
        documents = [row[0] for row in await _all(tx, DOCUMENTS, (project_id,))]
    done = Collected()
    # The journal first, and its document after it: nothing else says whose these rows are.
    for document_id in documents:
        if not await _is_due(database, project_id, before):
            return done
        rows, size = await drop_journal(database, document_id)
        done = done.and_also(Collected(rows=rows, bytes=size))
    for portion in PORTIONS:
        while True:
            async with writers.writing(database, project_id, brief=True) as tx:
                if not await _all(tx, IS_DUE, (project_id, before)):
                    return done
                asked = {"id": project_id, "most": PORTION}
                ((count, size),) = await _all(tx, portion, asked)
            done = done.and_also(Collected(bytes=int(size)))
            if count < PORTION:
                break
    async with writers.writing(database, project_id, brief=True) as tx:
        gone = await tx.execute(DROP_PROJECT, (project_id, before))
    return done.and_also(Collected(projects=gone.rowcount))


async def drop_journal(database: Database, document_id: int) -> tuple[int, int]:
    """All rows of a document that nobody opens any more: how many, and their bytes."""
    rows = size = 0
    while True:
        async with database.transaction() as tx:
            asked = {"id": document_id, "most": PORTION * 5}
            ((count, freed),) = await _all(tx, DROP_ROWS, asked)
        rows, size = rows + count, size + int(freed)
        if count < PORTION * 5:
            return rows, size


async def _is_due(database: Database, project_id: UUID, before: datetime) -> bool:
    async with database.connection() as tx:
        return bool(await _all(tx, IS_DUE, (project_id, before)))


async def _all(tx: Tx, statement: LiteralString, values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 (what psycopg takes)
    return await (await tx.execute(statement, values)).fetchall()
