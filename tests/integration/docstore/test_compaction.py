"""Compaction on a real database loses no row, whatever happens beside it or half way."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest
from pycrdt import Doc

from base import ids
from docstore import (
    compaction,
    crdt,
    documents,
    loading,
    projects,
    segments,
    snapshots,
    waiting,
)
from docstore.errors import SnapshotDamaged
from tests.e2e import poison
from tests.integration.docstore import people
from tests.unit.docstore import writers

if TYPE_CHECKING:
    from base.db import Database


async def content(database: Database, document_id: int) -> tuple[writers.Clocks, Any]:
    """What a room that opens now would hold."""
    async with database.connection() as tx:
        loaded = await documents.load(tx, document_id)
    kept = [waiting.Waiting(row.payload, row=row.seq) for row in loaded.waiting]
    stored = loading.prepare(loaded.snapshot, loaded.tail, kept)
    doc = loading.build(Doc, stored).doc
    return writers.clocks(doc), crdt.to_json(doc.get_update())


async def counts(database: Database) -> dict[str, int]:
    found: dict[str, int] = {}
    async with database.connection() as tx:
        for table in ("journal", "snapshots", "journal_segments"):
            row = await (await tx.execute(f"SELECT count(*) FROM {table}".encode())).fetchone()
            assert row is not None
            found[table] = row[0]
    return found


async def history(database: Database, document_id: int) -> list[segments.Row]:
    """Every row that ever was: the segments' and then the tail's."""
    rows: list[segments.Row] = []
    async with database.connection() as tx:
        cursor = await tx.execute(
            "SELECT body, body_bytes FROM journal_segments WHERE document_id = %s ORDER BY id",
            (document_id,),
        )
        async for body, size in cursor:
            rows += segments.unpack(body, size)
        cursor = await tx.execute(
            "SELECT seq, author, payload, created_at FROM journal WHERE document_id = %s"
            " ORDER BY seq",
            (document_id,),
        )
        rows += [segments.Row(*row) async for row in cursor]
    return rows


@pytest.fixture
async def song(database: Database) -> projects.Project:
    return await people.song(database)


async def test_the_tail_becomes_a_snapshot(database: Database, song: projects.Project) -> None:
    letters = people.letters("hello")
    async with database.transaction() as tx:
        await people.write(tx, song.document_id, *letters)
    before = await content(database, song.document_id)
    done = await compaction.compact(database, song.document_id)
    assert done is not None
    assert (done.document_id, done.rows, done.staying) == (song.document_id, 5, 0)
    assert done.bytes_before == sum(map(len, letters))
    assert 0 < done.bytes_after < done.bytes_before
    assert done.stored > 0
    assert done.seconds > 0
    assert await content(database, song.document_id) == before
    assert await counts(database) == {"journal": 0, "snapshots": 1, "journal_segments": 1}


async def test_with_nothing_to_fold_nothing_happens(
    database: Database, song: projects.Project
) -> None:
    assert await compaction.compact(database, song.document_id) is None
    assert await compaction.compact(database, 999) is None
    async with database.connection() as tx:
        await people.write(tx, song.document_id, *people.letters("hi"))
        await people.write(tx, 999, *people.letters("hi"))
    assert await compaction.compact(database, song.document_id)
    assert await compaction.compact(database, song.document_id) is None
    assert await compaction.compact(database, 999) is None
    # Of a document that is gone nothing is read and nothing taken away.
    assert await counts(database) == {"journal": 2, "snapshots": 1, "journal_segments": 1}


async def test_history_keeps_every_row_as_it_was(
    database: Database, song: projects.Project
) -> None:
    authors = [ids.new_id(), ids.new_id(), None]
    letters = people.letters("abcdefgh")
    for at, letter in enumerate(letters):
        async with database.connection() as tx:
            await people.write(tx, song.document_id, letter, author=authors[at % 3])
        if at == 2:
            before = await history(database, song.document_id)
            assert await compaction.compact(database, song.document_id)
            assert await history(database, song.document_id) == before
        if at == 5:
            assert await compaction.compact(database, song.document_id)
    kept = await history(database, song.document_id)
    assert [row.payload for row in kept] == letters
    assert [row.author for row in kept] == [authors[at % 3] for at in range(8)]
    async with database.connection() as tx:
        cursor = await tx.execute(
            "SELECT rows, first_seq, last_seq, from_time, to_time, authors, client_ids"
            " FROM journal_segments ORDER BY id"
        )
        found = await cursor.fetchall()
    whose = sorted(author for author in authors if author is not None)
    assert [row[:5] for row in found] == [
        (3, kept[0].seq, kept[2].seq, people.NOW, people.NOW),
        (3, kept[3].seq, kept[5].seq, people.NOW, people.NOW),
    ]
    assert [row[5:] for row in found] == [(whose, [7]), (whose, [7])]


async def test_a_row_that_is_still_being_written_is_not_lost(
    database: Database, song: projects.Project, database_url: str
) -> None:
    """Numbers are given before the commit: the lower one may appear after the higher one."""
    first, second = people.letters("a", client=1)[0], people.letters("b", client=2)[0]
    insert = (
        "INSERT INTO journal (document_id, payload, created_at) VALUES (%s, %s, now())"
        " RETURNING seq"
    )
    with psycopg.connect(database_url) as early, psycopg.connect(database_url) as late:
        ((slow,),) = early.execute(insert, (song.document_id, first)).fetchall()
        ((fast,),) = late.execute(insert, (song.document_id, second)).fetchall()
        assert slow < fast
        late.commit()
        done = await compaction.compact(database, song.document_id)
        assert done is not None
        assert done.rows == 1
        early.commit()
    async with database.connection() as tx:
        assert (await documents.load(tx, song.document_id)).tail == [first]
    done = await compaction.compact(database, song.document_id)
    assert done is not None
    assert done.rows == 1
    assert (await content(database, song.document_id))[0] == {1: 1, 2: 1}


async def test_a_row_that_appears_while_we_compact_is_not_lost(
    database: Database, song: projects.Project, database_url: str
) -> None:
    letters = people.letters("abc")
    async with database.connection() as tx:
        await people.write(tx, song.document_id, *letters[:2])
    async with anyio.create_task_group() as group:
        with psycopg.connect(database_url) as other:
            other.execute("LOCK TABLE snapshots IN EXCLUSIVE MODE")  # stops it before it writes
            group.start_soon(compaction.compact, database, song.document_id)
            while True:
                async with database.connection() as tx:
                    waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
                    if await (await tx.execute(waits)).fetchone():
                        break
            async with database.connection() as tx:
                await people.write(tx, song.document_id, letters[2])
    async with database.connection() as tx:
        assert (await documents.load(tx, song.document_id)).tail == [letters[2]]
    assert (await content(database, song.document_id))[1] == {"t": "abc"}


async def test_of_two_compactions_at_once_one_does_the_work(
    database: Database, song: projects.Project
) -> None:
    async with database.connection() as tx:
        await people.write(tx, song.document_id, *people.letters("hello"))
    before = await content(database, song.document_id)
    done: list[compaction.Compaction | None] = []

    async def compact() -> None:
        done.append(await compaction.compact(database, song.document_id))

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(compact)
    assert [each.rows for each in done if each is not None] == [5]
    assert await content(database, song.document_id) == before
    assert await counts(database) == {"journal": 0, "snapshots": 1, "journal_segments": 1}


async def test_two_documents_are_compacted_at_the_same_time(database: Database) -> None:
    one, two = await people.song(database), await people.song(database, owner="ben")
    async with database.transaction() as holds:
        await holds.execute(compaction.LOCK, (compaction._LOCKS + one.document_id,))
        async with database.connection() as tx:
            for song in (one, two):
                await people.write(tx, song.document_id, *people.letters("hi"))
        assert await compaction.compact(database, one.document_id) is None
        assert await compaction.compact(database, two.document_id)


@pytest.mark.parametrize("flagged", [True, False])
async def test_what_waits_for_others_stays_in_the_journal(
    database: Database, song: projects.Project, flagged: bool
) -> None:
    """Also what was stored as applied, if what it needs is gone."""
    a, b, c, d = people.letters("abcd")
    async with database.connection() as tx:
        await people.write(tx, song.document_id, a)
        await people.write(tx, song.document_id, d, c, waiting=flagged)
    done = await compaction.compact(database, song.document_id)
    assert done is not None
    assert (done.rows, done.staying) == (1, 2)
    async with database.connection() as tx:
        loaded = await documents.load(tx, song.document_id)
        stayed = [row.payload for row in loaded.waiting] if flagged else loaded.tail
        assert stayed == [d, c]
        assert await compaction.compact(database, song.document_id) is None
        await people.write(tx, song.document_id, b)
    done = await compaction.compact(database, song.document_id)
    assert done is not None
    assert (done.rows, done.staying) == (3, 0)
    assert (await content(database, song.document_id))[1] == {"t": "abcd"}
    rows = await history(database, song.document_id)
    assert sorted(row.payload for row in rows) == sorted((a, b, c, d))


@pytest.mark.parametrize("flagged", [True, False])
async def test_what_cannot_be_applied_stays_and_the_rest_is_folded(
    database: Database, song: projects.Project, flagged: bool
) -> None:
    letters = people.letters("hello")
    async with database.connection() as tx:
        await people.write(tx, song.document_id, poison.HALF.groundwork)
        await people.write(tx, song.document_id, poison.HALF.update, waiting=flagged)
        await people.write(tx, song.document_id, *letters)
        before = await content(database, song.document_id)
        done = await compaction.compact(database, song.document_id)
        assert done is not None
        assert (done.rows, done.staying) == (6, 1)
        loaded = await documents.load(tx, song.document_id)
        stayed = [row.payload for row in loaded.waiting] if flagged else loaded.tail
        assert stayed == [poison.HALF.update]
    assert await content(database, song.document_id) == before


async def test_what_was_refused_is_left_where_it_is(
    database: Database, song: projects.Project
) -> None:
    letters = people.letters("hi")
    async with database.connection() as tx:
        await people.write(tx, song.document_id, poison.HALF.update, waiting=True)
        cursor = await tx.execute("SELECT seq FROM journal")
        ((seq,),) = await cursor.fetchall()
        await documents.refuse(tx, song.document_id, [seq], people.NOW)
        assert await compaction.compact(database, song.document_id) is None
        await people.write(tx, song.document_id, *letters)
        done = await compaction.compact(database, song.document_id)
        assert done is not None
        assert (done.rows, done.staying) == (2, 0)
        cursor = await tx.execute("SELECT seq, payload FROM journal")
        assert await cursor.fetchall() == [(seq, poison.HALF.update)]


@pytest.mark.parametrize(
    "moment",
    [
        "INSERT ON snapshots",
        "INSERT ON journal_segments",
        "DELETE ON journal",
        "DELETE ON snapshots",
    ],
)
async def test_a_compaction_that_fails_midway_changes_nothing(
    database: Database, song: projects.Project, moment: str
) -> None:
    letters = people.letters("hello")
    async with database.connection() as tx:
        await people.write(tx, song.document_id, *letters[:2])
        assert await compaction.compact(database, song.document_id)
        await people.write(tx, song.document_id, *letters[2:])
        before = await content(database, song.document_id)
        counted = await counts(database)
        await tx.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE 'the power is cut'; END $$"
        )
        await tx.execute(f"CREATE TRIGGER fail AFTER {moment} EXECUTE FUNCTION fail()".encode())
        with pytest.raises(psycopg.errors.RaiseException):
            await compaction.compact(database, song.document_id)
        assert await content(database, song.document_id) == before
        assert await counts(database) == counted
        await tx.execute("DROP FUNCTION fail CASCADE")
    done = await compaction.compact(database, song.document_id)
    assert done is not None
    assert done.rows == 3
    assert await content(database, song.document_id) == before


async def test_rows_that_somebody_else_took_away_stop_it(
    database: Database, song: projects.Project
) -> None:
    async with database.connection() as tx:
        await people.write(tx, song.document_id, *people.letters("hi"))
        # A row that cannot be deleted stands for one that is gone.
        await tx.execute(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
        )
        await tx.execute(
            "CREATE TRIGGER keep BEFORE DELETE ON journal FOR EACH ROW EXECUTE FUNCTION keep()"
        )
    with pytest.raises(RuntimeError, match="2 journal rows were read, 0 were there"):
        await compaction.compact(database, song.document_id)
    assert await counts(database) == {"journal": 2, "snapshots": 0, "journal_segments": 0}


async def test_what_cannot_be_read_is_left_alone(
    database: Database, song: projects.Project
) -> None:
    async with database.connection() as tx:
        await people.write(tx, song.document_id, *people.letters("hi"))
        assert await compaction.compact(database, song.document_id)
        damage = [b"no update"] * (loading.MOST_LEFT_OUT + 1)
        await people.write(tx, song.document_id, *damage)
        with pytest.raises(crdt.MalformedUpdate):
            await compaction.compact(database, song.document_id)
        await tx.execute("DELETE FROM journal")
        await people.write(tx, song.document_id, *people.letters("x", client=9))
        await tx.execute("UPDATE snapshots SET state = 'no zstd'")
        with pytest.raises(SnapshotDamaged):
            await compaction.compact(database, song.document_id)
    assert await counts(database) == {"journal": 1, "snapshots": 1, "journal_segments": 1}


async def test_a_large_document_is_folded_in_a_process_of_its_own(
    database: Database, song: projects.Project
) -> None:
    random = Random(3)
    large: Doc[Any] = Doc(client_id=77)
    blob = random.randbytes(compaction.ASIDE_BYTES)
    update = b"\x01\x01\x4d\x00\x03\x01\x01a\x80\x80\x10" + blob + b"\x00"
    large.apply_update(update)
    assert len(large.get_update()) >= compaction.ASIDE_BYTES
    async with database.connection() as tx:
        await people.write(tx, song.document_id, update)
        before = await content(database, song.document_id)
        assert await compaction.compact(database, song.document_id)
        assert await content(database, song.document_id) == before
        # And what goes wrong there comes back as what it is.
        await people.write(tx, song.document_id, *[b"no update"] * (loading.MOST_LEFT_OUT + 1))
        with pytest.raises(crdt.MalformedUpdate):
            await compaction.compact(database, song.document_id)


async def test_a_snapshot_carries_its_checksum_and_epoch(
    database: Database, song: projects.Project
) -> None:
    async with database.connection() as tx:
        await tx.execute("UPDATE documents SET epoch = 5")
        await people.write(tx, song.document_id, *people.letters("hi"))
        assert await compaction.compact(database, song.document_id)
        cursor = await tx.execute("SELECT epoch, state, state_bytes, sha256 FROM snapshots")
        (epoch, state, size, sha256) = (await cursor.fetchall())[0]
    assert epoch == 5
    assert crdt.to_json(snapshots.unpack(state, size, sha256)) == {"t": "hi"}


@pytest.mark.parametrize("seed", range(6))
async def test_compacting_now_and_then_changes_nothing_that_can_be_seen(
    database: Database, song: projects.Project, seed: int
) -> None:
    updates, everything = writers.session(seed, writers=3, steps=50)
    arriving = [update.data for update in updates]
    if seed % 2:
        Random(seed).shuffle(arriving)
    known = waiting.Clocks(b"\x00")
    for at, update in enumerate(arriving):
        # As a room stores it: what is ready as applied, the whole flagged if something waits.
        part, whole = waiting.ready(update, crdt.read(update), known)
        async with database.connection() as tx:
            await people.write(tx, song.document_id, update if whole else part)
            if not whole:
                await people.write(tx, song.document_id, update, waiting=True)
        if at % 9 == 8:
            before = await content(database, song.document_id)
            await compaction.compact(database, song.document_id)
            assert await content(database, song.document_id) == before
    clocks, found = await content(database, song.document_id)
    assert clocks == writers.clocks(everything)
    assert found == crdt.to_json(everything.get_update())
    rows = await history(database, song.document_id)
    assert set(arriving) <= {row.payload for row in rows}
    await compaction.compact(database, song.document_id)
    assert (await counts(database))["journal"] == 0
