"""Rooms that are held: nothing happens in them, and afterwards nobody goes on as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from api import ports
from syncserver import hub
from syncserver.connection import Code
from tests.integration.docstore import people
from tests.integration.syncserver.test_hub import house, until

if TYPE_CHECKING:
    from base.db import Database


async def test_who_comes_meanwhile_waits_and_gets_a_new_room(database: Database) -> None:
    song = await people.song(database)
    a, b = people.letters("ab")
    async with house(database) as home, anyio.create_task_group() as group:
        old, one, wire = await home.enter(song)
        old.submit(one, a)
        got: list[object] = []

        async def come() -> None:
            got.append(await home.rooms.open(hub.Address(song.document_id, song.id)))

        async def say() -> None:
            got.append(await home.rooms.apply(song.document_id, b, None))

        async with home.rooms.held([song.document_id], code=4409, reason="anew"):
            # What was said before is stored; what is said now is not taken.
            async with database.connection() as tx:
                rows = await (await tx.execute("SELECT payload FROM journal")).fetchall()
            assert rows == [(a,)]
            old.submit(one, b)
            group.start_soon(come)
            group.start_soon(say)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert got == []
            assert wire.closed is None
        assert wire.closed == (4409, "anew")
        await until(lambda: len(got) == 2)
        assert old not in got
        assert ports.Applied(changed=True, pending=False) in got


async def test_when_it_fails_everybody_comes_back_and_reads_again(database: Database) -> None:
    song = await people.song(database)
    async with house(database) as home:
        old, _, wire = await home.enter(song)
        with pytest.raises(ConnectionError):
            async with home.rooms.held([song.document_id], code=4409, reason="anew"):
                raise ConnectionError
        assert wire.closed is not None
        assert wire.closed[0] == Code.TRY_LATER
        assert await home.rooms.open(hub.Address(song.document_id, song.id)) is not old


async def test_what_is_held_twice_is_held_one_after_the_other(database: Database) -> None:
    song, other = await people.song(database), await people.song(database, owner="ben")
    both = [song.document_id, other.document_id]
    inside = 0

    async def hold(home: hub.Hub) -> None:
        nonlocal inside
        async with home.held(both, code=4409, reason="anew"):
            inside += 1
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
                assert inside == 1
            inside -= 1

    async with house(database) as home:
        await home.enter(song)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(hold, home.rooms)
        assert inside == 0
