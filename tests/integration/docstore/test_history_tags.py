"""Tags are names that last, and look like what they are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from base import ids
from docstore.history import tags
from docstore.history.errors import (
    CommitNotFound,
    TagInvalid,
    TagNotFound,
    TagTaken,
    TooManyTags,
)
from tests.integration.docstore import histories, people
from tests.integration.docstore.histories import NOW, Song

if TYPE_CHECKING:
    from base.db import Database, Tx
    from docstore.history.commits import Commit


async def put(tx: Tx, commit: Commit, name: str) -> tags.Tag:
    return await tags.tag(
        tx, commit.project_id, name=name, commit_id=commit.id, created_by=commit.author, now=NOW
    )


@pytest.fixture
async def commit(database: Database) -> Commit:
    return await histories.commit(database, await people.song(database), Song().stem("a").state)


async def test_a_tag_names_a_commit_until_it_is_taken_away(
    database: Database, commit: Commit
) -> None:
    async with database.transaction() as tx:
        made = await put(tx, commit, "v1.0 / mixed")
        assert made == tags.Tag("v1.0 / mixed", commit.id, commit.author, NOW)
        assert await tags.tags(tx, commit.project_id) == [made]
        assert await tags.by_tag(tx, commit.project_id, "v1.0 / mixed") == commit
        await tags.untag(tx, commit.project_id, made.name)
        assert await tags.tags(tx, commit.project_id) == []
        for again in (tags.by_tag, tags.untag):
            with pytest.raises(TagNotFound):
                await again(tx, commit.project_id, made.name)


async def test_a_tag_is_never_moved(database: Database, commit: Commit) -> None:
    async with database.transaction() as tx:
        await put(tx, commit, "v1")
        with pytest.raises(TagTaken):
            await put(tx, commit, "v1")


async def test_the_youngest_tag_is_told_first(database: Database, commit: Commit) -> None:
    async with database.transaction() as tx:
        for at, name in enumerate("abc"):
            await tags.tag(
                tx,
                commit.project_id,
                name=name,
                commit_id=commit.id,
                created_by=commit.author,
                now=NOW + timedelta(seconds=at),
            )
        assert [each.name for each in await tags.tags(tx, commit.project_id)] == ["c", "b", "a"]


async def test_other_projects_have_tags_of_their_own(database: Database, commit: Commit) -> None:
    other = await people.song(database, owner="ben")
    async with database.transaction() as tx:
        await put(tx, commit, "v1")
        assert await tags.tags(tx, other.id) == []
        with pytest.raises(TagNotFound):
            await tags.by_tag(tx, other.id, "v1")
        with pytest.raises(CommitNotFound):
            await put(tx, commit._replace(project_id=other.id), "theirs")
        with pytest.raises(CommitNotFound):
            await put(tx, commit._replace(id=ids.new_id()), "nothing")


@pytest.mark.parametrize("name", ["v", "x" * 100, "mix/2", "Ü", "日本", "a b", "a.b", "🎹"])
async def test_these_are_names(database: Database, commit: Commit, name: str) -> None:
    async with database.transaction() as tx:
        assert (await put(tx, commit, name)).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 101,
        " v1",
        "v1 ",
        "a\nb",
        "a\0b",
        "a\x1b[31m",
        "a\u202eb",
        "a\u200bb",
        "\ud800",
        "-force",
        "..",
        "a/../b",
        ".",
    ],
)
async def test_these_are_not(database: Database, commit: Commit, name: str) -> None:
    async with database.transaction() as tx:
        with pytest.raises(TagInvalid):
            await put(tx, commit, name)
        with pytest.raises(TagNotFound):
            await tags.by_tag(tx, commit.project_id, name)


async def test_two_spellings_of_one_name_are_one_name(database: Database, commit: Commit) -> None:
    async with database.transaction() as tx:
        await put(tx, commit, "Ge\u0301nial")
        assert await tags.by_tag(tx, commit.project_id, "G\u00e9nial") == commit
        with pytest.raises(TagTaken):
            await put(tx, commit, "G\u00e9nial")


async def test_a_project_cannot_be_filled_with_tags(
    database: Database, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "MOST", 3)
    for name in "abc":
        async with database.transaction() as tx:
            await put(tx, commit, name)
    with pytest.raises(TooManyTags):
        async with database.transaction() as tx:
            await put(tx, commit, "d")
    async with database.transaction() as tx:
        assert len(await tags.tags(tx, commit.project_id)) == 3
