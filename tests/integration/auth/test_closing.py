"""Erasing closed accounts: what passes on, what is gone, and what no accident leaves in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, LiteralString

import anyio
import pytest

from auth import accounts, audit, closing
from auth.changes import Changes, ProjectChanged
from auth.errors import InvalidCredentials
from auth.passwords import Passwords
from base import ids
from base.db import DatabaseUnavailable

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from auth.changes import Change
    from base.db import Database
    from base.redis import Redis

NOW = datetime(2026, 8, 21, 12, 0, tzinfo=UTC)
GRACE = timedelta(days=30)
LONG_AGO = NOW - timedelta(days=31)
PASSWORD = "correct horse"

PERSON: LiteralString = """
    INSERT INTO users (id, email, username, username_key, password_hash, created_at, closed_at,
        email_verified_at)
    VALUES (%s, %s, %s, %s, 'x', %s, %s, %s)"""

PROJECT: LiteralString = """
    INSERT INTO projects (id, owner_id, room_id, name, kind, created_at, updated_at, deleted_at)
    VALUES (%s, %s, %s, 'Song', 'opendaw', %s, %s, %s)"""

DOCUMENT: LiteralString = """
    INSERT INTO documents (project_id, created_at) VALUES (%s, %s) RETURNING id"""

JOURNAL: LiteralString = """
    INSERT INTO journal (document_id, author, payload, created_at) VALUES (%s, %s, '\\x00', %s)"""

SNAPSHOT: LiteralString = """
    INSERT INTO snapshots (document_id, epoch, state, state_bytes, sha256, created_at)
    VALUES (%s, 1, '\\x00', 1, '\\x00', %s)"""

COLLABORATOR: LiteralString = """
    INSERT INTO project_collaborators (project_id, user_id, role, joined_at, updated_at)
    VALUES (%s, %s, %s, %s, %s)"""

LINK: LiteralString = """
    INSERT INTO project_links (id, project_id, role, secret_sha256, created_by, created_at)
    VALUES (%s, %s, 'editor', '\\x00', %s, %s)"""

WAITING: LiteralString = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""

TABLES = ("users", "projects", "documents", "journal", "snapshots", "project_collaborators")


class World:
    """People and projects, written without the code that makes them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def person(
        self, name: str, *, closed: datetime | None = None, verified: bool = True
    ) -> UUID:
        user, proven = ids.new_id(), NOW if verified else None
        row = (user, f"{name}@example.org", name, name, NOW, closed, proven)
        await self.run(PERSON, row)
        return user

    async def project(self, owner: UUID, *, deleted: datetime | None = None) -> UUID:
        project = ids.new_id()
        await self.run(PROJECT, (project, owner, str(project), NOW, NOW, deleted))
        ((document,),) = await self.run(DOCUMENT, (project, NOW))
        await self.run(JOURNAL, (document, owner, NOW))
        await self.run(SNAPSHOT, (document, NOW))
        return project

    async def joins(self, project: UUID, user: UUID, role: str, day: int = 1) -> None:
        joined = NOW + timedelta(days=day)
        await self.run(COLLABORATOR, (project, user, role, joined, joined))

    async def owner(self, project: UUID) -> UUID | None:
        rows = await self.run("SELECT owner_id FROM projects WHERE id = %s", (project,))
        return rows[0][0] if rows else None

    async def count(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for table in TABLES:
            ((number,),) = await self.run(f"SELECT count(*) FROM {table}")  # pyright: ignore[reportArgumentType] (of the names above)
            found[table] = number
        return found

    async def run(self, statement: LiteralString, row: tuple[object, ...] = ()) -> list[Any]:
        async with self.database.connection() as tx:
            cursor = await tx.execute(statement, row)
            return await cursor.fetchall() if cursor.description else []

    async def erase(self, now: datetime = NOW) -> int:
        return await closing.erase_due(self.database, now, GRACE)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_what_was_its_own_alone_is_gone_for_good(world: World) -> None:
    anna = await world.person("anna", closed=LONG_AGO)
    bert = await world.person("bert")
    await world.project(anna)
    await world.project(anna, deleted=NOW)
    kept = await world.project(bert)
    await world.joins(kept, anna, "editor")
    assert await world.erase() == 1
    assert await world.owner(kept) == bert
    assert await world.count() == {
        "users": 1,
        "projects": 1,
        "documents": 1,
        "journal": 1,
        "snapshots": 1,
        "project_collaborators": 0,
    }
    assert await world.erase() == 0


async def test_the_share_links_that_it_made_go_with_it(world: World) -> None:
    anna, bert = await world.person("anna", closed=LONG_AGO), await world.person("bert")
    project = await world.project(bert)
    for maker in (anna, bert):
        await world.run(LINK, (ids.new_id(), project, maker, NOW))
    assert await world.erase() == 1
    assert await world.run("SELECT created_by FROM project_links") == [(bert,)]


@pytest.mark.parametrize(
    ("closed", "erased"),
    [(None, 0), (NOW, 0), (NOW - GRACE + timedelta(seconds=1), 0), (NOW - GRACE, 1)],
)
async def test_only_what_is_due_is_erased(
    world: World, closed: datetime | None, erased: int
) -> None:
    await world.person("anna", closed=closed)
    assert await world.erase() == erased


@pytest.mark.parametrize(
    ("others", "heir"),
    [
        ([("viewer", 1), ("editor", 9), ("admin", 9)], 2),
        ([("viewer", 1), ("editor", 9)], 1),
        ([("admin", 5), ("admin", 2), ("admin", 7)], 1),
        ([("viewer", 3)], 0),
    ],
)
async def test_the_strongest_then_longest_standing_collaborator_inherits(
    world: World, others: list[tuple[str, int]], heir: int
) -> None:
    anna = await world.person("anna", closed=LONG_AGO)
    project = await world.project(anna)
    people = [await world.person(f"person{number}") for number in range(len(others))]
    for user, (role, day) in zip(people, others, strict=True):
        await world.joins(project, user, role, day)
    assert await world.erase() == 1
    assert await world.owner(project) == people[heir]
    left = await world.run("SELECT user_id FROM project_collaborators")
    assert {row[0] for row in left} == set(people) - {people[heir]}
    ((detail,),) = await world.run("SELECT count(*) FROM journal")
    assert detail == 1
    told = await world.run(
        "SELECT user_id, actor_id FROM audit_events WHERE kind = 'project.transferred'"
    )
    assert told == [(people[heir], anna)]


async def test_who_is_there_inherits_before_who_is_barred(world: World) -> None:
    anna = await world.person("anna", closed=LONG_AGO)
    project = await world.project(anna)
    gone = await world.person("gone", closed=NOW)
    unproven = await world.person("unproven", verified=False)
    barred, there = await world.person("barred"), await world.person("there")
    await world.run("UPDATE users SET disabled_at = now() WHERE id = %s", (barred,))
    for user, role in ((gone, "admin"), (barred, "admin"), (unproven, "editor"), (there, "viewer")):
        await world.joins(project, user, role)
    assert await world.erase() == 1
    assert await world.owner(project) == there


async def test_two_who_are_erased_together_do_not_inherit_from_each_other(world: World) -> None:
    anna = await world.person("anna", closed=LONG_AGO)
    bert = await world.person("bert", closed=LONG_AGO)
    first, second = await world.project(anna), await world.project(bert)
    await world.joins(first, bert, "admin")
    await world.joins(second, anna, "admin")
    assert await world.erase() == 2
    assert set((await world.count()).values()) == {0}


async def test_the_log_keeps_ids_and_forgets_places(world: World) -> None:
    anna = await world.person("anna", closed=LONG_AGO)
    bert = await world.person("bert")
    kind = audit.Kind.LOGIN
    place: dict[str, Any] = {"ip": "10.0.0.1", "agent": "Firefox"}
    async with world.database.transaction() as tx:
        await audit.record(tx, kind, at=NOW, user=anna, **place)
        await audit.record(tx, kind, at=NOW, user=bert, actor=anna, **place)
        await audit.record(tx, kind, at=NOW, user=anna, actor=bert, **place)
    await world.erase()
    rows = await world.run("SELECT user_id, actor_id, ip, user_agent FROM audit_events ORDER BY id")
    assert rows == [
        (anna, None, None, None),
        (bert, anna, None, None),
        (anna, bert, "10.0.0.1", "Firefox"),
        (anna, None, None, None),
    ]


async def test_rooms_are_told_of_what_passed_on_or_is_gone(world: World, redis: Redis) -> None:
    anna, bert = await world.person("anna", closed=LONG_AGO), await world.person("bert")
    shared, alone = await world.project(anna), await world.project(anna)
    await world.joins(shared, bert, "viewer")
    told: list[Change] = []
    changes = Changes(redis)
    changes.listen(told.append)
    await closing.erase_due(world.database, NOW, GRACE, changes=changes)
    assert set(told) == {ProjectChanged(shared), ProjectChanged(alone)}


async def test_two_processes_share_the_work(world: World) -> None:
    for number in range(12):
        await world.project(await world.person(f"person{number}", closed=LONG_AGO))
    counts: list[int] = []

    async def erase() -> None:
        counts.append(await world.erase())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(erase)
    assert sum(counts) == 12
    assert set((await world.count()).values()) == {0}


async def waiting(world: World, *, many: int = 1) -> list[int]:
    """The processes of PostgreSQL that wait for a lock, once there are so many."""
    with anyio.fail_after(10):
        while True:
            found = [row[0] for row in await world.run(WAITING)]
            if len(found) >= many:
                return found
            await anyio.sleep(0.01)


async def test_killed_half_way_nothing_is_half_erased(world: World) -> None:
    anna, bert = await world.person("anna", closed=LONG_AGO), await world.person("bert")
    shared = await world.project(anna)
    await world.project(anna)
    await world.joins(shared, bert, "editor")
    prefers = "INSERT INTO user_preferences VALUES (%s, '{}', now())"
    await world.run(prefers, (anna,))
    before = await world.count()

    async def erase() -> None:
        with pytest.raises(DatabaseUnavailable):
            await world.erase()

    async with world.database.transaction() as tx:
        # The last statement, after all projects, has to wait for this.
        await tx.execute("SELECT FROM user_preferences FOR UPDATE")
        async with anyio.create_task_group() as group:
            group.start_soon(erase)
            for process in await waiting(world):
                await world.run("SELECT pg_terminate_backend(%s)", (process,))
    assert await world.count() == before
    assert await world.owner(shared) == anna
    assert await world.erase() == 1
    assert await world.owner(shared) == bert


async def test_one_that_cannot_be_erased_does_not_keep_the_others(world: World) -> None:
    anna = await world.person("anna", closed=LONG_AGO - timedelta(days=1))
    await world.project(anna)
    await world.person("bert", closed=LONG_AGO)
    await world.run("CREATE TABLE debts (of uuid REFERENCES users)")
    await world.run("INSERT INTO debts VALUES (%s)", (anna,))
    with pytest.raises(ExceptionGroup) as caught:
        await world.erase()
    assert len(caught.value.exceptions) == 1
    left = await world.count()
    assert (left["users"], left["projects"], left["journal"]) == (1, 1, 1)


async def test_who_comes_back_while_being_erased_is_too_late(world: World) -> None:
    passwords = Passwords(cost=4)
    user = await accounts.register(
        world.database,
        passwords,
        email="anna@example.org",
        username="anna",
        password=PASSWORD,
        now=NOW,
    )
    await world.run("UPDATE users SET closed_at = %s", (LONG_AGO,))
    await world.run("INSERT INTO user_preferences VALUES (%s, '{}', now())", (user.id,))
    erased: list[int] = []

    async def erase() -> None:
        erased.append(await world.erase())

    async def come_back() -> None:
        with pytest.raises(InvalidCredentials):
            await closing.reopen(
                world.database,
                passwords,
                name="anna",
                password=PASSWORD,
                now=NOW,
                grace=NOW - LONG_AGO + timedelta(days=1),  # not due by this one's clock
                ip="",
                agent="",
            )

    async with anyio.create_task_group() as group, world.database.transaction() as tx:
        await tx.execute("SELECT FROM user_preferences FOR UPDATE")
        group.start_soon(erase)
        await waiting(world)
        group.start_soon(come_back)
        await waiting(world, many=2)
    assert erased == [1]


async def test_who_is_coming_back_is_not_erased(world: World) -> None:
    anna = await world.person("anna", closed=LONG_AGO)
    async with world.database.transaction() as tx:
        await tx.execute(closing.OPEN, (NOW, anna, LONG_AGO - timedelta(days=1)))
        assert await world.erase() == 0
    assert await world.erase() == 0
    assert (await world.count())["users"] == 1
