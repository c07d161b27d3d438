"""Commits on a real database: of one state each, in order, however many are made at once."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import psycopg
import pytest

from base import ids
from docstore.errors import SnapshotDamaged
from docstore.history import commits, content
from docstore.history.errors import BranchNotFound, CommitNotFound, NothingToCommit
from tests.integration.docstore import histories, people
from tests.integration.docstore.histories import NOW, Song

if TYPE_CHECKING:
    from base.db import Database


async def test_a_commit_keeps_the_state_and_says_what_changed(database: Database) -> None:
    project = await people.song(database)
    song = Song().stem("a")
    first = await histories.commit(database, project, song.state, message="begun")
    song.stem("b", "Drums").stem("c", "Keys")
    second = await histories.commit(database, project, song.state, message="more")
    assert (first.parents, second.parents) == ([], [first.id])
    assert first.content_sha256 == content.digest(content.read(Song().stem("a").state))
    assert second.changes["summary"] == "2 stems added"
    assert second.changes["counts"] == [
        {"kind": "added", "type": "stem", "noun": "stems", "number": 2}
    ]
    async with database.transaction() as tx:
        for made, stems in ((first, 1), (second, 3)):
            assert await commits.get(tx, project.id, made.id) == made
            state = await commits.state_of(tx, made)
            assert content.digest(content.read(state)) == made.content_sha256
            assert len(Song(state).stems) == stems
        assert await commits.head(tx, project.id, "main") == second


async def test_what_says_the_same_is_not_committed_again(database: Database) -> None:
    project = await people.song(database)
    song = Song().stem("a")
    first = await histories.commit(database, project, song.state)
    with pytest.raises(NothingToCommit):
        await histories.commit(database, project, song.state)
    before = song.state
    song.stem("b")
    del song.stems["b"]
    assert song.state != before
    with pytest.raises(NothingToCommit):
        await histories.commit(database, project, song.state)
    async with database.transaction() as tx:
        assert await commits.log(tx, project.id, limit=9) == ([first], None)
        assert await commits.head(tx, project.id, "main") == first
    # What was before may be again: only the head counts.
    await histories.commit(database, project, Song(song.state).stem("b").state)
    again = await histories.commit(database, project, song.state)
    assert again.content_sha256 == first.content_sha256


async def test_an_empty_document_can_be_committed(database: Database) -> None:
    project = await people.song(database)
    made = await histories.commit(database, project, b"\0\0")
    assert made.changes == {"summary": "nothing changed", "counts": []}


async def test_commits_made_at_once_follow_one_another(database: Database) -> None:
    project = await people.song(database)
    made: list[commits.Commit] = []
    refused: list[NothingToCommit] = []
    song = Song()

    async def snapshot() -> bytes:
        """What the room says at the moment at which it is asked."""
        if len(made) % 2 == 0:
            song.stem(str(len(made)))
        return song.state

    async def one() -> None:
        try:
            made.append(await histories.commit(database, project, snapshot))
        except NothingToCommit as nothing:
            refused.append(nothing)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(one)
    assert made
    assert len(made) + len(refused) == 8
    async with database.connection() as tx:
        told, _ = await commits.log(tx, project.id, branch="main", limit=20)
    assert [each.id for each in told] == sorted((each.id for each in made), reverse=True)
    for newer, older in pairwise(told):
        assert newer.parents == [older.id]
        assert newer.content_sha256 != older.content_sha256


async def test_a_commit_is_asked_for_its_state_only_when_its_turn_has_come(
    database: Database,
) -> None:
    """A state taken too early would take back what the commit in between has."""
    project = await people.song(database)
    there: list[int] = []
    song = Song().stem("a")

    async def snapshot(name: str) -> bytes:
        async with database.connection() as tx:
            there.append(len((await commits.log(tx, project.id, limit=9))[0]))
        return song.stem(name).state

    async def one(name: str) -> None:
        await histories.commit(database, project, lambda: snapshot(name))

    async with anyio.create_task_group() as group:
        for name in "xyz":
            group.start_soon(one, name)
    assert there == [0, 1, 2]


async def test_a_commit_that_fails_midway_leaves_everything_as_it_was(database: Database) -> None:
    project = await people.song(database)
    first = await histories.commit(database, project, Song().stem("a").state)
    async with database.transaction() as tx:
        await tx.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE 'the power is cut'; END $$"
        )
        await tx.execute("CREATE TRIGGER fail BEFORE UPDATE ON documents EXECUTE FUNCTION fail()")
    with pytest.raises(psycopg.errors.RaiseException):
        await histories.commit(database, project, Song().stem("b").state)
    async with database.connection() as tx:
        assert await commits.log(tx, project.id, limit=9) == ([first], None)
        cursor = await tx.execute("SELECT count(*) FROM states")
        assert await cursor.fetchall() == [(1,)]
        await tx.execute("DROP FUNCTION fail CASCADE")
    second = await histories.commit(database, project, Song().stem("b").state)
    assert second.parents == [first.id]


async def test_another_document_or_branch_takes_no_commit(database: Database) -> None:
    mine, theirs = await people.song(database), await people.song(database, owner="ben")
    state = Song().stem("a").state
    for project_id, document_id, branch in (
        (mine.id, theirs.document_id, "main"),
        (mine.id, mine.document_id, "other"),
    ):
        with pytest.raises(BranchNotFound):
            await commits.make(
                database,
                project_id=project_id,
                document_id=document_id,
                branch=branch,
                state=state,
                author=mine.owner_id,
                message="x",
                now=NOW,
            )


async def test_unknown_and_foreign_commits_are_not_found(database: Database) -> None:
    mine, theirs = await people.song(database), await people.song(database, owner="ben")
    made = await histories.commit(database, theirs, Song().stem("a").state)
    async with database.connection() as tx:
        for wanted in (made.id, ids.new_id()):
            with pytest.raises(CommitNotFound):
                await commits.get(tx, mine.id, wanted)
        with pytest.raises(SnapshotDamaged):
            await commits.state_of(tx, made._replace(project_id=mine.id))
        with pytest.raises(BranchNotFound):
            await commits.head(tx, mine.id, "other")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE commits SET message = 'otherwise'",
        "UPDATE commits SET created_at = created_at - interval '1 day'",
        "UPDATE commit_parents SET position = 5",
    ],
)
async def test_nobody_changes_a_commit(database: Database, statement: str) -> None:
    project = await people.song(database)
    song = Song()
    for name in "ab":
        await histories.commit(database, project, song.stem(name).state)
    async with database.connection() as tx:
        with pytest.raises(psycopg.errors.RestrictViolation, match="cannot be changed"):
            await tx.execute(statement.encode())


async def test_a_commit_descends_only_from_older_ones_of_its_own_project(
    database: Database,
) -> None:
    mine, theirs = await people.song(database), await people.song(database, owner="ben")
    one = await histories.commit(database, mine, Song().stem("a").state)
    other = await histories.commit(database, theirs, Song().stem("b").state)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        async with database.transaction() as tx:
            await histories.join(tx, [one, other])
    with pytest.raises(psycopg.errors.CheckViolation):
        async with database.transaction() as tx:
            await commits.insert(tx, one._replace(id=ids.new_id(), parents=[ids.new_id()]))


async def test_ids_follow_their_parents_when_a_clock_was_ahead() -> None:
    ahead = type(ids.new_id())(int=ids.new_id().int + (3_600_000 << 80))
    after = commits.younger_than([ids.new_id(), ahead])
    assert after > ahead
    assert (after.version, after.variant) == (7, ahead.variant)


async def test_a_project_that_goes_takes_its_history_along(database: Database) -> None:
    project = await people.song(database)
    song = Song()
    await histories.commit(database, project, song.stem("a").state)
    made = await histories.commit(database, project, song.stem("b").state)
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO tags VALUES (%s, 'v1', %s, %s, now())",
            (project.id, made.id, project.owner_id),
        )
        await tx.execute("DELETE FROM projects")
    async with database.connection() as tx:
        for table in ("commits", "commit_parents", "tags", "states", "documents"):
            cursor = await tx.execute(f"SELECT count(*) FROM {table}".encode())
            assert await cursor.fetchall() == [(0,)], table


async def test_what_a_document_calls_things_cannot_break_a_commit(database: Database) -> None:
    """An attacker names a stem what PostgreSQL cannot keep, what steers terminals, or a novel."""
    project = await people.song(database)
    song = Song()
    for at, name in enumerate(("a\0b", "\x1b[2J", "\u202etxt", "x" * 300_000, "")):
        song.stem(str(at), name).segment(str(at), of=str(at), name=name)
    made = await histories.commit(database, project, song.state, now=NOW + timedelta(days=1))
    async with database.connection() as tx:
        assert await commits.get(tx, project.id, made.id) == made
    assert len(str(made.changes)) < 10_000
    assert str(made.changes).isprintable()
