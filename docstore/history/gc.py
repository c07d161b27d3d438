"""Takes away what nothing needs any more: old commits, states, branches and projects.

Promise: what a branch, a tag or a bundle leads to stays, whatever is written beside; decided and
deleted under the lock that whoever writes a project's history holds, in portions. Rooms are not
disturbed. A project is looked at only when something in it may have come loose: the database notes
that by itself (`projects.loose_from`, migration 0008). When what goes: `docstore/history/retention.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg

from base import log, metrics
from base.db import DatabaseUnavailable, is_away
from base.errors import AppError
from docstore.history import detail, erasing, retention, writers
from docstore.history.retention import Collected

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history.retention import Rules

_log = log.get(__name__)

PORTION: Final = 1_000
"""Commits or states that one transaction deletes; of rows of a journal five times as many."""

DUE: LiteralString = """
    SELECT id FROM projects WHERE loose_from < %(drop)s
    UNION SELECT project_id FROM documents WHERE deleted_at < %(drop)s
    ORDER BY 1"""

# Before anything is read: who lets go of something meanwhile waits, and says so after us.
TIED: LiteralString = "UPDATE projects SET loose_from = NULL WHERE id = %s"

LOOSE: LiteralString = "UPDATE projects SET loose_from = %s WHERE id = %s"

STILL_LOOSE: LiteralString = "UPDATE projects SET loose_from = '-infinity' WHERE id = %s"

EXPIRED: LiteralString = """
    SELECT id FROM documents WHERE project_id = %s AND deleted_at < %s ORDER BY id"""

DROP_DOCUMENT: LiteralString = """
    WITH sizes AS (
        SELECT length(body) AS size FROM journal_segments WHERE document_id = %(id)s
        UNION ALL SELECT length(state) FROM snapshots WHERE document_id = %(id)s),
    gone AS (DELETE FROM documents WHERE id = %(id)s AND deleted_at < %(before)s RETURNING id)
    SELECT count(*), (SELECT coalesce(sum(size), 0) FROM sizes) FROM gone"""

COMMITS: LiteralString = "SELECT id, created_at FROM commits WHERE project_id = %s"

PARENTS: LiteralString = "SELECT commit_id, parent_id FROM commit_parents WHERE project_id = %s"

ROOTS: LiteralString = """
    SELECT head FROM documents WHERE project_id = %(id)s AND head IS NOT NULL
    UNION SELECT origin_commit FROM documents
        WHERE project_id = %(id)s AND origin_commit IS NOT NULL
    UNION SELECT commit_id FROM tags WHERE project_id = %(id)s
    UNION SELECT commit_id FROM project_bundles
        WHERE project_id = %(id)s AND commit_id IS NOT NULL"""

DROP_COMMITS: LiteralString = "DELETE FROM commits WHERE project_id = %s AND id = ANY(%s::uuid[])"

STATES: LiteralString = """
    SELECT id, base_id, created_at FROM states WHERE project_id = %s ORDER BY number"""

HELD: LiteralString = """
    SELECT state_id FROM commits WHERE project_id = %(id)s
    UNION SELECT base_state_id FROM documents
        WHERE project_id = %(id)s AND base_state_id IS NOT NULL
    UNION SELECT fork_state_id FROM documents
        WHERE project_id = %(id)s AND fork_state_id IS NOT NULL"""

DROP_STATES: LiteralString = """
    WITH gone AS (DELETE FROM states WHERE project_id = %s AND id = ANY(%s::bigint[])
                  RETURNING length(body) AS size)
    SELECT count(*), coalesce(sum(size), 0) FROM gone"""


async def collect(database: Database, now: datetime, rules: Rules) -> Collected:
    """Go through all projects once. One with which that fails is passed over, and logged.

    Raises DatabaseUnavailable.
    """
    before = rules.drop_before(now)
    async with database.connection() as tx:
        due: list[UUID] = [row[0] for row in await _all(tx, DUE, {"drop": before})]
        over: list[UUID] = await erasing.due(tx, before)
    done = Collected()
    for work, projects in ((collect_project, due), (erasing.erase, over)):
        for project_id in projects:
            try:
                gone = await work(database, project_id, before)
            except (AppError, psycopg.Error) as problem:
                if isinstance(problem, DatabaseUnavailable) or is_away(problem):
                    raise
                # It stays as it is; others have their turn.
                _log.exception("project_not_collected", project=str(project_id))
            else:
                done = done.and_also(gone)
    thin_before = rules.thin_before(now)
    if thin_before is not None:
        done = done.and_also(await detail.thin(database, thin_before, now))
    metrics.history_freed_bytes_total.inc(max(0, done.bytes))
    return done


async def collect_project(database: Database, project_id: UUID, before: datetime) -> Collected:
    """Branches deleted, commits and states made before a moment, as far as nothing leads there."""
    done = Collected()
    async with database.connection() as tx:
        expired: list[int] = [row[0] for row in await _all(tx, EXPIRED, (project_id, before))]
    for document_id in expired:
        done = done.and_also(await _drop_branch(database, project_id, document_id, before))
    while True:
        async with writers.writing(database, project_id, brief=True) as tx:
            gone = await _drop_loose(tx, project_id, before)
        done = done.and_also(gone)
        if PORTION not in (gone.commits, gone.states):
            return done


async def _drop_branch(
    database: Database, project_id: UUID, document_id: int, before: datetime
) -> Collected:
    # Nobody can get at these any more; the document goes last, so that a crash is made good.
    rows, size = await erasing.drop_journal(database, document_id)
    async with writers.writing(database, project_id, brief=True) as tx:
        ((count, freed),) = await _all(tx, DROP_DOCUMENT, {"id": document_id, "before": before})
    return Collected(branches=count, rows=rows, bytes=size + int(freed) * count)


async def _drop_loose(tx: Tx, project_id: UUID, before: datetime) -> Collected:
    """A portion of the commits, or of the states if there are none, and when to look again."""
    await tx.execute(TIED, (project_id,))
    made = dict(await _all(tx, COMMITS, (project_id,)))
    parents = ((child, parent) for child, parent in await _all(tx, PARENTS, (project_id,)))
    roots = [row[0] for row in await _all(tx, ROOTS, {"id": project_id})]
    commits = retention.judge_commits(made, parents, roots, before)
    dropped = commits.drop[:PORTION]
    if dropped:
        await tx.execute(DROP_COMMITS, (project_id, dropped))
    if len(dropped) == PORTION:
        await tx.execute(STILL_LOOSE, (project_id,))
        return Collected(commits=PORTION)
    at_rest = [retention.State(*row) for row in await _all(tx, STATES, (project_id,))]
    held = {row[0] for row in await _all(tx, HELD, {"id": project_id})}
    states = retention.judge_states(at_rest, held, before)
    count, size = 0, 0
    if states.drop:
        ((count, size),) = await _all(tx, DROP_STATES, (project_id, states.drop[:PORTION]))
    if count == PORTION:
        await tx.execute(STILL_LOOSE, (project_id,))
    else:
        young = [each for each in (commits.loose_from, states.loose_from) if each is not None]
        await tx.execute(LOOSE, (min(young, default=None), project_id))
    return Collected(commits=len(dropped), states=count, bytes=int(size))


async def _all(tx: Tx, statement: LiteralString, values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 (what psycopg takes)
    return await (await tx.execute(statement, values)).fetchall()
