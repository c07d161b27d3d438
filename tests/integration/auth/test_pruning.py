"""Old events and dead invitations go, in portions; what is young stays."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from auth import audit, pruning
from base import clock, ids

if TYPE_CHECKING:
    import pytest

    from base.db import Database

KEEP = timedelta(days=365)


async def test_events_are_kept_as_long_as_the_setting_says(database: Database) -> None:
    made = clock.now()
    async with database.transaction() as tx:
        for days in range(3):
            at = made + timedelta(days=days)
            await audit.record(tx, audit.Kind.LOGIN, at=at)
    now = made + KEEP + timedelta(days=1, hours=1)
    assert await pruning.prune(database, now, KEEP) == (2, 0)
    assert await pruning.prune(database, now, KEEP) == (0, 0)
    async with database.connection() as tx:
        [left], _ = await audit.page(tx, limit=10)
    assert left.at == made + timedelta(days=2)


async def test_more_than_a_portion_goes_in_several(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PORTION", 10)
    now = clock.now()
    async with database.transaction() as tx:
        for _ in range(35):
            await audit.record(tx, audit.Kind.LOGIN, at=now)
    later = now + KEEP + timedelta(minutes=1)
    assert await pruning.prune(database, later, KEEP) == (35, 0)


async def test_invitations_that_expired_are_deleted(database: Database) -> None:
    now, owner, project = clock.now(), ids.new_id(), ids.new_id()
    async with database.transaction() as tx:
        await tx.execute(
            """INSERT INTO users (id, email, username, username_key, created_at, updated_at)
            VALUES (%s, 'anna@example.org', 'anna', 'anna', now(), now())""",
            (owner,),
        )
        await tx.execute(
            """INSERT INTO projects (id, owner_id, name, room_id, kind, created_at, updated_at)
            VALUES (%s, %s, 'Night drive', 'room', 'studio', now(), now())""",
            (project, owner),
        )
        for number in range(2):
            await tx.execute(
                """INSERT INTO project_invitations
                    (id, project_id, email, role, token_sha256, invited_by, created_at, expires_at)
                VALUES (%s, %s, %s, 'viewer', %s, %s, %s, %s)""",
                (
                    ids.new_id(),
                    project,
                    f"{number}@example.org",
                    bytes([number]),
                    owner,
                    now,
                    now + timedelta(days=number),
                ),
            )
    assert await pruning.prune(database, now, KEEP) == (0, 1)
    assert await pruning.prune(database, now + timedelta(hours=23), KEEP) == (0, 0)
    assert await pruning.prune(database, now + timedelta(days=1), KEEP) == (0, 1)
