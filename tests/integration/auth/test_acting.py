"""A connection that acted for somebody goes back to the pool as the server's own."""

from __future__ import annotations

from uuid import UUID

import anyio
import psycopg
import pytest

from base.db import Database

BEN, SONG = UUID(int=1), UUID(int=2)


async def test_a_connection_comes_back_as_the_servers_own(database_url: str) -> None:
    # One connection: whoever comes next gets the one that was used before.
    alone = await Database.open(database_url, size=1)

    async def who() -> tuple[object, ...] | None:
        async with alone.connection() as tx:
            cursor = await tx.execute(
                "SELECT current_user <> 'syncsphere_member', syncsphere_user(), syncsphere_linked(),"
                " (SELECT count(*) FROM audit_events)"
            )
            return await cursor.fetchone()

    server = (True, None, None, 0)
    async with alone.acting(BEN, link_to=SONG) as tx:
        cursor = await tx.execute("SELECT current_user::text, syncsphere_user()")
        assert await cursor.fetchone() == ("syncsphere_member", BEN)
    assert await who() == server

    async def fails() -> None:
        async with alone.acting(BEN):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await who() == server
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with alone.acting(BEN) as tx:
            await tx.execute("SELECT 1 / 0")
    assert await who() == server

    held = anyio.Event()

    async def waits() -> None:
        async with alone.acting(BEN) as tx:
            held.set()
            await tx.execute("SELECT pg_sleep(60)")

    async with anyio.create_task_group() as group:
        group.start_soon(waits)
        await held.wait()
        group.cancel_scope.cancel()
    assert await who() == server
    await alone.close()
