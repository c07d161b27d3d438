"""Who is let in, by what they bring and where from: the gate with real accounts, PostgreSQL and Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

from auth import cookies
from base import clock
from syncserver.transport import Request
from tests.e2e import wire
from tests.integration.syncserver.process import Process, process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from base.db import Database
    from base.redis import Redis

OURS = "https://sync.example"
FRIENDS = "https://studio.example"
STRANGERS = "https://evil.example"
SAME_HOST = "http://127.0.0.1"


@pytest.fixture
async def here(database: Database, redis: Redis) -> AsyncGenerator[Process]:
    """A server that is reached through a proxy and lets pages of two origins in."""
    async with process(
        database,
        redis,
        public_url=OURS,
        allowed_origins=FRIENDS,
        trusted_proxies="10.0.0.0/8",
        connects_per_minute=5,
    ) as one:
        yield one


def cookie(token: str) -> dict[str, str]:
    return {"Cookie": f"other=1; {cookies.ACCESS}={token}"}


async def said(peer: wire.Peer) -> wire.Closed | None:
    """How it was closed; None: it is in."""
    try:
        await peer.pull()
    except ConnectionClosed:
        return await peer.closed()
    return None


@pytest.mark.parametrize("origin", [OURS, FRIENDS, None])
async def test_pages_that_are_known_and_programs_enter_with_a_token(
    here: Process, origin: str | None
) -> None:
    ann = await here.somebody()
    async with here.enter(await here.song(ann), ann.token, origin=origin) as peer:
        assert await said(peer) is None


@pytest.mark.parametrize(
    "origin", [STRANGERS, "null", "https://sync.example.evil.example", "http://sync.example"]
)
async def test_a_strangers_page_does_not_enter_not_even_with_a_token(
    here: Process, origin: str
) -> None:
    ann = await here.somebody()
    async with here.enter(await here.song(ann), ann.token, origin=origin) as peer:
        assert await said(peer) == wire.Closed(4403, "origin_not_allowed")


@pytest.mark.parametrize("origin", [OURS, FRIENDS])
async def test_our_pages_enter_with_a_cookie(here: Process, origin: str) -> None:
    ann = await here.somebody()
    song = await here.song(ann)
    async with here.enter(song, headers=cookie(ann.token), origin=origin) as peer:
        assert await said(peer) is None


async def test_a_cookie_without_a_page_is_not_looked_at(here: Process) -> None:
    ann = await here.somebody()
    async with here.enter(await here.song(ann), headers=cookie(ann.token)) as peer:
        assert await said(peer) == wire.Closed(4401, "token_missing")


async def test_where_any_page_may_call_none_but_ours_may_use_the_cookie(
    database: Database, redis: Redis
) -> None:
    """Cross-site WebSocket hijacking: the browser of somebody signed in adds the cookie to a stranger's request."""
    async with process(database, redis, allowed_origins="*") as here:
        ann = await here.somebody()
        song = await here.song(ann)
        async with here.enter(song, headers=cookie(ann.token), origin=STRANGERS) as peer:
            assert await said(peer) == wire.Closed(4401, "token_missing")
        own = f"{SAME_HOST}:{here.port}"
        async with here.enter(song, headers=cookie(ann.token), origin=own) as peer:
            assert await said(peer) is None


async def test_what_was_shown_counts_and_not_what_lies_beside_it(here: Process) -> None:
    ann, bob = await here.somebody(), await here.somebody()
    song = await here.song(ann)
    async with here.enter(song, bob.token, headers=cookie(ann.token), origin=OURS) as peer:
        assert (await said(peer)) == wire.Closed(4404, "there is no such room")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("ssk_" + "A" * 64, "token_invalid"),
        ("ssk_", "token_invalid"),
        ("ssl_" + "A" * 64, "link_invalid"),
        ("ssl_é", "link_invalid"),
        ("a.b.c", "token_invalid"),
        ("\0", "token_invalid"),
    ],
)
async def test_what_opens_nothing_says_what_it_is_not(
    here: Process, token: str, reason: str
) -> None:
    ann = await here.somebody()
    song = await here.song(ann, public=True)
    async with here.enter(song, token) as peer:
        assert await said(peer) == wire.Closed(4401, reason)


async def test_a_bad_link_beside_a_good_token_is_refused(here: Process) -> None:
    ann = await here.somebody()
    async with here.enter(await here.song(ann), ann.token, link="ssl_x") as peer:
        assert await said(peer) == wire.Closed(4401, "link_invalid")


async def test_who_connects_too_often_waits_and_others_do_not(here: Process) -> None:
    ann = await here.somebody()
    song = await here.song(ann)
    ends: list[wire.Closed | None] = []
    for _ in range(7):
        async with here.enter(song, ann.token) as peer:
            ends.append(await said(peer))
    too_often = wire.Closed(1013, "too many connections; wait")
    assert ends == [None] * 5 + [too_often] * 2
    # Whoever says that they are somebody else is not believed: only the proxies are.
    for claimed in ("192.0.2.7", "10.0.0.1", "192.0.2.7, 10.0.0.1"):
        headers = {"X-Forwarded-For": claimed}
        async with here.enter(song, ann.token, headers=headers) as peer:
            assert await said(peer) == too_often
    request = Request(f"/sync/{song.room_id}", {"token": ann.token}, (), None, "10.0.0.9")
    for client in range(3):
        behind = request._replace(forwarded=f"127.0.0.1, 192.0.2.{client}, 10.0.0.1")
        assert [await here.gate.count(behind) for _ in range(6)][4:] == [
            None,
            (1013, too_often.reason),
        ]


async def test_while_redis_hangs_a_door_that_is_open_stays_open(
    here: Process, redis: Redis
) -> None:
    """Counting is given up after a while; whoever needs no session needs no Redis."""
    song = await here.song(await here.somebody(), public=True)
    hangs = 4.0
    await redis.client.execute_command("CLIENT", "PAUSE", str(int(hangs * 1000)), "ALL")
    started = clock.monotonic()
    async with here.enter(song) as peer:
        assert await said(peer) is None
        assert clock.monotonic() - started < hangs
