"""Housekeeping looks at a project only when something in it may have come loose."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, LiteralString

import anyio
import anyio.lowlevel
import pytest

from base import ids
from docstore.history import archive, erasing, gc, retention, tags
from docstore.history.retention import Collected
from tests.integration.docstore import people
from tests.integration.docstore.histories import NOW, Song, commit
from tests.integration.docstore.test_history_gc import branch, count, run

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database
    from docstore.projects import Project

MONTH = timedelta(days=30)
DAY = timedelta(days=1)
KEEP = retention.Rules(MONTH, None)


@pytest.fixture
async def song(database: Database) -> Project:
    return await people.song(database)


async def loose(database: Database) -> object:
    """`loose_from` of the only project, as text: `-infinity` is no time in Python."""
    async with database.connection() as tx:
        ((found,),) = await (await tx.execute("SELECT loose_from::text FROM projects")).fetchall()
    return found


async def tag(database: Database, project: Project, commit_id: UUID) -> None:
    async with database.transaction() as tx:
        await tags.tag(
            tx, project.id, name="v1", commit_id=commit_id, created_by=project.owner_id, now=NOW
        )


async def test_what_only_grows_is_never_looked_at(database: Database, song: Project) -> None:
    made = [await commit(database, song, Song().stem(f"s{at}").state) for at in range(3)]
    await tag(database, song, made[0].id)
    await branch(database, song, "side", made[1].id)
    assert await loose(database) is None


@pytest.mark.parametrize(
    "happens",
    [
        "DELETE FROM tags",
        "DELETE FROM project_bundles",
        "UPDATE documents SET head = NULL WHERE branch = 'main'",
        "DELETE FROM documents WHERE branch = 'side'",
        "UPDATE documents SET base_state_id = NULL WHERE branch = 'side'",
        "UPDATE documents SET fork_state_id = NULL WHERE branch = 'side'",
        "UPDATE documents SET origin_commit = NULL WHERE branch = 'side'",
    ],
)
async def test_whatever_lets_go_of_something_says_so(
    database: Database, song: Project, happens: LiteralString
) -> None:
    made = await commit(database, song, Song().stem("a").state)
    await tag(database, song, made.id)
    await branch(database, song, "side", made.id)
    await run(
        database,
        "UPDATE documents SET base_state_id = %s, fork_state_id = %s, origin_commit = %s"
        " WHERE branch = 'side'",
        made.state_id,
        made.state_id,
        made.id,
    )
    await run(
        database,
        "INSERT INTO project_bundles (id, project_id, version, branch, commit_id, kind, filename,"
        " bytes, sha256, content_sha256, note, people, created_by, created_at)"
        " VALUES (%s, %s, 1, 'main', %s, 'zip', 'a', 0, sha256(''), '', '', false, %s, %s)",
        ids.new_id(),
        song.id,
        made.id,
        song.owner_id,
        NOW,
    )
    assert await loose(database) is None
    await run(database, happens)
    assert await loose(database) == "-infinity"


async def test_what_is_too_young_is_looked_at_when_it_is_old(
    database: Database, song: Project
) -> None:
    made = await commit(database, song, Song().stem("a").state, now=NOW)
    await commit(database, song, Song().stem("b").state, now=NOW + 5 * DAY)
    await run(database, "UPDATE documents SET head = %s", made.id)
    assert await gc.collect(database, NOW + 10 * DAY, KEEP) == Collected()
    async with database.connection() as tx:
        ((at,),) = await (await tx.execute("SELECT loose_from FROM projects")).fetchall()
    assert at == NOW + 5 * DAY
    # Until then it is not looked at: nobody asks for its lock.
    async with database.transaction() as tx:
        await archive.lock(tx, song.id)
        assert await gc.collect(database, NOW + 35 * DAY, KEEP) == Collected()
    gone = await gc.collect(database, NOW + 35 * DAY + timedelta(seconds=1), KEEP)
    assert (gone.commits, gone.states) == (1, 1)
    assert await loose(database) is None


async def test_a_project_with_which_it_fails_is_passed_over(
    database: Database, song: Project
) -> None:
    other = await people.song(database, owner="ben")
    for each in (song, other):
        await commit(database, each, Song().stem("a").state)
    await run(database, "UPDATE documents SET head = NULL")
    # Something of which housekeeping knows nothing holds on to the first one's commit.
    await run(
        database,
        "CREATE TABLE holding (project_id uuid, id uuid,"
        " FOREIGN KEY (project_id, id) REFERENCES commits (project_id, id))",
    )
    await run(
        database,
        "INSERT INTO holding SELECT project_id, id FROM commits WHERE project_id = %s",
        song.id,
    )
    gone = await gc.collect(database, NOW + 2 * MONTH, KEEP)
    assert (gone.commits, gone.states) == (1, 1)
    assert await count(database, "commits") == await count(database, "states") == 1
    await run(database, "DROP TABLE holding")
    gone = await gc.collect(database, NOW + 2 * MONTH, KEEP)
    assert (gone.commits, gone.states) == (1, 1)


# ---------------------------------------------------------------- how it is found


async def plan(database: Database, statement: LiteralString, values: Any) -> str:
    """How PostgreSQL would go about it in large tables."""
    async with database.transaction() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        found = await tx.execute(b"EXPLAIN " + statement.encode(), values)
        return "\n".join(row[0] for row in await found.fetchall())


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (gc.DUE, {"drop": NOW}),
        (erasing.DUE, (NOW,)),
        # What the database asks itself when a commit goes,
        ("SELECT FROM documents WHERE project_id = %s AND head = %s", (ids.new_id(),) * 2),
        (
            "SELECT FROM commit_parents WHERE project_id = %s AND parent_id = %s",
            (ids.new_id(),) * 2,
        ),
        (
            "SELECT FROM commit_parents WHERE project_id = %s AND commit_id = %s",
            (ids.new_id(),) * 2,
        ),
        ("SELECT FROM tags WHERE project_id = %s AND commit_id = %s", (ids.new_id(),) * 2),
        (
            "SELECT FROM project_bundles WHERE project_id = %s AND commit_id = %s",
            (ids.new_id(),) * 2,
        ),
        ("SELECT FROM fast_forwards WHERE commit_id = %s", (ids.new_id(),)),
        # and when a state goes.
        ("SELECT FROM commits WHERE project_id = %s AND state_id = %s", (ids.new_id(), 1)),
        ("SELECT FROM states WHERE project_id = %s AND base_id = %s", (ids.new_id(), 1)),
        ("SELECT FROM documents WHERE project_id = %s AND base_state_id = %s", (ids.new_id(), 1)),
        ("SELECT FROM documents WHERE project_id = %s AND fork_state_id = %s", (ids.new_id(), 1)),
    ],
)
async def test_nothing_is_found_by_reading_a_whole_table(
    database: Database, statement: LiteralString, values: Any
) -> None:
    told = await plan(database, statement, values)
    assert "Seq Scan" not in told
    # Not by the index alone, either, of which it would read everything.
    assert told.count("Index Cond") + told.count("Recheck Cond") >= told.count("Scan")


# ---------------------------------------------------------------- at the same time


async def test_who_lets_go_of_something_meanwhile_is_heard(
    database: Database, song: Project
) -> None:
    made = await commit(database, song, Song().stem("a").state)
    await tag(database, song, made.id)

    async with anyio.create_task_group() as group, database.transaction() as tx:
        # As housekeeping does it: it has looked, and the tag was still there.
        await tx.execute(gc.TIED, (song.id,))
        group.start_soon(run, database, "DELETE FROM tags")
        waits = "pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
        with anyio.fail_after(20):
            while not await count(database, waits):
                await anyio.lowlevel.checkpoint()
        await tx.execute(gc.LOOSE, (None, song.id))
    assert await loose(database) == "-infinity"
