"""People without an account are counted by where they come from: nobody holds more sockets by not signing in."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

from auth import links
from auth.permissions import Role
from base import clock
from tests.e2e import wire
from tests.integration.syncserver.process import process
from tests.integration.syncserver.sockets import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from base.db import Database
    from base.redis import Redis
    from docstore import projects
    from tests.integration.syncserver.process import Process, Somebody

MOST = 3
TOO_MANY = wire.Closed(
    4429, f"{MOST} connections without an account come from your address already; sign in"
)


@pytest.fixture
async def here(database: Database, redis: Redis) -> AsyncGenerator[Process]:
    """A server behind a proxy, which is where the tests connect from."""
    async with process(
        database, redis, connections_per_user=MOST, trusted_proxies="127.0.0.1, 10.0.0.0/8"
    ) as one:
        yield one


@pytest.fixture
async def ann(here: Process) -> Somebody:
    return await here.somebody()


@pytest.fixture
async def song(here: Process, ann: Somebody) -> projects.Project:
    return await here.song(ann, public=True)


class Crowd:
    """Opens sockets and keeps them open."""

    def __init__(self, here: Process, song: projects.Project, stack: AsyncExitStack) -> None:
        self._here = here
        self._song = song
        self._stack = stack

    async def come(
        self, claimed: str | None, token: str | None = None, link: str | None = None
    ) -> wire.Closed | None:
        """How it was closed; None: it is in."""
        headers = {"X-Forwarded-For": claimed} if claimed else None
        more = {"link": link} if link else {}
        peer = await self._stack.enter_async_context(
            self._here.enter(self._song, token, headers=headers, **more)
        )
        try:
            await peer.pull()
        except ConnectionClosed:
            return await peer.closed()
        return None


async def test_a_crowd_of_guests_from_one_address_is_turned_away_and_nobody_else(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    async with AsyncExitStack() as stack:
        crowd = Crowd(here, song, stack)
        assert [await crowd.come("192.0.2.7") for _ in range(MOST + 2)] == [None] * MOST + [
            TOO_MANY
        ] * 2
        # What a client puts in front of the proxy's word is not believed.
        assert await crowd.come("198.51.100.1, 192.0.2.7") == TOO_MANY
        assert await crowd.come("192.0.2.8") is None
        # An account has a count of its own, wherever it is, and guests do not use it up.
        own = [await crowd.come("192.0.2.7", ann.token) for _ in range(MOST + 1)]
        assert own[:-1] == [None] * MOST
        assert own[-1] == wire.Closed(4429, f"you may have {MOST} connections at a time")


async def test_share_links_do_not_make_more_of_one_guest(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    tokens: list[str] = []
    for _ in range(MOST):
        async with here.database.transaction() as tx:
            _, token = await links.make(
                tx,
                song.id,
                by=ann.id,
                role=Role.EDITOR,
                name="",
                expires_at=None,
                now=clock.now(),
            )
            tokens.append(token)
    async with AsyncExitStack() as stack:
        crowd = Crowd(here, song, stack)
        assert [await crowd.come("192.0.2.7", each) for each in tokens] == [None] * MOST
        assert await crowd.come("192.0.2.7", link=tokens[0]) == TOO_MANY
        assert await crowd.come("192.0.2.7") == TOO_MANY


async def test_the_addresses_of_one_ipv6_site_count_as_one(
    here: Process, song: projects.Project
) -> None:
    async with AsyncExitStack() as stack:
        crowd = Crowd(here, song, stack)
        for number in range(MOST):
            assert await crowd.come(f"2001:db8:0:1::{number}") is None
        assert await crowd.come("2001:db8:0:1:ffff::1") == TOO_MANY
        assert await crowd.come("2001:db8:0:2::1") is None


async def test_only_who_was_in_leaves_a_place_behind(here: Process, song: projects.Project) -> None:
    async with AsyncExitStack() as all_day:
        patient = Crowd(here, song, all_day)
        for _ in range(MOST - 1):
            assert await patient.come(None) is None
        async with AsyncExitStack() as a_while:
            crowd = Crowd(here, song, a_while)
            assert await crowd.come(None) is None
            assert await crowd.come(None) == TOO_MANY
            await until(lambda: len(here.reception.sessions) == MOST)
            # That one of them was refused and has gone makes no room for more.
            assert await crowd.come(None) == TOO_MANY
        await until(lambda: len(here.reception.sessions) == MOST - 1)
        assert await patient.come(None) is None
        assert await patient.come(None) == TOO_MANY
