"""History's tables come and go without touching what was there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest
from anyio import to_thread

from base import ids
from base.db import Database
from docstore import documents, migrate
from docstore.history import archive, commits, tags
from tests.integration.docstore import histories, people
from tests.integration.docstore.histories import Song
from tests.integration.docstore.test_migrate import taken_down

if TYPE_CHECKING:
    from collections.abc import Mapping


async def test_a_database_that_is_in_use_gets_history_and_loses_only_that(
    database_url: str,
) -> None:
    database = await Database.open(database_url, size=4)
    project = await people.song(database)
    letters = people.letters("hello")
    async with database.connection() as tx:
        await people.write(tx, project.document_id, *letters)
    await histories.commit(database, project, Song().stem("a").state)
    await database.close()
    await to_thread.run_sync(taken_down, database_url, "0004")
    assert await to_thread.run_sync(migrate.upgrade, database_url) != []
    database = await Database.open(database_url, size=4)
    async with database.connection() as tx:
        assert (await documents.load(tx, project.document_id)).tail == letters
        assert await commits.head(tx, project.id, "main") is None
    made = await histories.commit(database, project, Song().stem("a").state)
    assert made.parents == []
    await database.close()


ASKED: list[tuple[LiteralString, Mapping[str, object] | list[object], str]] = [
    (
        commits.ALL,
        {"project": ids.new_id(), "after": None, "author": None, "before": None, "limit": 9},
        "commits_project_id_id_key",
    ),
    (archive.KNOWN, [ids.new_id(), b""], "states_project_id_sha256_key"),
    (archive.NEXT, [ids.new_id()], "states_project_id_number_key"),
    (tags.BY_NAME, [ids.new_id(), "v1"], "tags_pkey"),
    # What taking something away asks for the foreign keys' sake.
    ("SELECT FROM commits WHERE state_id = %s", [1], "commits_by_state"),
    (
        "SELECT FROM commit_parents WHERE parent_id = %s",
        [ids.new_id()],
        "commit_parents_by_parent",
    ),
    ("SELECT FROM tags WHERE commit_id = %s", [ids.new_id()], "tags_by_commit"),
    ("SELECT FROM states WHERE base_id = %s", [1], "states_by_base"),
]


@pytest.mark.parametrize(("statement", "values", "index"), ASKED)
def test_nothing_is_searched_for_in_whole_tables(
    database_url: str,
    statement: LiteralString,
    values: Mapping[str, object] | list[object],
    index: str,
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("SET enable_seqscan = off")  # small tables are read whole otherwise
        plan = connection.execute("EXPLAIN " + statement, values).fetchall()
    assert index in str(plan)


async def test_a_page_of_a_long_history_reads_no_more_than_the_page(database: Database) -> None:
    """The walk stops by itself when the page is full."""
    project = await people.song(database)
    made = [await histories.commit(database, project, Song().stem("a").state)]
    async with database.transaction() as tx:
        for _ in range(300):
            made.append(await histories.join(tx, made[-1:]))
        await tx.execute(commits.ADVANCE, (made[-1].id, project.document_id))
        asked = {
            "project": project.id,
            "open": [made[-1].id],
            "steps": commits.MOST_STEPS,
            "author": None,
            "before": None,
            "limit": 11,
        }
        cursor = await tx.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + commits.WALK, asked)
        ((plan,),) = await cursor.fetchall()
    union = plan[0]["Plan"]["Plans"][0]
    assert union["Node Type"] == "Recursive Union"
    assert union["Actual Rows"] == 12
