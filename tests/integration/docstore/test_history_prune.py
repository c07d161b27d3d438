"""Giving up the past: what comes after the moment, and now, stays what it was."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from pycrdt import Doc

from docstore import compaction, documents
from docstore.history import branches, commits, content, past, prune, verify
from docstore.history.errors import BranchNotFound, TooLongAgo
from tests.integration.docstore import people
from tests.integration.docstore.histories import NOW, commit
from tests.unit.docstore import writers

if TYPE_CHECKING:
    from datetime import datetime

    from base.db import Database
    from docstore.projects import Project

MINUTE = timedelta(minutes=1)


async def allowed() -> None:
    """Yes."""


async def put(database: Database, project: Project, at: int, update: bytes, **flags: bool) -> None:
    async with database.connection() as tx:
        await tx.execute(
            "INSERT INTO journal (document_id, author, payload, created_at, waiting)"
            " VALUES (%s, %s, %s, %s, %s)",
            (
                project.document_id,
                project.owner_id,
                update,
                NOW + at * MINUTE,
                flags.get("waiting", False),
            ),
        )


async def at(database: Database, project: Project, moment: datetime) -> content.Content:
    async with database.connection() as tx:
        found = await branches.get(tx, project.id, "main")
    return content.read(await past.state_at(database, found, moment))


async def present(database: Database, project: Project) -> tuple[bytes, content.Content]:
    async with database.connection() as tx:
        loaded = await documents.load(tx, project.document_id)
    doc: Doc[Any] = Doc()
    for update in (loaded.snapshot, *loaded.tail):
        if update is not None:
            doc.apply_update(update)
    return doc.get_state(), content.read_doc(doc)


async def findings(database: Database) -> list[verify.Finding]:
    return [told async for told in verify.verify(database) if isinstance(told, verify.Finding)]


@pytest.fixture
async def song(database: Database) -> Project:
    """A letter a minute for half an hour, folded after minutes 9 and 19."""
    project = await people.song(database)
    for minute, letter in enumerate(people.letters("abcdefghijklmnopqrstuvwxyz0123")):
        await put(database, project, minute, letter)
        if minute in (9, 19):
            assert await compaction.compact(database, project.document_id)
    return project


@pytest.mark.parametrize("minutes", [0, 5, 9, 10, 14, 20, 25, 29, 30])
async def test_what_comes_after_stays(database: Database, song: Project, minutes: int) -> None:
    before = NOW + minutes * MINUTE
    moments = [before + part * MINUTE for part in (0, 0.5, 1, 7, 30)]
    told = [await at(database, song, moment) for moment in moments]
    now = await present(database, song)
    done = await prune.prune(database, song.id, "main", before, allowed=allowed)
    assert done.begins == before
    assert done.rows == min(minutes + 1, 30)
    assert done.bytes > 0
    assert [await at(database, song, moment) for moment in moments] == told
    with pytest.raises(TooLongAgo):
        await at(database, song, before - MINUTE / 60)
    assert await present(database, song) == now
    assert await findings(database) == []
    async with database.connection() as tx:
        found = await branches.get(tx, song.id, "main")
        left = (await past.load(tx, found)).rows
    # Nothing of what was given up can be looked at any more.
    assert [row.created_at > before for row in left] == [True] * (30 - done.rows)


async def test_again_and_again(database: Database, song: Project) -> None:
    end = await at(database, song, NOW + 29 * MINUTE)
    for minutes in (3, 8, 8, 15, 29):
        before = NOW + minutes * MINUTE
        await prune.prune(database, song.id, "main", before, allowed=allowed)
        assert await at(database, song, NOW + 29 * MINUTE) == end
    with pytest.raises(TooLongAgo):
        await prune.prune(database, song.id, "main", NOW, allowed=allowed)
    assert await findings(database) == []


async def test_to_try_changes_nothing(database: Database, song: Project) -> None:
    before = NOW + 12 * MINUTE
    tried = await prune.prune(database, song.id, "main", before, allowed=allowed, dry_run=True)
    assert await at(database, song, NOW) != {}
    assert await prune.prune(database, song.id, "main", before, allowed=allowed) == tried


async def test_who_may_no_longer_changes_nothing(database: Database, song: Project) -> None:
    async def refuse() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        await prune.prune(database, song.id, "main", NOW + 9 * MINUTE, allowed=refuse)
    assert await at(database, song, NOW) != {}
    assert await findings(database) == []


async def test_commits_stay(database: Database, song: Project) -> None:
    _, said = await present(database, song)
    doc: Doc[Any] = Doc()
    for letter in people.letters("abcdefghijklmnopqrstuvwxyz0123"):
        doc.apply_update(letter)
    made = await commit(database, song, doc.get_update())
    await prune.prune(database, song.id, "main", NOW + 29 * MINUTE, allowed=allowed)
    async with database.connection() as tx:
        assert content.read(await commits.state_of(tx, made)) == said


async def test_what_waits_stays(database: Database) -> None:
    project = await people.song(database)
    a, b, c, d = people.letters("abcd")
    await put(database, project, 0, a)
    await put(database, project, 1, c, waiting=True)
    done = await prune.prune(database, project.id, "main", NOW + 2 * MINUTE, allowed=allowed)
    assert done.rows == 1
    await put(database, project, 3, b)
    await put(database, project, 4, d)
    assert await compaction.compact(database, project.document_id)
    assert await at(database, project, NOW + 5 * MINUTE) == (await present(database, project))[1]
    # What came loose after the moment is told of then, though it is older.
    early = await prune.prune(database, project.id, "main", NOW + 2 * MINUTE, allowed=allowed)
    assert early.rows == 0
    whole = await at(database, project, NOW + 3 * MINUTE)
    assert str(whole) != str(await at(database, project, NOW + 2 * MINUTE))
    assert await findings(database) == []


async def test_of_no_branch_nothing_is_given_up(database: Database, song: Project) -> None:
    with pytest.raises(BranchNotFound):
        await prune.prune(database, song.id, "other", NOW, allowed=allowed)


@pytest.mark.parametrize("seed", range(6))
async def test_whoever_writes_and_whatever_waits(database: Database, seed: int) -> None:
    project = await people.song(database)
    random = Random(seed)
    crew = [writers.Writer(number, random) for number in (1, 2, 3)]
    made: list[bytes] = []
    for _ in range(60):
        one = random.choice(crew)
        edit = one.edit()
        if edit is None:
            continue
        for other in crew:
            other.receive(edit.data)
        made.insert(max(0, len(made) - random.choice([0, 0, 0, 1, 3])), edit.data)
    doc: Doc[Any] = Doc()
    for minute, update in enumerate(made):
        await put(database, project, minute, update)
        doc.apply_update(update)
        if minute % 13 == 12:
            await compaction.compact(database, project.document_id)
    moments = [NOW + minute * MINUTE for minute in range(len(made))]
    for minute in sorted(random.sample(range(len(made)), 3)):
        before = NOW + minute * MINUTE
        told = [await at(database, project, each) for each in moments if each >= before]
        await prune.prune(database, project.id, "main", before, allowed=allowed)
        again = [await at(database, project, each) for each in moments if each >= before]
        assert again == told
    assert await findings(database) == []
