"""Projects on a real database: made, found, listed, changed, deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from auth import members
from auth.permissions import Membership, Role
from base import ids
from docstore import crdt, documents, projects, seeding
from docstore.errors import CursorInvalid, ProjectNotFound
from tests.integration.docstore import people
from tests.integration.docstore.people import NOW

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database, Tx


async def made(tx: Tx, owner: UUID, name: str, kind: str = "studio") -> projects.Project:
    return await projects.create(
        tx, owner=owner, name=name, kind=kind, description="d", is_public=True, now=NOW
    )


async def test_a_project_is_found_as_it_was_made(database: Database) -> None:
    async with database.transaction() as tx:
        owner = await people.person(tx)
        project = await made(tx, owner, "Nächte 🎹")
    async with database.connection() as tx:
        assert await projects.get(tx, project.id) == project
    assert project.owner_id == owner
    assert (project.name, project.kind, project.description) == ("Nächte 🎹", "studio", "d")
    assert project.is_public
    assert project.created_at == project.updated_at == NOW
    assert project.id.version == 7


@pytest.mark.parametrize("kind", seeding.KINDS)
async def test_a_document_and_its_seed_are_made_with_it(database: Database, kind: str) -> None:
    async with database.transaction() as tx:
        project = await made(tx, await people.person(tx), "Song", kind)
    async with database.connection() as tx:
        loaded = await documents.load(tx, project.document_id)
        rows = await (await tx.execute("SELECT author, created_at FROM journal")).fetchall()
    first = seeding.seed(kind, "Song")
    assert loaded.tail == ([] if first is None else [first])
    assert loaded.epoch == project.epoch == 1
    assert rows == [(project.owner_id, NOW)] * len(loaded.tail)


async def test_a_project_whose_transaction_fails_was_never_there(database: Database) -> None:
    async def fails() -> None:
        async with database.transaction() as tx:
            await made(tx, await people.person(tx), "Song")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with database.connection() as tx:
        for table in ("projects", "documents", "journal"):
            found = await tx.execute(f"SELECT count(*) FROM {table}")  # pyright: ignore[reportArgumentType] (our own names)
            assert await found.fetchone() == (0,)


async def test_a_kind_that_there_is_not_is_an_error(database: Database) -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        async with database.transaction() as tx:
            await made(tx, await people.person(tx), "Song", "symphony")


async def test_a_room_is_a_project_by_either_name(database: Database) -> None:
    project = await people.song(database)
    async with database.connection() as tx:
        for name in (
            str(project.id),
            str(project.id).upper(),
            project.room_id,
            project.room_id.upper(),
        ):
            assert await projects.by_room(tx, name) == project


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing",
        "no-uuid-at-all",
        "\0",
        "a\0b",
        "x" * 10_000,
        "'; DROP TABLE projects; --",
        "ünïcödé",
        "{01890000-0000-7000-8000-000000000001}",
        "urn:uuid:01890000-0000-7000-8000-000000000001",
        "01890000-0000-7000-8000-000000000001",
        "../../etc",
        "\udcff",
    ],
)
async def test_a_name_of_no_project_is_no_room(database: Database, name: str) -> None:
    async with database.connection() as tx:
        assert await projects.by_room(tx, name) is None


async def test_a_list_is_ones_own_newest_first_in_pages(database: Database) -> None:
    async with database.transaction() as tx:
        anna, ben = await people.person(tx, "anna"), await people.person(tx, "ben")
        mine = [await made(tx, anna, f"Song {at}") for at in range(7)]
        await made(tx, ben, "Theirs")
    seen: list[projects.Listed] = []
    cursor = None
    sizes: list[int] = []
    async with database.connection() as tx:
        while True:
            items, cursor = await projects.page(tx, viewer=anna, limit=3, after=cursor)
            seen += items
            sizes.append(len(items))
            if cursor is None:
                break
        assert await projects.page(tx, viewer=anna, limit=7, after=None) == (seen, None)
        assert await projects.page(tx, viewer=ids.new_id(), limit=7, after=None) == ([], None)
    assert seen == [projects.Listed(each, None, {}) for each in mine[::-1]]
    assert sizes == [3, 3, 1]


async def test_a_list_goes_on_although_projects_come_and_go(database: Database) -> None:
    async with database.transaction() as tx:
        anna = await people.person(tx)
        old = [await made(tx, anna, f"Song {at}") for at in range(4)]
        items, cursor = await projects.page(tx, viewer=anna, limit=2, after=None)
        assert [item.project for item in items] == [old[3], old[2]]
        await made(tx, anna, "New")
        await projects.delete(tx, old[2].id, NOW)
        items, cursor = await projects.page(tx, viewer=anna, limit=2, after=cursor)
    assert ([item.project for item in items], cursor) == ([old[1], old[0]], None)


async def test_a_list_has_what_others_share_among_ones_own(database: Database) -> None:
    async with database.transaction() as tx:
        anna, ben = await people.person(tx, "anna"), await people.person(tx, "ben")
        old = await made(tx, anna, "Old")
        theirs = await made(tx, ben, "Theirs")
        gone = await made(tx, ben, "Gone")
        await made(tx, ben, "Not shared")
        new = await made(tx, anna, "New")
        for project in (theirs, gone):
            await members.add(
                tx,
                project.id,
                anna,
                Membership(Role.VIEWER, {"can_export": False}),
                by=ben,
                now=NOW,
            )
        await projects.delete(tx, gone.id, NOW)
        wanted = [
            projects.Listed(new, None, {}),
            projects.Listed(theirs, "viewer", {"can_export": False}),
            projects.Listed(old, None, {}),
        ]
        assert await projects.page(tx, viewer=anna, limit=9, after=None) == (wanted, None)
        first, cursor = await projects.page(tx, viewer=anna, limit=1, after=None)
        second, cursor = await projects.page(tx, viewer=anna, limit=1, after=cursor)
        third, cursor = await projects.page(tx, viewer=anna, limit=1, after=cursor)
        assert (first + second + third, cursor) == (wanted, None)
        only = await projects.page(tx, viewer=anna, limit=9, after=None, only=theirs.id)
        assert only == ([wanted[1]], None)
        assert await projects.page(tx, viewer=anna, limit=9, after=None, only=ben) == ([], None)


async def test_a_project_is_given_away_by_its_owner_only(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        ben = await people.person(tx, "ben")
        with pytest.raises(ProjectNotFound):
            await projects.transfer(tx, project.id, owner=ben, to=ben, now=NOW)
        await projects.transfer(tx, project.id, owner=project.owner_id, to=ben, now=NOW)
        assert (await projects.get(tx, project.id)).owner_id == ben


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "Ω", "=" * 22, "A" * 21 + "B", "A" * 5_000])
async def test_a_cursor_of_no_list_is_an_error(database: Database, cursor: str) -> None:
    async with database.connection() as tx:
        with pytest.raises(CursorInvalid):
            await projects.page(tx, viewer=ids.new_id(), limit=3, after=cursor)


async def test_only_what_is_named_is_changed(database: Database) -> None:
    before = await people.song(database)
    later = NOW + timedelta(hours=1)
    async with database.transaction() as tx:
        after = await projects.update(tx, before.id, name="Other", now=later)
        assert (after.name, after.description, after.is_public) == ("Other", "", False)
        assert (after.created_at, after.updated_at) == (NOW, later)
        after = await projects.update(tx, before.id, description="x", is_public=True, now=later)
        assert (after.name, after.description, after.is_public) == ("Other", "x", True)
        after = await projects.update(tx, before.id, description="", is_public=False, now=later)
        assert (after.name, after.description, after.is_public) == ("Other", "", False)
        assert after.guest_role == "none"
        after = await projects.update(tx, before.id, guest_role="editor", now=later)
        assert (after.name, after.guest_role) == ("Other", "editor")


async def test_a_deleted_project_is_found_by_nobody(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        await projects.delete(tx, project.id, NOW)
        assert await projects.by_room(tx, project.room_id) is None
        assert await projects.page(tx, viewer=project.owner_id, limit=5, after=None) == ([], None)
        for again in (
            projects.get(tx, project.id),
            projects.delete(tx, project.id, NOW),
            projects.update(tx, project.id, name="x", now=NOW),
        ):
            with pytest.raises(ProjectNotFound):
                await again


async def test_a_seeded_document_reads_as_its_kind(database: Database) -> None:
    project = await people.song(database, "pattern")
    async with database.connection() as tx:
        loaded = await documents.load(tx, project.document_id)
    (seed,) = loaded.tail
    assert sorted(crdt.to_json(seed)) == ["pattern", "project"]
