"""When what somebody came in with ends, and how a socket finds out that it was renewed, or that it is over."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
import redis.asyncio

from auth import accounts, keys
from auth.changes import Changes
from auth.identity import Identities
from base import clock, embedded
from base.redis import Redis
from tests.e2e import wire
from tests.integration.syncserver.process import (
    ENDED,
    EXPIRED,
    SECRET,
    Process,
    SlowGate,
    Somebody,
    ends,
    process,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from base.db import Database
    from docstore import projects

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def here(database: Database, redis: Redis) -> AsyncGenerator[Process]:
    async with process(database, redis) as one:
        yield one


@pytest.fixture
async def ann(here: Process) -> Somebody:
    return await here.somebody()


@pytest.fixture
async def song(here: Process, ann: Somebody) -> projects.Project:
    return await here.song(ann)


async def refresh_elsewhere(here: Process, redis_: Redis, who: Somebody) -> None:
    """In another process, whose word that it did so is lost."""
    nowhere = Redis(redis.asyncio.Redis(host="127.0.0.1", port=1), "")
    there = Identities.assemble(
        here.settings,
        database=here.database,
        redis=redis_,
        changes=Changes(nowhere),
        secret=SECRET,
        now=here.now,
    )
    await there.refresh(who.signed.refresh_token, ip="192.0.2.1", agent="")
    await nowhere.close()


def life(here: Process) -> timedelta:
    return timedelta(minutes=here.settings.access_minutes)


async def test_a_renewal_that_was_not_heard_of_counts(
    here: Process, redis: Redis, ann: Somebody, song: projects.Project
) -> None:
    forgotten = await here.sign_in(ann.id, ann.name)
    async with here.enter(song, ann.token) as renewed, here.enter(song, forgotten.token) as other:
        await renewed.pull()
        await other.pull()
        here.ahead = life(here) - MINUTE
        await refresh_elsewhere(here, redis, ann)
        here.ahead = life(here) + timedelta(seconds=1)
        assert await ends(other) == EXPIRED
        await renewed.acknowledged()
        here.ahead = 2 * life(here) - 2 * MINUTE
        await renewed.acknowledged()
        here.ahead = 2 * life(here)
        assert await ends(renewed) == EXPIRED


async def test_who_enters_with_the_older_of_two_tokens_stays_as_long_as_with_the_newer(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    here.ahead = life(here) - MINUTE
    await here.parts.identities.refresh(ann.signed.refresh_token, ip="192.0.2.1", agent="")
    async with here.enter(song, ann.token) as peer:
        await peer.pull()
        here.ahead = life(here) + MINUTE
        await anyio.sleep(0.2)
        await peer.acknowledged()
        here.ahead = 2 * life(here)
        assert await ends(peer) == EXPIRED


async def test_a_renewal_while_somebody_is_being_admitted_counts(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    here.reception._gate = gate = SlowGate(here.gate)
    async with here.enter(song, ann.token) as peer:
        await gate.answered.wait()
        here.ahead = life(here) - MINUTE
        await here.parts.identities.refresh(ann.signed.refresh_token, ip="192.0.2.1", agent="")
        gate.go_on.set()
        await peer.pull()
        here.ahead = life(here) + MINUTE
        await anyio.sleep(0.2)
        await peer.acknowledged()


async def test_a_session_that_ended_unheard_ends_its_sockets_with_their_token_at_the_latest(
    here: Process, redis: Redis, ann: Somebody, song: projects.Project
) -> None:
    async with here.enter(song, ann.token) as peer:
        await peer.pull()
        await redis.client.delete(f"session:{ann.signed.session_id}")
        here.ahead = life(here)
        assert await ends(peer) == ENDED


@asynccontextmanager
async def mortal() -> AsyncGenerator[tuple[embedded.EmbeddedRedis, Redis]]:
    """A Redis that a test may stop."""
    # Not under pytest's tmp_path: its names are too long for sockets.
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-test-"))
    keeper = embedded.EmbeddedRedis(folder)
    try:
        store = await Redis.connect(keeper.start())
        yield keeper, store
        await store.close()
    finally:
        keeper.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def test_while_redis_is_away_who_is_here_stays_and_is_asked_about_when_it_is_back(
    database: Database,
) -> None:
    async with mortal() as (keeper, store), process(database, store) as here:
        ann = await here.somebody()
        song, renewed = await here.song(ann), await here.sign_in(ann.id, ann.name)
        async with here.enter(song, ann.token) as over, here.enter(song, renewed.token) as stays:
            await over.pull()
            await stays.pull()
            here.ahead = life(here) - MINUTE
            await refresh_elsewhere(here, store, renewed)
            await anyio.to_thread.run_sync(keeper.stop)
            here.ahead = life(here) + MINUTE
            await anyio.sleep(0.2)
            await over.acknowledged()
            await stays.acknowledged()
            await anyio.to_thread.run_sync(keeper.start)
            with anyio.fail_after(10):
                assert await over.closed() == EXPIRED
            await stays.acknowledged()


async def disabled_unheard(here: Process, who: Somebody) -> None:
    """By somebody at the database, or by a process that died before it ended anything."""
    async with here.database.transaction() as tx:
        assert await accounts.disable(tx, who.id, clock.now())


async def test_accounts_that_may_not_act_are_found_from_time_to_time(
    here: Process, ann: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await here.somebody()
    song = await here.song(ann, public=True)
    async with here.database.transaction() as tx:
        _, key = await keys.create(
            tx,
            bob.id,
            name="a robot",
            scopes=["read"],
            project_id=None,
            expires_at=None,
            now=clock.now(),
        )
    async with (
        here.enter(song, bob.token) as goes,
        here.enter(song, key) as robot,
        here.enter(song, ann.token) as stays,
    ):
        for peer in (goes, robot, stays):
            await peer.pull()
        await disabled_unheard(here, bob)
        monkeypatch.setattr("syncserver.watch._SWEEP_SECONDS", 0.0)
        assert await ends(goes) == await ends(robot) == ENDED
        await stays.acknowledged()


async def test_accounts_are_asked_about_although_redis_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mortal() as (keeper, store), process(database, store) as here:
        ann = await here.somebody()
        async with here.enter(await here.song(ann), ann.token) as peer:
            await peer.pull()
            await anyio.to_thread.run_sync(keeper.stop)
            await disabled_unheard(here, ann)
            monkeypatch.setattr("syncserver.watch._SWEEP_SECONDS", 0.0)
            assert await ends(peer) == ENDED


async def test_who_cannot_be_judged_has_to_come_again_and_holds_up_nobody(
    here: Process, ann: Somebody, song: projects.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with here.enter(song, ann.token) as one, here.enter(song, ann.token) as other:
        await one.pull()
        await other.pull()

        def judged(*_: object, **__: object) -> None:
            raise ValueError

        monkeypatch.setattr("syncserver.session.Session.judged", judged)
        here.watch._look(song.id)
        lost = wire.Closed(1011, "what you may do could not be looked at")
        assert await ends(one) == await ends(other) == lost


async def test_who_cannot_be_closed_holds_up_nobody(
    here: Process, ann: Somebody, song: projects.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with here.enter(song, ann.token) as one, here.enter(song, ann.token) as other:
        await one.pull()
        await other.pull()
        # Whichever of the two it is that has its turn first.
        real = type(next(iter(here.reception.sessions))).end
        turns: list[object] = []

        def end(each: object, *why: object) -> None:
            turns.append(each)
            if len(turns) == 1:
                raise ValueError
            real(each, *why)  # pyright: ignore[reportArgumentType] (what it was given)

        monkeypatch.setattr("syncserver.session.Session.end", end)
        await here.parts.identities.end(ann.id, ann.signed.session_id)
        assert len(turns) == 2
