"""Members, links and invitations on a real database, as rooms and sign-in ask for them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from auth import invitations, links, members
from auth.credentials import Guest
from auth.permissions import Membership, Role
from base import ids
from docstore import projects
from tests.integration.docstore import people
from tests.integration.docstore.people import NOW

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database, Tx

EMAIL = "new@example.org"


async def invite(
    tx: Tx, project: projects.Project, *, by: UUID, role: Role = Role.EDITOR, email: str = EMAIL
) -> str:
    _, token = await invitations.make(
        tx,
        project.id,
        email=email,
        member=Membership(role),
        by=by,
        replaces=frozenset(Role),
        letter=True,
        now=NOW,
    )
    return token


async def test_many_memberships_are_found_at_once(database: Database) -> None:
    project, other = await people.song(database), await people.song(database, owner="other")
    async with database.transaction() as tx:
        crew = [await people.person(tx, f"person{at}") for at in range(3)]
        wanted = [Membership(Role.ADMIN), Membership(Role.EDITOR, {"can_export": False})]
        for user, member in zip(crew, wanted, strict=False):
            assert await members.add(tx, project.id, user, member, by=None, now=NOW)
        await members.add(tx, other.id, crew[2], Membership(Role.VIEWER), by=None, now=NOW)
        found = await members.memberships(tx, project.id, [*crew, project.owner_id, ids.new_id()])
        assert found == dict(zip(crew, wanted, strict=False))
        assert await members.membership(tx, project.id, crew[1]) == wanted[1]
        assert await members.membership(tx, project.id, crew[2]) is None
        assert await members.memberships(tx, project.id, []) == {}


async def test_who_is_there_is_not_added_twice(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        ben = await people.person(tx, "ben")
        assert await members.add(tx, project.id, ben, Membership(Role.VIEWER), by=None, now=NOW)
        assert not await members.add(tx, project.id, ben, Membership(Role.ADMIN), by=None, now=NOW)
        assert await members.membership(tx, project.id, ben) == Membership(Role.VIEWER)


async def test_one_waits_for_the_other_who_changes_the_people_of_a_project(
    database: Database,
) -> None:
    project, other = await people.song(database), await people.song(database, owner="other")
    order: list[str] = []
    held = anyio.Event()

    async def first() -> None:
        async with database.transaction() as tx:
            await members.lock(tx, project.id)
            held.set()
            async with database.transaction() as elsewhere:
                await members.lock(elsewhere, other.id)  # another project's: no waiting
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            async with database.connection() as watcher:
                while await (await watcher.execute(waiting)).fetchone() == (0,):
                    await anyio.lowlevel.checkpoint()
            order.append("first")

    async def second() -> None:
        await held.wait()
        async with database.transaction() as tx:
            await members.lock(tx, project.id)
            order.append("second")

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        group.start_soon(second)
    assert order == ["first", "second"]


async def test_a_link_is_known_by_its_token(database: Database) -> None:
    project = await people.song(database)
    until = NOW + timedelta(hours=1)
    async with database.transaction() as tx:
        link, token = await links.make(
            tx,
            project.id,
            role=Role.EDITOR,
            name="",
            expires_at=until,
            by=project.owner_id,
            now=NOW,
        )
        guest = await links.open_link(tx, token, NOW)
        assert guest == Guest(link.id, project.id, Role.EDITOR, until)
        both = [link.id, ids.new_id()]
        assert await links.alive(tx, project.id, both, NOW) == {link.id: Role.EDITOR}
        assert await links.alive(tx, ids.new_id(), both, NOW) == {}
        assert await links.alive(tx, project.id, both, until) == {}
        with pytest.raises(links.LinkInvalid):
            await links.open_link(tx, token, until)
        await projects.delete(tx, project.id, NOW)
        assert await links.alive(tx, project.id, both, NOW) == {}
        with pytest.raises(links.LinkInvalid):
            await links.open_link(tx, token, NOW)


async def test_a_proven_address_takes_all_that_waits_for_it(database: Database) -> None:
    songs = [await people.song(database, owner=f"owner{at}") for at in range(6)]
    async with database.transaction() as tx:
        new = await people.person(tx, "new")
        for song in songs[:4]:
            await invite(tx, song, by=song.owner_id)
        await invite(tx, songs[4], by=songs[4].owner_id, email="other@example.org")
        await projects.delete(tx, songs[1].id, NOW)
        stranger = await people.person(tx, "stranger")
        await invite(tx, songs[5], by=stranger)
        await members.add(tx, songs[2].id, new, Membership(Role.VIEWER), by=None, now=NOW)
    async with database.transaction() as tx:
        taken = await invitations.accept_all(tx, new, EMAIL, NOW)
        assert taken == [songs[0].id, songs[3].id]
        assert await invitations.accept_all(tx, new, EMAIL, NOW) == []
        for song, role in zip(
            songs, (Role.EDITOR, None, Role.VIEWER, Role.EDITOR, None, None), strict=True
        ):
            found = await members.membership(tx, song.id, new)
            assert found == (None if role is None else Membership(role))


async def test_an_invitation_that_is_over_is_not_taken(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        new = await people.person(tx, "new")
        token = await invite(tx, project, by=project.owner_id)
        late = NOW + invitations.LIFE
        assert await invitations.accept_all(tx, new, EMAIL, late) == []
        with pytest.raises(invitations.InvitationNotFound):
            await invitations.accept_token(tx, new, token, late)
        assert await invitations.pending(tx, project.id, late) == []
        await invitations.sweep(tx, project.id, late)
        assert await invitations.pending(tx, project.id, NOW) == []


async def test_a_token_is_kept_as_a_hash(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        token = await invite(tx, project, by=project.owner_id)
        cursor = await tx.execute("SELECT to_jsonb(i)::text FROM project_invitations i")
        assert token not in str(await cursor.fetchall())
        taken = await invitations.accept_token(tx, await people.person(tx, "new"), token, NOW)
        assert taken == (project.id, Role.EDITOR, True)


async def test_an_inviter_gives_only_what_the_inviter_still_has(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        ben, new = await people.person(tx, "ben"), await people.person(tx, "new")
        await members.add(tx, project.id, ben, Membership(Role.ADMIN), by=None, now=NOW)
        token = await invite(tx, project, by=ben)
        muted = Membership(Role.EDITOR, {"can_invite_others": True, "can_export": False})
        await members.change(tx, project.id, ben, muted, NOW)
        with pytest.raises(invitations.InvitationNotFound):
            await invitations.accept_token(tx, new, token, NOW)
        inviting = Membership(Role.EDITOR, {"can_invite_others": True})
        await members.change(tx, project.id, ben, inviting, NOW)
        assert (await invitations.accept_token(tx, new, token, NOW)).added
