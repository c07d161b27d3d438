"""The second lock: what somebody can do who gets SQL past the application, in another's place.

Every statement here goes around our own functions, in `Database.acting`, as if a handler had
forgotten to ask whose it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString, NamedTuple

import psycopg
import pytest

from auth import audit, invitations, links, members
from auth.permissions import Membership, Role
from base import ids
from docstore import projects
from tests.integration.docstore import people
from tests.integration.docstore.people import NOW

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database

DENIED = psycopg.errors.InsufficientPrivilege


class World(NamedTuple):
    """Anna's project with an admin, an editor, a viewer and all that hangs on it; ben's is empty."""

    anna: UUID
    ben: UUID
    admin: UUID
    editor: UUID
    viewer: UUID
    project: projects.Project


@pytest.fixture
async def world(database: Database) -> World:
    async with database.transaction() as tx:
        names = ("anna", "ben", "admin", "editor", "viewer")
        anna, ben, admin, editor, viewer = [await people.person(tx, name) for name in names]
        project = await projects.create(
            tx,
            owner=anna,
            name="Song",
            kind="studio",
            description="",
            is_public=False,
            now=NOW,
        )
        crew = ((admin, Role.ADMIN), (editor, Role.EDITOR), (viewer, Role.VIEWER))
        for user, role in crew:
            await members.add(tx, project.id, user, Membership(role), by=anna, now=NOW)
        await links.make(
            tx, project.id, role=Role.VIEWER, name="", expires_at=None, by=anna, now=NOW
        )
        await invitations.make(
            tx,
            project.id,
            email="new@example.org",
            member=Membership(Role.EDITOR),
            by=anna,
            replaces=frozenset(),
            letter=True,
            now=NOW,
        )
        await tx.execute(
            "INSERT INTO user_preferences (user_id, chosen, updated_at) VALUES (%s, '{}', %s)",
            (anna, NOW),
        )
        await tx.execute(
            "INSERT INTO api_keys (id, user_id, name, secret_sha256, scopes, created_at)"
            " VALUES (%s, %s, 'key', '\\x00', '{}', %s)",
            (ids.new_id(), anna, NOW),
        )
        await audit.record(tx, audit.Kind.LOGIN, at=NOW, user=anna, actor=anna)
    return World(anna, ben, admin, editor, viewer, project)


async def run(database: Database, user: UUID | None, statement: LiteralString, *row: object) -> int:
    """How many rows a statement shows or takes, for somebody."""
    async with database.acting(user) as tx:
        return (await tx.execute(statement, row)).rowcount


async def everything(database: Database) -> list[object]:
    """All rows of all tables of people, as the server sees them."""
    found: list[object] = []
    async with database.connection() as tx:
        for table in (*OWNED, "journal", "documents", "audit_events"):
            cursor = await tx.execute(f"SELECT to_jsonb(t) FROM {table} t ORDER BY 1")  # pyright: ignore[reportArgumentType] (our own names)
            found.append(await cursor.fetchall())
    return found


OWNED: dict[LiteralString, LiteralString] = {
    "users": "SELECT id FROM users WHERE username = 'anna'",
    "user_preferences": "SELECT * FROM user_preferences",
    "api_keys": "SELECT * FROM api_keys",
    "projects": "SELECT * FROM projects",
    "documents": "SELECT * FROM documents",
    "project_collaborators": "SELECT * FROM project_collaborators",
    "project_invitations": "SELECT * FROM project_invitations",
    "project_links": "SELECT * FROM project_links",
}


async def test_every_table_has_its_lock(database: Database) -> None:
    async with database.connection() as tx:
        cursor = await tx.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relrowsecurity"
            " AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        assert await cursor.fetchall() == [("alembic_version",)]


async def test_a_stranger_sees_nothing(database: Database, world: World) -> None:
    for table, query in OWNED.items():
        assert await run(database, world.anna, query) > 0, table
        assert await run(database, world.ben, query) == 0, table
        assert await run(database, None, query) == 0, table


TAKING: list[LiteralString] = [
    "UPDATE users SET bio = 'owned' WHERE username = 'anna'",
    "UPDATE projects SET name = 'owned'",
    "UPDATE projects SET is_public = true",
    'UPDATE user_preferences SET chosen = \'{"theme": "owned"}\'',
    "UPDATE project_collaborators SET role = 'admin'",
    "DELETE FROM project_collaborators",
    "DELETE FROM project_invitations",
    "DELETE FROM project_links",
    "DELETE FROM api_keys",
    "DELETE FROM user_preferences",
]


async def test_a_stranger_takes_and_changes_nothing(database: Database, world: World) -> None:
    before = await everything(database)
    for statement in TAKING:
        for user in (world.ben, None):
            assert await run(database, user, statement) == 0, statement
    assert await everything(database) == before


COLLABORATOR: LiteralString = """
    INSERT INTO project_collaborators (project_id, user_id, role, joined_at, updated_at)
    VALUES (%s, %s, %s, now(), now())"""


async def test_a_stranger_puts_nothing_into_what_is_others(
    database: Database, world: World
) -> None:
    project, anna, ben = world.project, world.anna, world.ben
    rows: list[tuple[LiteralString, tuple[object, ...]]] = [
        (COLLABORATOR, (project.id, ben, "admin")),
        (COLLABORATOR, (project.id, ids.new_id(), "viewer")),
        (
            "INSERT INTO project_links (id, project_id, role, secret_sha256, created_by, created_at)"
            " VALUES (%s, %s, 'editor', '\\x00', %s, now())",
            (ids.new_id(), project.id, ben),
        ),
        (
            "INSERT INTO project_invitations (id, project_id, email, role, token_sha256, invited_by,"
            " created_at, expires_at) VALUES (%s, %s, 'b@b.bb', 'admin', '\\x01', %s, now(), now())",
            (ids.new_id(), project.id, ben),
        ),
        (
            "INSERT INTO projects (id, owner_id, room_id, name, kind, created_at, updated_at)"
            " VALUES (%s, %s, 'room', 'x', 'studio', now(), now())",
            (ids.new_id(), anna),
        ),
        (
            "INSERT INTO documents (project_id, branch, created_at) VALUES (%s, 'mine', now())",
            (project.id,),
        ),
        (
            "INSERT INTO journal (document_id, author, payload, created_at)"
            " VALUES (%s, %s, '\\x0000', now())",
            (project.document_id, ben),
        ),
        (
            "INSERT INTO api_keys (id, user_id, name, secret_sha256, scopes, created_at)"
            " VALUES (%s, %s, 'key', '\\x00', '{}', now())",
            (ids.new_id(), anna),
        ),
        (
            "INSERT INTO audit_events (id, at, kind, actor_id) VALUES (%s, now(), 'login', %s)",
            (ids.new_id(), anna),
        ),
        (
            "INSERT INTO users (id, email, username, username_key, created_at)"
            " VALUES (%s, 'c@c.cc', 'carl', 'carl', now())",
            (ids.new_id(),),
        ),
    ]
    before = await everything(database)
    for statement, row in rows:
        with pytest.raises(DENIED):
            await run(database, ben, statement, *row)
    assert await everything(database) == before


FORBIDDEN: list[LiteralString] = [
    "SELECT password_hash FROM users",
    "SELECT * FROM users",
    "SELECT oauth_id FROM users",
    "SELECT * FROM audit_events",
    "SELECT * FROM journal",
    "SELECT * FROM snapshots",
    "SELECT * FROM journal_segments",
    "DELETE FROM audit_events",
    "DELETE FROM users",
    "DELETE FROM projects",
    "UPDATE users SET is_admin = true",
    "UPDATE users SET email = 'x@x.xx'",
    "UPDATE users SET email_verified_at = now()",
    "UPDATE users SET disabled_at = NULL",
    "UPDATE users SET password_hash = 'x'",
    "UPDATE projects SET owner_id = syncsphere_user()",
    "UPDATE projects SET room_id = 'x'",
    "UPDATE project_collaborators SET user_id = syncsphere_user()",
    "UPDATE project_links SET role = 'editor'",
    "UPDATE api_keys SET scopes = '{project:delete}'",
    "TRUNCATE project_links",
    "SET LOCAL session_replication_role = replica",
]


async def test_some_things_nobody_may_not_even_with_their_own(
    database: Database, world: World
) -> None:
    before = await everything(database)
    for statement in FORBIDDEN:
        for user in (world.anna, world.admin, world.ben):
            with pytest.raises(DENIED):
                await run(database, user, statement)
    assert await everything(database) == before


@pytest.mark.parametrize("who", ["editor", "viewer"])
async def test_collaborators_cannot_do_what_admins_may(
    database: Database, world: World, who: str
) -> None:
    user: UUID = getattr(world, who)
    for statement in (
        "UPDATE projects SET name = 'owned'",
        "UPDATE projects SET guest_role = 'editor'",
        "UPDATE project_collaborators SET role = 'admin'",
        "DELETE FROM project_links",
        "DELETE FROM project_invitations",
        "DELETE FROM project_collaborators WHERE user_id <> syncsphere_user()",
    ):
        assert await run(database, user, statement) == 0
    for role in ("admin", "editor", "viewer"):
        with pytest.raises(DENIED):
            await run(database, user, COLLABORATOR, world.project.id, world.ben, role)
    for table in ("project_links", "project_invitations"):
        assert await run(database, user, OWNED[table]) == 0


async def test_who_may_invite_gives_no_role_above_their_own(
    database: Database, world: World
) -> None:
    project = world.project.id
    async with database.transaction() as tx:
        for user, role in ((world.editor, Role.EDITOR), (world.viewer, Role.VIEWER)):
            invites = Membership(role, {"can_invite_others": True})
            await members.change(tx, project, user, invites, NOW)
    for user, role in (
        (world.viewer, "editor"),
        (world.viewer, "admin"),
        (world.editor, "admin"),
        (world.admin, "admin"),
    ):
        with pytest.raises(DENIED):
            await run(database, user, COLLABORATOR, project, world.ben, role)
    assert await run(database, world.editor, COLLABORATOR, project, world.ben, "editor") == 1


async def test_an_admin_makes_no_admins_and_deletes_no_project(
    database: Database, world: World
) -> None:
    async with database.transaction() as tx:
        await members.add(
            tx, world.project.id, world.ben, Membership(Role.ADMIN), by=world.anna, now=NOW
        )
    for statement in (
        "UPDATE project_collaborators SET role = 'admin' WHERE role = 'viewer'",
        "UPDATE projects SET deleted_at = now()",
    ):
        with pytest.raises(DENIED):
            await run(database, world.admin, statement)
    others: LiteralString = (
        "DELETE FROM project_collaborators WHERE role = 'admin' AND user_id <> %s"
    )
    assert await run(database, world.admin, others, world.admin) == 0
    demote: LiteralString = "UPDATE project_collaborators SET role = 'viewer' WHERE role = 'admin'"
    assert await run(database, world.admin, demote) == 0
    with pytest.raises(DENIED):
        await run(database, world.admin, COLLABORATOR, world.project.id, world.anna, "viewer")


async def test_a_deleted_project_is_its_owners_to_see_and_nobodys_to_change(
    database: Database, world: World
) -> None:
    async with database.acting(world.anna) as tx:
        await projects.delete(tx, world.project.id, NOW)
    for user in (world.admin, world.editor, world.viewer, world.ben):
        assert await run(database, user, OWNED["projects"]) == 0
        assert await run(database, user, OWNED["project_links"]) == 0
    assert await run(database, world.anna, "UPDATE projects SET deleted_at = NULL") == 0


@pytest.mark.parametrize("door", ["is_public = true", "guest_role = 'viewer'"])
async def test_an_open_door_shows_the_project_and_not_its_people(
    database: Database, world: World, door: LiteralString
) -> None:
    async with database.transaction() as tx:
        await tx.execute("UPDATE projects SET " + door)
    for user in (world.ben, None):
        assert await run(database, user, OWNED["projects"]) == 1
        assert await run(database, user, OWNED["documents"]) == 1
        for table in ("project_collaborators", "project_invitations", "project_links", "api_keys"):
            assert await run(database, user, OWNED[table]) == 0
        assert await run(database, user, "UPDATE projects SET name = 'owned'") == 0


async def test_a_link_shows_its_own_project_only(database: Database, world: World) -> None:
    other = await people.song(database, owner="carla")
    for project, seen in ((world.project.id, [world.project.id]), (other.id, [other.id])):
        async with database.acting(None, link_to=project) as tx:
            cursor = await tx.execute("SELECT id FROM projects")
            assert [row[0] for row in await cursor.fetchall()] == seen


async def test_others_are_seen_as_everybody_may_see_them(database: Database, world: World) -> None:
    async with database.acting(world.ben) as tx:
        cursor = await tx.execute("SELECT * FROM people WHERE id = %s", (world.anna,))
        assert await cursor.fetchall() == [(world.anna, "anna", "", None)]
    with pytest.raises(DENIED):
        await run(database, world.ben, "UPDATE people SET username = 'owned'")
