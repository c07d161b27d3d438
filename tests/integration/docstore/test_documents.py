"""Loading a document: snapshot and tail of one instant."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from docstore import compaction, documents, projects
from docstore.errors import DocumentNotFound, SnapshotDamaged
from tests.integration.docstore import people
from tests.integration.docstore.people import NOW

if TYPE_CHECKING:
    from base.db import Database


async def test_a_new_document_is_empty(database: Database) -> None:
    project = await people.song(database)
    async with database.connection() as tx:
        loaded = await documents.load(tx, project.document_id)
    assert loaded == (project.document_id, 1, None, [], [], 0)


async def test_the_tail_comes_in_order_and_without_other_documents(database: Database) -> None:
    mine, theirs = await people.song(database), await people.song(database, owner="ben")
    letters = people.letters("hello")
    async with database.transaction() as tx:
        for letter in letters:
            await people.write(tx, mine.document_id, letter)
            await people.write(tx, theirs.document_id, b"\x00\x00")
        loaded = await documents.load(tx, mine.document_id)
    assert loaded.tail == letters
    assert loaded.waiting == []
    assert loaded.stored_bytes == sum(map(len, letters))


async def test_rows_that_wait_come_apart_from_the_tail(database: Database) -> None:
    project = await people.song(database)
    a, b, c, d = people.letters("abcd")
    async with database.transaction() as tx:
        await people.write(tx, project.document_id, d, waiting=True, author=project.owner_id)
        await people.write(tx, project.document_id, a)
        await people.write(tx, project.document_id, c, waiting=True)
        await people.write(tx, project.document_id, b)
        loaded = await documents.load(tx, project.document_id)
    assert loaded.tail == [a, b]
    assert [row[1:] for row in loaded.waiting] == [(project.owner_id, d), (None, c)]
    first, second = (row.seq for row in loaded.waiting)
    assert first < second
    assert loaded.stored_bytes == sum(map(len, (a, b, c, d)))


async def test_what_is_refused_is_loaded_no_more_and_stays_stored(database: Database) -> None:
    project = await people.song(database)
    a, _, c, d = people.letters("abcd")
    async with database.transaction() as tx:
        await people.write(tx, project.document_id, a)
        await people.write(tx, project.document_id, c, d, waiting=True)
        loaded = await documents.load(tx, project.document_id)
        first, second = (row.seq for row in loaded.waiting)
        await documents.refuse(tx, project.document_id, [first], NOW)
        await documents.refuse(tx, project.document_id + 1, [second], NOW)  # not its row
        loaded = await documents.load(tx, project.document_id)
        assert loaded.tail == [a]
        assert [row.payload for row in loaded.waiting] == [d]
        assert loaded.stored_bytes == len(a) + len(d)
        cursor = await tx.execute("SELECT payload, refused_at FROM journal ORDER BY seq")
        assert await cursor.fetchall() == [(a, None), (c, NOW), (d, None)]


async def test_a_snapshot_comes_with_what_was_written_since(database: Database) -> None:
    project = await people.song(database)
    *first, last = people.letters("hello")
    async with database.connection() as tx:
        await people.write(tx, project.document_id, *first)
    assert await compaction.compact(database, project.document_id)
    async with database.connection() as tx:
        await people.write(tx, project.document_id, last)
        loaded = await documents.load(tx, project.document_id)
    assert loaded.snapshot is not None
    assert loaded.tail == [last]


async def test_a_state_of_ten_megabytes_is_loaded_whole(database: Database) -> None:
    project = await people.song(database)
    size = 10 * 1024 * 1024
    # An update with one struct: that many bytes, of no pattern, in the array `a`.
    content = Random(5).randbytes(size)
    update = b"\x01\x01\x07\x00\x03\x01\x01a\x80\x80\x80\x05" + content + b"\x00"
    async with database.connection() as tx:
        await people.write(tx, project.document_id, update)
        loaded = await documents.load(tx, project.document_id)
    assert loaded.tail == [update]
    done = await compaction.compact(database, project.document_id)
    assert done is not None
    assert done.bytes_after == len(update)
    async with database.connection() as tx:
        loaded = await documents.load(tx, project.document_id)
    assert loaded.snapshot == update
    assert loaded.tail == []


async def test_a_document_that_there_is_not_is_an_error(database: Database) -> None:
    async with database.connection() as tx:
        with pytest.raises(DocumentNotFound) as caught:
            await documents.load(tx, 999)
        assert caught.value.data == {"document_id": 999}
        # A row whose document is gone makes no document.
        await people.write(tx, 999, b"\x00\x00")
        with pytest.raises(DocumentNotFound):
            await documents.load(tx, 999)


async def test_a_damaged_snapshot_is_noticed(database: Database) -> None:
    project = await people.song(database, "studio")
    assert await compaction.compact(database, project.document_id)
    async with database.connection() as tx:
        await tx.execute("UPDATE snapshots SET sha256 = 'wrong'")
        with pytest.raises(SnapshotDamaged):
            await documents.load(tx, project.document_id)


async def test_the_project_of_a_document_is_known_until_it_is_deleted(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        assert await documents.project_of(tx, project.document_id) == project.id
        await projects.delete(tx, project.id, NOW)
        for document_id in (project.document_id, 999):
            with pytest.raises(DocumentNotFound):
                await documents.project_of(tx, document_id)
