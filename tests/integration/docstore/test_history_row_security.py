"""What somebody gets of others' history who brings SQL of their own past the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString, NamedTuple

import psycopg
import pytest

from auth import members
from auth.permissions import Membership, Role
from base import ids
from docstore.history import archive, commits, tags
from docstore.history.errors import CommitNotFound
from tests.integration.docstore import histories, people
from tests.integration.docstore.histories import NOW, Song

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database
    from docstore.history.commits import Commit

DENIED = psycopg.errors.InsufficientPrivilege

TABLES: tuple[LiteralString, ...] = ("commits", "commit_parents", "tags")


class World(NamedTuple):
    anna: UUID
    viewer: UUID
    stranger: UUID
    commit: Commit


@pytest.fixture
async def world(database: Database) -> World:
    project = await people.song(database)
    song = Song()
    await histories.commit(database, project, song.stem("a").state)
    commit = await histories.commit(database, project, song.stem("b").state)
    async with database.transaction() as tx:
        viewer, stranger = await people.person(tx, "vic"), await people.person(tx, "sam")
        await members.add(
            tx, project.id, viewer, Membership(Role.VIEWER), by=project.owner_id, now=NOW
        )
        await tags.tag(
            tx,
            project.id,
            name="v1",
            commit_id=commit.id,
            created_by=project.owner_id,
            now=NOW,
        )
    return World(project.owner_id, viewer, stranger, commit)


async def test_members_see_the_history_and_strangers_nothing_of_it(
    database: Database, world: World
) -> None:
    project_id = world.commit.project_id
    for user in (world.anna, world.viewer):
        async with database.acting(user) as tx:
            assert await commits.get(tx, project_id, world.commit.id) == world.commit
            items, _ = await commits.log(tx, project_id, branch="main", limit=9)
            assert len(items) == 2
            assert len(await tags.tags(tx, project_id)) == 1
    for user in (world.stranger, None):
        async with database.acting(user) as tx:
            for table in TABLES:
                assert (await tx.execute("SELECT * FROM " + table)).rowcount == 0, table
            with pytest.raises(CommitNotFound):
                await commits.get(tx, project_id, world.commit.id)


async def test_who_opens_a_link_sees_that_projects_history(
    database: Database, world: World
) -> None:
    async with database.acting(None, link_to=world.commit.project_id) as tx:
        assert len((await commits.log(tx, world.commit.project_id, limit=9))[0]) == 2
    async with database.acting(None, link_to=ids.new_id()) as tx:
        assert (await commits.log(tx, world.commit.project_id, limit=9))[0] == []


async def test_the_history_of_a_deleted_project_is_out_of_sight(
    database: Database, world: World
) -> None:
    async with database.transaction() as tx:
        await tx.execute("UPDATE projects SET deleted_at = now()")
    async with database.acting(world.anna) as tx:
        for table in TABLES:
            assert (await tx.execute("SELECT * FROM " + table)).rowcount == 0, table


async def test_states_are_nobodys_to_read(database: Database, world: World) -> None:
    for user in (world.anna, world.viewer, world.stranger, None):
        with pytest.raises(DENIED):
            async with database.acting(user) as tx:
                await archive.get(tx, world.commit.project_id, world.commit.state_id)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE commits SET author = syncsphere_user()",
        "UPDATE commit_parents SET position = 1",
        "UPDATE tags SET commit_id = (SELECT min(commit_id::text)::uuid FROM tags)",
        "UPDATE documents SET head = NULL",
        "UPDATE documents SET protected = true",
        "DELETE FROM commits",
        "DELETE FROM commit_parents",
        "DELETE FROM tags",
        "DELETE FROM states",
        "INSERT INTO tags SELECT project_id, 'mine', commit_id, syncsphere_user(), now() FROM tags",
        "INSERT INTO commits SELECT * FROM commits",
        "INSERT INTO commit_parents SELECT * FROM commit_parents",
        "INSERT INTO states (project_id, number, body, state_bytes, sha256, created_at)"
        " SELECT id, 9, '', 0, '', now() FROM projects",
        "TRUNCATE commits CASCADE",
    ],
)
async def test_nobody_writes_history_not_even_the_owner(
    database: Database, world: World, statement: LiteralString
) -> None:
    for user in (world.anna, world.viewer, world.stranger, None):
        with pytest.raises(DENIED):
            async with database.acting(user) as tx:
                await tx.execute(statement)
