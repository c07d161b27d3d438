"""A deleted project goes for good after its time, with all that is its own, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, LiteralString

import pytest

from base import ids
from docstore import compaction
from docstore.history import branches, erasing, gc, retention, tags
from docstore.history.retention import Collected
from tests.integration.docstore import people
from tests.integration.docstore.histories import NOW, Song, commit
from tests.integration.docstore.test_history_gc import count, findings, run

if TYPE_CHECKING:
    from base.db import Database
    from docstore.projects import Project

MONTH = timedelta(days=30)
RULES = retention.Rules(MONTH, None)

TABLES: Final[tuple[LiteralString, ...]] = (
    "projects",
    "documents",
    "journal",
    "journal_segments",
    "snapshots",
    "commits",
    "commit_parents",
    "states",
    "tags",
    "project_bundles",
    "bundle_parts",
)


async def full(database: Database, owner: str) -> Project:
    """A project with something in every table."""
    song = await people.song(database, owner=owner)
    made = [await commit(database, song, Song().stem(f"s{at}").state) for at in range(4)]
    async with database.transaction() as tx:
        await people.write(tx, song.document_id, *people.letters("folded"))
    assert await compaction.compact(database, song.document_id)
    async with database.transaction() as tx:
        await people.write(tx, song.document_id, *people.letters("later", client=9))
        for name, of in (("v1", made[0]), ("v2", made[2])):
            await tags.tag(
                tx, song.id, name=name, commit_id=of.id, created_by=song.owner_id, now=NOW
            )
        await tx.execute(
            "INSERT INTO documents (project_id, branch, created_at, head, base_state_id)"
            " VALUES (%s, 'side', %s, %s, %s)",
            (song.id, NOW, made[1].id, made[1].state_id),
        )
        for version in (1, 2):
            bundle = ids.new_id()
            await tx.execute(
                "INSERT INTO project_bundles (id, project_id, version, branch, commit_id, kind,"
                " filename, bytes, sha256, content_sha256, note, people, created_by, created_at)"
                " VALUES (%s, %s, %s, 'main', %s, 'zip', 'a', 9, sha256(''), '', '', false, %s,"
                " %s)",
                (bundle, song.id, version, made[3].id, song.owner_id, NOW),
            )
            for number in range(3):
                await tx.execute(
                    "INSERT INTO bundle_parts (bundle_id, number, body) VALUES (%s, %s, 'abc')",
                    (bundle, number),
                )
    return song


async def counts(database: Database) -> dict[str, int]:
    return {table: await count(database, table) for table in TABLES}


@pytest.mark.parametrize("portion", [1, 1_000])
async def test_a_deleted_project_is_erased_after_its_time(
    database: Database, portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "PORTION", portion)
    kept = await full(database, "anna")
    alone, told = await counts(database), await findings(database)
    assert all(alone.values())
    gone = await full(database, "ben")
    await run(database, "UPDATE projects SET deleted_at = %s WHERE id = %s", NOW, gone.id)
    both = await counts(database)
    assert await gc.collect(database, NOW + MONTH, RULES) == Collected()
    assert await counts(database) == both
    done = await gc.collect(database, NOW + MONTH + timedelta(seconds=1), RULES)
    assert (done.projects, done.rows) == (1, 5)
    assert done.bytes > 0
    assert await counts(database) == alone
    async with database.connection() as tx:
        assert [each.name for each in await branches.listing(tx, kept.id)] == ["main", "side"]
    assert await findings(database) == told


async def test_what_was_begun_is_finished(database: Database) -> None:
    """The process ended between any two portions: then the rest goes the next time."""
    song = await full(database, "ben")
    await run(database, "UPDATE projects SET deleted_at = %s", NOW)
    for portion in erasing.PORTIONS[:4]:
        async with database.transaction() as tx:
            await tx.execute(portion, {"id": song.id, "most": 1})
    assert await findings(database) == []  # nobody looks at it any more
    done = await gc.collect(database, NOW + 2 * MONTH, RULES)
    assert done.projects == 1
    assert not any((await counts(database)).values())


async def test_only_what_is_deleted_is_erased(database: Database) -> None:
    song = await full(database, "anna")
    before = await counts(database)
    assert await erasing.erase(database, song.id, NOW + 9 * MONTH) == Collected()
    await run(database, "UPDATE projects SET deleted_at = %s", NOW)
    assert await erasing.erase(database, song.id, NOW) == Collected()
    assert await counts(database) == before
