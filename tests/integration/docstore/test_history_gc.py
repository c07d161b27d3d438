"""What nothing needs goes, what something needs stays, and afterwards all is whole."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, LiteralString

import anyio
import anyio.lowlevel
import pytest

from base import ids
from docstore import compaction, documents
from docstore.history import (
    archive,
    branches,
    commits,
    erasing,
    gc,
    retention,
    tags,
    verify,
)
from docstore.history.gc import Collected
from tests.integration.docstore import people
from tests.integration.docstore.histories import NOW, Song, commit, large

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database
    from docstore.projects import Project

MONTH = timedelta(days=30)
LATER = NOW + 2 * MONTH
KEEP = retention.Rules(MONTH, None)


async def findings(database: Database) -> list[verify.Finding]:
    return [told async for told in verify.verify(database) if isinstance(told, verify.Finding)]


async def count(database: Database, table: LiteralString) -> int:
    async with database.connection() as tx:
        row = await (await tx.execute("SELECT count(*) FROM " + table)).fetchone()
    assert row is not None
    return row[0]


async def run(database: Database, statement: LiteralString, *values: object) -> None:
    async with database.connection() as tx:
        await tx.execute(statement, values)


@pytest.fixture
async def song(database: Database) -> Project:
    return await people.song(database)


async def branch(database: Database, project: Project, name: str, head: UUID | None = None) -> int:
    """A branch with a journal row, as another part makes it; its document."""
    async with database.transaction() as tx:
        made = await tx.execute(
            "INSERT INTO documents (project_id, branch, created_at, head) VALUES (%s, %s, %s, %s)"
            " RETURNING id",
            (project.id, name, NOW, head),
        )
        ((document_id,),) = await made.fetchall()
        await people.write(tx, document_id, *people.letters("side"))
    return document_id


async def test_commits_that_nothing_leads_to_go_with_their_states(
    database: Database, song: Project
) -> None:
    story = large(100)
    made = [await commit(database, song, story.stem(f"s{at}").state) for at in range(5)]
    # Main goes back to the second; the third has a tag, so the fourth and fifth are nobody's.
    await run(database, "UPDATE documents SET head = %s", made[1].id)
    async with database.transaction() as tx:
        await tags.tag(
            tx,
            song.id,
            name="v1",
            commit_id=made[2].id,
            created_by=song.owner_id,
            now=NOW,
        )
    assert await gc.collect(database, NOW + MONTH, KEEP) == Collected()
    gone = await gc.collect(database, LATER, KEEP)
    # State 3 is what state 4 rests on no more; number 2 is held.
    assert (gone.commits, gone.states) == (2, 2)
    assert gone.bytes > 0
    async with database.connection() as tx:
        left, _ = await commits.log(tx, song.id, limit=10)
        assert [each.id for each in left] == [each.id for each in reversed(made[:3])]
        for each in left:
            assert await commits.state_of(tx, each)
    assert await gc.collect(database, LATER, KEEP) == Collected()
    assert await findings(database) == []


async def test_a_bundle_holds_its_commit(database: Database, song: Project) -> None:
    first = await commit(database, song, Song().stem("a").state)
    await run(database, "UPDATE documents SET head = NULL")
    await run(
        database,
        "INSERT INTO project_bundles (id, project_id, version, branch, commit_id, kind, filename,"
        " bytes, sha256, content_sha256, note, people, created_by, created_at)"
        " VALUES (%s, %s, 1, 'main', %s, 'zip', 'a', 0, sha256(''), '', '', false, %s, %s)",
        ids.new_id(),
        song.id,
        first.id,
        song.owner_id,
        NOW,
    )
    assert await gc.collect(database, LATER, KEEP) == Collected()
    await run(database, "DELETE FROM project_bundles")
    gone = await gc.collect(database, LATER, KEEP)
    assert (gone.commits, gone.states) == (1, 1)


async def test_what_a_branch_begins_and_began_with_stays(database: Database, song: Project) -> None:
    async with database.transaction() as tx:
        base = await archive.put(tx, song.id, Song().stem("a").state, NOW, lineage=1)
        fork = await archive.put(tx, song.id, Song().stem("b").state, NOW, lineage=1)
        other = await archive.put(tx, song.id, Song().stem("c").state, NOW, lineage=1)
        await tx.execute("UPDATE documents SET base_state_id = %s", (other,))
        # As a prune moves it on, which lets go of the other.
        await tx.execute(
            "UPDATE documents SET base_state_id = %s, fork_state_id = %s", (base, fork)
        )
    gone = await gc.collect(database, LATER, KEEP)
    assert gone.states == 1
    async with database.connection() as tx:
        for each in (base, fork):
            assert await archive.get(tx, song.id, each)


async def test_a_deleted_branch_goes_after_its_time(
    database: Database, song: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (gc, erasing):
        monkeypatch.setattr(module, "PORTION", 1)  # several portions of everything
    first = await commit(database, song, Song().stem("a").state)
    side = await branch(database, song, "side", first.id)
    for at in range(3):
        await commits.make(
            database,
            project_id=song.id,
            document_id=side,
            branch="side",
            state=Song().stem(f"b{at}").state,
            author=song.owner_id,
            message="aside",
            now=NOW,
        )
    assert await compaction.compact(database, side)
    async with database.connection() as tx:
        await people.write(tx, side, *people.letters("after", client=8) * 2)
        await people.write(tx, song.document_id, *people.letters("main"))
    await run(database, "UPDATE documents SET deleted_at = %s WHERE id = %s", NOW + MONTH, side)
    assert await gc.collect(database, NOW + 1.5 * MONTH, KEEP) == Collected()
    gone = await gc.collect(database, NOW + 3 * MONTH, KEEP)
    assert (gone.branches, gone.commits, gone.states, gone.rows) == (1, 3, 3, 10)
    assert await count(database, "journal") == 4
    assert await count(database, "journal_segments") == await count(database, "snapshots") == 0
    async with database.connection() as tx:
        assert [each.name for each in await branches.listing(tx, song.id)] == ["main"]
        assert (await documents.load(tx, song.document_id)).stored_bytes > 0


async def test_it_waits_for_who_writes_history(database: Database, song: Project) -> None:
    """What is put now and committed a moment later is not taken away in between."""
    state = Song().stem("a").state
    first = await commit(database, song, state)
    await run(database, "UPDATE documents SET head = NULL")
    async with anyio.create_task_group() as group, database.transaction() as tx:
        await archive.lock(tx, song.id)
        group.start_soon(gc.collect, database, LATER, KEEP)
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
        while await count(database, "commits") and not await _number(database, waits):
            await anyio.lowlevel.checkpoint()
        await commits.make_within(
            tx,
            project_id=song.id,
            document_id=song.document_id,
            branch="main",
            state=state,
            author=song.owner_id,
            message="again",
            now=LATER,
        )
    async with database.connection() as tx:
        made = await commits.head(tx, song.id, "main")
        assert made is not None
        assert made.state_id == first.state_id
        assert await commits.state_of(tx, made) == state
    assert await count(database, "commits") == 1
    assert await findings(database) == []


async def _number(database: Database, statement: LiteralString) -> int:
    async with database.connection() as tx:
        row = await (await tx.execute(statement)).fetchone()
    assert row is not None
    return row[0]


async def test_a_project_can_be_empty(database: Database) -> None:
    await people.song(database)
    assert await gc.collect(database, LATER, retention.Rules(MONTH, MONTH)) == Collected()
