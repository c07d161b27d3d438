"""Old detail goes, hour by hour, and what the document was at every full hour stays."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pycrdt import Doc

from docstore import compaction, documents, segments
from docstore.history import branches, content, detail, gc, past, prune, retention, rollbacks, work
from docstore.history.retention import Collected
from docstore.history.rollback import Earlier
from tests.integration.docstore import people
from tests.integration.docstore.histories import NOW
from tests.integration.docstore.test_history_gc import count, findings, run

if TYPE_CHECKING:
    from datetime import datetime

    from base.db import Database
    from docstore.projects import Project

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
THIN = retention.Rules(300 * DAY, DAY)


@pytest.fixture
async def song(database: Database) -> Project:
    return await people.song(database)


async def typed(database: Database, project: Project, hours: int) -> None:
    """Two people, each with a letter every ten minutes; folded every so often."""
    owner, guest = project.owner_id, None
    for client, author in ((5, owner), (6, guest)):
        letters = people.letters("x" * hours * 6, client=client)
        for at, letter in enumerate(letters):
            async with database.connection() as tx:
                await tx.execute(
                    "INSERT INTO journal (document_id, author, payload, created_at)"
                    " VALUES (%s, %s, %s, %s)",
                    (project.document_id, author, letter, NOW + timedelta(minutes=10 * at)),
                )
            if at % 17 == 16:
                assert await compaction.compact(database, project.document_id)
    await compaction.compact(database, project.document_id)


async def state_at(database: Database, project: Project, moment: datetime) -> content.Content:
    async with database.connection() as tx:
        found = await branches.get(tx, project.id, "main")
    return content.read(await past.state_at(database, found, moment))


async def rows_of(database: Database) -> list[segments.Row]:
    async with database.connection() as tx:
        found = await tx.execute("SELECT body, body_bytes FROM journal_segments ORDER BY id")
        return [row for body in await found.fetchall() for row in segments.unpack(*body)]


async def test_old_detail_becomes_a_row_for_each_hour_and_author(
    database: Database, song: Project
) -> None:
    await typed(database, song, 12)
    moments = [NOW + hour * HOUR for hour in range(14)]
    before = [await state_at(database, song, moment) for moment in moments]
    present = await past_of(database, song)
    assert await gc.collect(database, NOW + DAY, THIN) == Collected()
    gone = await gc.collect(database, NOW + 3 * DAY, THIN)
    assert gone.rows == 144 - 26
    assert gone.bytes > 0
    left = await rows_of(database)
    # The first letter, at a full hour, belongs to the hour that it ends.
    assert len(left) == 26
    assert [await state_at(database, song, moment) for moment in moments] == before
    assert await past_of(database, song) == present
    assert {row.author for row in left} == {song.owner_id, None}
    assert await findings(database) == []
    # Once, and no more.
    assert await gc.collect(database, NOW + 9 * DAY, THIN) == Collected()


async def past_of(database: Database, project: Project) -> tuple[Any, content.Content]:
    async with database.connection() as tx:
        loaded = await documents.load(tx, project.document_id)
    doc: Doc[Any] = Doc()
    for update in (loaded.snapshot, *loaded.tail):
        if update is not None:
            doc.apply_update(update)
    return doc.get_state(), content.read_doc(doc)


async def test_what_is_young_or_waits_keeps_its_detail(database: Database, song: Project) -> None:
    a, b, c, _ = people.letters("abcd")
    async with database.connection() as tx:
        await people.write(tx, song.document_id, a, b)
        await people.write(tx, song.document_id, c, waiting=True)
    assert await compaction.compact(database, song.document_id)
    await run(
        database,
        "INSERT INTO journal (document_id, payload, created_at) VALUES (%s, %s, %s)",
        song.document_id,
        people.letters("z", client=3)[0],
        NOW + 3 * DAY,
    )
    gone = await gc.collect(database, NOW + 3 * DAY, THIN)
    assert gone.rows == 2  # a, b, c are one
    assert await count(database, "journal") == 1
    assert await findings(database) == []


async def test_a_journal_that_cannot_be_told_is_passed_over(
    database: Database, song: Project
) -> None:
    other = await people.song(database, owner="ben")
    await typed(database, song, 1)
    await typed(database, other, 1)
    await run(
        database,
        "UPDATE journal_segments SET body = '\\x00' WHERE document_id = %s",
        song.document_id,
    )
    gone = await gc.collect(database, NOW + 3 * DAY, THIN)
    assert gone.rows == 12 - 4
    async with database.connection() as tx:
        found = await tx.execute(
            "SELECT DISTINCT document_id FROM journal_segments WHERE thinned_at IS NULL"
        )
        assert await found.fetchall() == [(song.document_id,)]


# ---------------------------------------------------------------- while others work


async def between(database: Database, monkeypatch: pytest.MonkeyPatch, happens: Any) -> Collected:
    """Thin, and let something happen when all was read and nothing is written yet."""
    real = work.thin

    async def slow(*given: Any) -> work.Thinned:
        done = await real(*given)
        await happens()
        return done

    monkeypatch.setattr(work, "thin", slow)
    gone = await detail.thin(database, NOW + 3 * DAY, NOW + 3 * DAY)
    monkeypatch.setattr(work, "thin", real)
    return gone


async def test_a_past_that_is_pruned_meanwhile_does_not_come_back(
    database: Database, song: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    await typed(database, song, 5)
    before = [await state_at(database, song, NOW + hour * HOUR) for hour in range(3, 6)]

    async def allowed() -> None:
        """Yes."""

    async def pruned() -> None:
        moment = NOW + 2.5 * HOUR
        done = await prune.prune(database, song.id, "main", moment, allowed=allowed)
        assert done.rows > 0

    assert await between(database, monkeypatch, pruned) == Collected()
    assert all(row.created_at > NOW + 2.5 * HOUR for row in await rows_of(database))
    after = [await state_at(database, song, NOW + hour * HOUR) for hour in range(3, 6)]
    assert after == before
    assert await findings(database) == []
    # The next time it is thinned as it is now.
    assert (await gc.collect(database, NOW + 4 * DAY, THIN)).rows > 0
    after = [await state_at(database, song, NOW + hour * HOUR) for hour in range(3, 6)]
    assert after == before


async def test_a_rollback_made_meanwhile_keeps_its_bounds(
    database: Database, song: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    await typed(database, song, 2)
    since, until = NOW + timedelta(minutes=25), NOW + timedelta(minutes=45)

    async def rolled_back() -> None:
        async with database.transaction() as tx:
            made = Earlier(99, song.owner_id, since, until, None)
            await rollbacks.note(tx, song.document_id, made, NOW + 3 * DAY)

    assert await between(database, monkeypatch, rolled_back) == Collected()
    gone = await detail.thin(database, NOW + 3 * DAY, NOW + 3 * DAY)
    assert gone.rows > 0
    # Two of each author within it; nothing is joined over its ends.
    times = [row.created_at for row in await rows_of(database)]
    assert NOW + timedelta(minutes=20) in times
    assert NOW + timedelta(minutes=40) in times


# ---------------------------------------------------------------- long journals


async def test_a_long_journal_is_thinned_in_parts(
    database: Database, song: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "PART_BYTES", 1)
    await in_turns(database, song, 12)
    assert await count(database, "journal_segments") > 8
    moments = [NOW + hour * HOUR for hour in range(14)]
    before = [await state_at(database, song, moment) for moment in moments]
    present = await past_of(database, song)
    gone = await gc.collect(database, NOW + 3 * DAY, THIN)
    assert gone.rows > 50
    assert await count(database, "journal_segments") > 8
    assert [await state_at(database, song, moment) for moment in moments] == before
    assert await past_of(database, song) == present
    assert await findings(database) == []
    assert await gc.collect(database, NOW + 9 * DAY, THIN) == Collected()


async def in_turns(database: Database, project: Project, hours: int) -> None:
    """Two people, a letter each, in the order of time; one of Ben's comes late."""
    anna = people.letters("a" * hours * 6, client=5)
    ben = people.letters("b" * hours * 6, client=6)
    ben[20], ben[40] = ben[40], ben[20]
    for at in range(hours * 6):
        moment = NOW + timedelta(minutes=10 * at)
        for author, letter in ((project.owner_id, anna[at]), (None, ben[at])):
            waits = author is None and 20 <= at < 40
            async with database.connection() as tx:
                await tx.execute(
                    "INSERT INTO journal (document_id, author, payload, created_at, waiting)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    (project.document_id, author, letter, moment, waits),
                )
        if at % 7 == 6:
            assert await compaction.compact(database, project.document_id)
    await compaction.compact(database, project.document_id)


async def test_what_cannot_be_parted_and_is_too_much_keeps_its_detail(
    database: Database, song: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "PART_BYTES", 1)
    monkeypatch.setattr(detail, "MOST_BYTES", 10)
    await typed(database, song, 12)
    before = await rows_of(database)
    assert await gc.collect(database, NOW + 3 * DAY, THIN) == Collected()
    assert await rows_of(database) == before
    # Said once; nobody reads it again.
    assert await count(database, "journal_segments WHERE thinned_at IS NULL") == 0


async def test_a_journal_that_cannot_be_told_is_tried_again_the_next_day(
    database: Database, song: Project
) -> None:
    await typed(database, song, 1)
    await run(database, "UPDATE journal_segments SET body = '\\x00' || body")
    now = NOW + 3 * DAY
    assert await gc.collect(database, now, THIN) == Collected()
    await run(database, "UPDATE journal_segments SET body = substr(body, 2)")
    assert await gc.collect(database, now + HOUR, THIN) == Collected()
    assert (await gc.collect(database, now + DAY, THIN)).rows > 0
