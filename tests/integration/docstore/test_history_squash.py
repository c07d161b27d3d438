"""A squash: what is said stays, who wrote it goes; all of it or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pycrdt import Doc

from docstore import compaction, crdt, documents, seeding
from docstore.history import archive, branches, commits, content, lineage, squash, verify, work
from tests.integration.docstore import people
from tests.integration.docstore.histories import NOW, Song, commit, large

if TYPE_CHECKING:
    from base.db import Database
    from docstore.history.squash import Squashed
    from docstore.projects import Project


async def squashed(database: Database, project: Project) -> Squashed:
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        return await squash.squash(
            tx,
            project.id,
            await branches.listing(tx, project.id),
            author=project.owner_id,
            message="before",
            now=NOW,
        )


async def state(database: Database, document_id: int) -> bytes:
    async with database.connection() as tx:
        loaded = await documents.load(tx, document_id)
    doc: Doc[Any] = Doc()
    for update in (loaded.snapshot, *loaded.tail):
        if update is not None:
            doc.apply_update(update)
    return doc.get_update()


async def findings(database: Database) -> list[verify.Finding]:
    return [told async for told in verify.verify(database) if isinstance(told, verify.Finding)]


async def branch(database: Database, project: Project, name: str, *updates: bytes) -> int:
    async with database.transaction() as tx:
        made = await tx.execute(
            "INSERT INTO documents (project_id, branch, created_at) VALUES (%s, %s, %s)"
            " RETURNING id",
            (project.id, name, NOW),
        )
        ((document_id,),) = await made.fetchall()
        await people.write(tx, document_id, *updates)
    return document_id


@pytest.fixture
async def song(database: Database) -> Project:
    """A stem that was changed forty times, folded in between; committed once."""
    project = await people.song(database)
    story = Song(large(100).state)
    async with database.connection() as tx:
        await people.write(tx, project.document_id, story.state)
    for number in range(40):
        before = story.doc.get_state()
        story.stem("bass", volume=number)
        async with database.connection() as tx:
            await people.write(tx, project.document_id, story.doc.get_update(before))
        if number == 20:
            assert await compaction.compact(database, project.document_id)
            await commit(database, project, story.state)
    return project


async def test_the_content_stays_and_the_rest_goes(database: Database, song: Project) -> None:
    old = await state(database, song.document_id)
    done = await squashed(database, song)
    new = await state(database, song.document_id)
    assert content.read(new) == content.read(old)
    assert (done.lineage, done.branches) == (2, 1)
    assert done.bytes_after < done.bytes_before
    async with database.connection() as tx:
        found = await branches.get(tx, song.id, "main")
        retired = await lineage.retired(tx, song.document_id)
        assert found.epoch == 2
        assert found.base_state_id is not None
        assert _said(await archive.get(tx, song.id, found.base_state_id)) == _said(new)
        log, _ = await commits.log(tx, song.id, limit=10)
        # What was not committed is, with all who wrote it; what was committed is as it was.
        assert [each.message for each in log] == ["before", "so far"]
        assert _said(await commits.state_of(tx, log[0])) == _said(old)
    clients = [set(crdt.decode_state_vector(_vector(each))) for each in (old, new)]
    assert clients[0] == retired
    assert len(clients[1]) == 1
    assert not clients[0] & clients[1]
    assert await findings(database) == []


def _said(update: bytes) -> tuple[dict[int, int], content.Content]:
    """By whom, and what: yrs orders bytes anew each time."""
    return crdt.decode_state_vector(_vector(update)), content.read(update)


def _vector(update: bytes) -> bytes:
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return doc.get_state()


def _deleted(update: bytes) -> bytes:
    """All deletions, as an update."""
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return doc.get_update(doc.get_state())


async def test_branches_share_no_operations_and_each_has_a_lineage(
    database: Database, song: Project
) -> None:
    old = await state(database, song.document_id)
    theirs = Song(old).stem("lead", name="Lead")
    side = await branch(database, song, "side", theirs.state)
    done = await squashed(database, song)
    assert (done.branches, done.lineage) == (2, 2)
    main, new = await state(database, song.document_id), await state(database, side)
    assert content.read(new) == content.read(theirs.state)
    clients = [crdt.decode_state_vector(_vector(each)).keys() for each in (main, new)]
    assert not clients[0] & clients[1]
    # What one never had, it has not deleted.
    assert [_deleted(each) for each in (main, new)] == [b"\0\0"] * 2
    async with database.connection() as tx:
        lines = await branches.listing(tx, song.id)
    assert [each.lineage for each in lines] == [2, 3]
    assert await findings(database) == []
    again = await squashed(database, song)
    async with database.connection() as tx:
        lines = await branches.listing(tx, song.id)
    assert (again.lineage, [each.lineage for each in lines]) == (4, [4, 5])
    assert await findings(database) == []


async def test_what_was_before_is_said_again_in_a_lineage_of_its_own(
    database: Database, song: Project
) -> None:
    old = await state(database, song.document_id)
    async with database.transaction() as tx:
        assert await lineage.usable(tx, song.id, old, 1) == (old, 1)
    await squashed(database, song)
    main = await state(database, song.document_id)
    async with database.transaction() as tx:
        found = await lineage.usable(tx, song.id, old, 1)
        assert await lineage.usable(tx, song.id, main, 2) == (main, 2)
        retired = await lineage.retired(tx, song.document_id)
    assert found.lineage == 3
    assert content.read(found.state) == content.read(old)
    assert retired is not None
    assert not crdt.decode_state_vector(_vector(found.state)).keys() & retired


async def test_what_waited_is_given_up_and_its_writer_recognised(
    database: Database, song: Project
) -> None:
    a, _, c, _ = people.letters("abcd", client=77)
    async with database.connection() as tx:
        await people.write(tx, song.document_id, a)
        await people.write(tx, song.document_id, c, waiting=True)
        await people.write(tx, song.document_id, people.letters("ab", client=78)[1], waiting=True)
    await squashed(database, song)
    async with database.connection() as tx:
        retired = await lineage.retired(tx, song.document_id)
    assert retired is not None
    assert {77, 78} <= retired
    assert await findings(database) == []


async def test_writers_of_branches_that_are_gone_are_recognised(
    database: Database, song: Project
) -> None:
    gone = await branch(database, song, "gone", *people.letters("ab", client=99))
    async with database.connection() as tx:
        await tx.execute("UPDATE documents SET deleted_at = now() WHERE id = %s", (gone,))
    await squashed(database, song)
    async with database.connection() as tx:
        assert 99 in (await lineage.retired(tx, song.document_id) or ())
        assert await lineage.retired(tx, gone)


async def test_half_a_squash_is_none(
    database: Database, song: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = await branch(database, song, "side", *people.letters("side"))
    old = [_said(await state(database, each)) for each in (song.document_id, side)]
    calls = 0
    replace = squash._replace

    async def fail(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionError
        await replace(*args)

    monkeypatch.setattr(squash, "_replace", fail)
    with pytest.raises(ConnectionError):
        await squashed(database, song)
    assert [_said(await state(database, each)) for each in (song.document_id, side)] == old
    async with database.connection() as tx:
        assert await lineage.retired(tx, side) is None
        assert [each.epoch for each in await branches.listing(tx, song.id)] == [1, 1]
    assert await findings(database) == []


async def test_an_empty_project_can_be_squashed_again_and_again(database: Database) -> None:
    project = await people.song(database)
    for number in (2, 3):
        assert (await squashed(database, project)).lineage == number
    assert await findings(database) == []
    assert content.read(await state(database, project.document_id)) == {}


async def test_the_seed_of_a_project_says_what_it_said(database: Database) -> None:
    project = await people.song(database, kind="studio")
    seed = seeding.seed("studio", "Song")
    assert seed is not None
    await squashed(database, project)
    assert content.read(await state(database, project.document_id)) == content.read(seed)
    assert await work.digest(seed) == await work.digest(await state(database, project.document_id))


async def test_no_compaction_brings_the_old_back(database: Database, song: Project) -> None:
    """One that read before the squash finds its rows gone, and changes nothing."""
    async with database.transaction() as tx:
        await archive.lock(tx, song.id)
        lines = await branches.listing(tx, song.id)
        await squash.squash(tx, song.id, lines, author=song.owner_id, message="before", now=NOW)
        # It may not begin while the squash is under way.
        assert await compaction.compact(database, song.document_id) is None
    assert await compaction.compact(database, song.document_id) is None
    assert await findings(database) == []
