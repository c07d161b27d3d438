"""Branches in the database: what they begin with, how far they are apart, what nobody may do to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import anyio
import psycopg
import pytest

from docstore import compaction, crdt, documents
from docstore.history import archive, branches, branching, commits, content, past, squash
from docstore.history.errors import (
    BranchesFull,
    BranchNotFound,
    BranchProtected,
    BranchStays,
    BranchTaken,
    BranchUnmerged,
)
from tests.integration.docstore import histories, people
from tests.integration.docstore.histories import NOW, Song

if TYPE_CHECKING:
    from base.db import Database
    from docstore.history.branches import Branch
    from docstore.projects import Project


async def branched(
    database: Database, project: Project, state: bytes, name: str = "side", of: str = "main"
) -> Branch:
    """A branch of another one that says `state` now."""
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        source = await branching.of_live(tx, await branches.get(tx, project.id, of), state)
        return await branching.create(
            tx, project.id, name=name, source=source, created_by=project.owner_id, now=NOW
        )


async def test_a_branch_begins_with_the_operations_of_what_it_came_from(
    database: Database,
) -> None:
    project = await people.song(database)
    song = Song().stem("a")
    made = await branched(database, project, song.state)
    assert (made.name, made.created_by, made.protected) == ("side", project.owner_id, False)
    assert (made.origin_id, made.origin_commit) == (project.document_id, None)
    async with database.connection() as tx:
        loaded = await documents.load(tx, made.document_id)
        stored = await past.load(tx, made)
    assert loaded.snapshot == stored.base == song.state
    assert loaded.epoch == project.epoch
    assert stored.rows == []
    # What is merged back doubles nothing.
    side = Song(loaded.snapshot).stem("b")
    song.doc.apply_update(side.state)
    assert content.read(song.state) == content.read(side.state)


async def test_a_branchs_tail_is_folded_into_what_it_began_with(database: Database) -> None:
    project = await people.song(database)
    song = Song().stem("a")
    made = await branched(database, project, song.state)
    before = song.doc.get_state()
    update = song.stem("b").doc.get_update(before)
    async with database.transaction() as tx:
        await people.write(tx, made.document_id, update)
    assert await compaction.compact(database, made.document_id) is not None
    async with database.connection() as tx:
        loaded = await documents.load(tx, made.document_id)
        stored = await past.load(tx, made)
    assert loaded.snapshot is not None
    assert content.read(loaded.snapshot) == content.read(song.state)
    assert [row.payload for row in stored.rows] == [update]
    assert stored.base is not None, "history begins where the branch does"
    then = await past.state_at(database, made, NOW)
    assert content.read(then) == content.read(song.state)


async def test_where_a_branch_comes_from_is_a_commit_only_if_it_says_the_same(
    database: Database,
) -> None:
    project = await people.song(database)
    song = Song().stem("a")
    commit = await histories.commit(database, project, song.state)
    made = await branched(database, project, song.state, "same")
    assert (made.head, made.origin_commit) == (commit.id, commit.id)
    made = await branched(database, project, song.stem("b").state, "edited")
    assert (made.head, made.origin_commit) == (commit.id, None)
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        source = await branching.of_commit(tx, commit)
        made = await branching.create(
            tx, project.id, name="old", source=source, created_by=project.owner_id, now=NOW
        )
    assert (made.head, made.origin_commit, made.origin_id) == (commit.id, commit.id, None)


async def test_a_branch_from_before_a_squash_says_what_was_and_is_of_a_lineage_of_its_own(
    database: Database,
) -> None:
    project = await people.song(database)
    song = Song().stem("a").stem("b")
    before = song.doc.get_update()
    async with database.transaction() as tx:
        await people.write(tx, project.document_id, before)
    commit = await histories.commit(database, project, before)
    song.stem("b", "Lead").stem("c")
    async with database.transaction() as tx:
        await people.write(tx, project.document_id, song.state)
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        await squash.squash(
            tx,
            project.id,
            await branches.listing(tx, project.id),
            author=project.owner_id,
            message="before the squash",
            now=NOW,
        )
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        made = await branching.create(
            tx,
            project.id,
            name="back",
            source=await branching.of_commit(tx, commit),
            created_by=project.owner_id,
            now=NOW,
        )
    async with database.connection() as tx:
        main = (await documents.load(tx, project.document_id)).snapshot
        side = (await documents.load(tx, made.document_id)).snapshot
    assert main is not None
    assert side is not None
    assert content.read(side) == content.read(before)
    assert made.epoch == project.epoch + 1
    # Nothing of it is main's, and nothing of it was ever main's and deleted.
    vectors = [crdt.decode_state_vector(Song(each).doc.get_state()) for each in (main, side)]
    assert not vectors[0].keys() & vectors[1].keys()
    again = Song(side).doc
    assert again.get_update(again.get_state()) == crdt.NOTHING
    assert made.lineage == 3
    # One of that, while it is there, shares its operations.
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        source = await branching.of_live(tx, made, side)
    assert (source.state, source.lineage) == (side, 3)


async def test_a_branch_from_a_commit_since_the_squash_shares_its_operations(
    database: Database,
) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        await people.write(tx, project.document_id, Song().stem("a").state)
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        await squash.squash(
            tx,
            project.id,
            await branches.listing(tx, project.id),
            author=project.owner_id,
            message="before the squash",
            now=NOW,
        )
    async with database.connection() as tx:
        main = (await documents.load(tx, project.document_id)).snapshot
    assert main is not None
    commit = await histories.commit(database, project, Song(main).stem("b").state)
    async with database.transaction() as tx:
        await archive.lock(tx, project.id)
        source = await branching.of_commit(tx, commit)
    assert source.lineage == 2
    assert (
        crdt.decode_state_vector(Song(source.state).doc.get_state()).keys()
        > crdt.decode_state_vector(Song(main).doc.get_state()).keys()
    )


async def test_states_are_kept_once_however_many_branches_begin_with_them(
    database: Database,
) -> None:
    project = await people.song(database)
    state = histories.large(50).state
    kept = {(await branched(database, project, state, f"b{n}")).base_state_id for n in range(5)}
    assert len(kept) == 1


async def test_of_many_that_make_the_same_branch_one_does(database: Database) -> None:
    project = await people.song(database)
    state = Song().stem("a").state
    taken: list[BranchTaken] = []

    async def make() -> None:
        try:
            await branched(database, project, state)
        except BranchTaken as refusal:
            taken.append(refusal)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(make)
    assert len(taken) == 4
    async with database.connection() as tx:
        assert [each.name for each in await branches.listing(tx, project.id)] == ["main", "side"]


async def test_a_name_that_was_given_back_is_another_branch(database: Database) -> None:
    project = await people.song(database)
    state = Song().stem("a").state
    first = await branched(database, project, state)
    async with database.transaction() as tx:
        await branching.delete(tx, first, NOW)
    async with database.connection() as tx:
        with pytest.raises(BranchNotFound):
            await branches.get(tx, project.id, "side")
        assert (await documents.load(tx, first.document_id)).snapshot == state, "it is kept"
    second = await branched(database, project, state)
    assert second.document_id != first.document_id


async def test_main_and_protected_branches_are_not_deleted(database: Database) -> None:
    project = await people.song(database)
    side = await branched(database, project, Song().state)
    async with database.transaction() as tx:
        main = await branches.get(tx, project.id, "main")
        with pytest.raises(BranchStays):
            await branching.delete(tx, main, NOW)
        with pytest.raises(BranchStays):
            await branching.rename(tx, main, "other")
        side = await branching.protect(tx, side, protected=True)
        with pytest.raises(BranchProtected):
            await branching.delete(tx, side, NOW)
        with pytest.raises(BranchTaken):
            await branching.rename(tx, side, "main")


async def test_an_empty_branch_of_an_empty_project_holds_nothing(database: Database) -> None:
    project = await people.song(database)
    side = await branched(database, project, Song().state)
    async with database.connection() as tx:
        await branching.check_merged(tx, side, Song().state)
        with pytest.raises(BranchUnmerged):
            await branching.check_merged(tx, side, Song().stem("a").state)


async def test_a_branch_too_many_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branching, "MOST", 3)
    project = await people.song(database)
    for name in ("one", "two"):
        await branched(database, project, Song().state, name)
    with pytest.raises(BranchesFull):
        await branched(database, project, Song().state, "three")
    other = await people.song(database, owner="ben")
    await branched(database, other, Song().state, "three")


async def test_branches_are_counted_from_main(database: Database) -> None:
    project = await people.song(database)
    song = Song().stem("a")
    await histories.commit(database, project, song.state)
    side = await branched(database, project, song.state)
    for number in range(2):
        await commits.make(
            database,
            project_id=project.id,
            document_id=side.document_id,
            branch="side",
            state=Song(song.state).stem(f"s{number}").state,
            author=project.owner_id,
            message="aside",
            now=NOW,
        )
    await histories.commit(database, project, song.stem("b").state)
    async with database.connection() as tx:
        lines = await branches.listing(tx, project.id)
        assert await branching.beside(tx, project.id, lines, lines[0]) == [(0, 0), (2, 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE documents SET deleted_at = now()",
        "UPDATE documents SET branch = 'mine'",
        "UPDATE documents SET base_state_id = NULL",
        "DELETE FROM documents",
        "SELECT * FROM squashes",
        "SELECT * FROM snapshots",
    ],
)
async def test_nobody_changes_branches_past_the_server_not_even_the_owner(
    database: Database, statement: LiteralString
) -> None:
    project = await people.song(database)
    await branched(database, project, Song().stem("a").state)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.acting(project.owner_id) as tx:
            await tx.execute(statement)


async def test_members_see_branches_and_strangers_none(database: Database) -> None:
    project = await people.song(database)
    await branched(database, project, Song().state)
    async with database.transaction() as tx:
        stranger = await people.person(tx, "sam")
    async with database.acting(project.owner_id) as tx:
        assert len(await branches.listing(tx, project.id)) == 2
    async with database.acting(None, link_to=project.id) as tx:
        assert (await branches.get(tx, project.id, "side")).name == "side"
    for user in (stranger, None):
        async with database.acting(user) as tx:
            assert await branches.listing(tx, project.id) == []
            with pytest.raises(BranchNotFound):
                await branches.get(tx, project.id, "side")
