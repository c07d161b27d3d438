"""auth.changes over a real Redis: what one process tells reaches the others, and what is lost is made up for."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import anyio
import pytest

from auth import changes
from base import embedded, metrics
from base.redis import Redis
from base.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

WITHIN = 10
ONE, TWO = UUID(int=1), UUID(int=2)
ALL = changes.EverythingMayHaveChanged()


class Process:
    """One that listens and remembers."""

    def __init__(self, store: Redis) -> None:
        self.changes = changes.Changes(store)
        self.heard: list[changes.Change] = []
        self.changes.listen(self.heard.append)


@asynccontextmanager
async def processes(store: Redis, count: int = 2) -> AsyncGenerator[list[Process]]:
    """So many that hear one another."""
    owner = Tasks()
    made = [Process(store) for _ in range(count)]
    try:
        for each in made:
            owner.spawn("changes", each.changes.run())
        for each in made:
            await until(lambda each=each: each.heard == [ALL])
            each.heard.clear()
        yield made
    finally:
        await owner.aclose()


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(WITHIN):
        while not true():  # noqa: ASYNC110 (in another task; there is no event to wait for)
            await anyio.sleep(0.005)


@pytest.mark.parametrize(
    "change",
    [
        changes.ProjectChanged(ONE),
        changes.SessionsEnded((ONE, TWO)),
        changes.SessionRenewed(ONE, datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
        changes.KeyRevoked(ONE),
        changes.AccountBarred(ONE),
        ALL,
    ],
    ids=lambda change: type(change).__name__,
)
async def test_a_change_is_heard_here_at_once_and_elsewhere_as_it_was_said(
    redis: Redis, change: changes.Change
) -> None:
    async with processes(redis) as (here, there):
        await here.changes.tell(change)
        assert here.heard == [change]
        await until(lambda: there.heard == [change])


async def test_nobody_hears_an_echo_and_everybody_hears_all_in_their_order(redis: Redis) -> None:
    async with processes(redis, 3) as (here, *others):
        told = [changes.ProjectChanged(UUID(int=number)) for number in range(200)]
        for change in told:
            await here.changes.tell(change)
        for other in others:
            await until(lambda other=other: other.heard == told)
        await others[0].changes.tell(ALL)
        await until(lambda: here.heard == [*told, ALL])


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"hello",
        b"{}",
        b'{"origin":"x","change":{"type":"of tomorrow","who":1}}',
        b'{"origin":"x","change":{"type":"project","project_id":"no id"}}',
        b"\xff\xfe",
    ],
)
async def test_what_is_not_understood_is_passed_over(redis: Redis, message: bytes) -> None:
    async with processes(redis) as (here, there):
        await redis.client.publish(changes.CHANNEL, message)
        await here.changes.tell(changes.KeyRevoked(ONE))
        await until(lambda: there.heard == [changes.KeyRevoked(ONE)])


async def test_a_field_that_a_newer_version_added_does_no_harm(redis: Redis) -> None:
    async with processes(redis, 1) as (here,):
        change = b'{"type":"key","key_id":"00000000-0000-0000-0000-000000000001","more":[1]}'
        await redis.client.publish(
            changes.CHANNEL, b'{"origin":"x","v":2,"change":' + change + b"}"
        )
        await until(lambda: here.heard == [changes.KeyRevoked(ONE)])


async def test_whoever_was_cut_off_hears_that_everything_may_have_changed(redis: Redis) -> None:
    async with processes(redis) as (here, there):
        await redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: here.heard == there.heard == [ALL])
        await here.changes.tell(changes.KeyRevoked(ONE))
        await until(lambda: there.heard == [ALL, changes.KeyRevoked(ONE)])


async def test_a_listener_that_fails_takes_nothing_from_the_others(redis: Redis) -> None:
    def fail(_: changes.Change) -> None:
        raise ValueError

    async with processes(redis) as (here, there):
        here.changes._listeners.insert(0, fail)
        await here.changes.tell(changes.KeyRevoked(ONE))
        assert here.heard == [changes.KeyRevoked(ONE)]
        await until(lambda: there.heard == [changes.KeyRevoked(ONE)])


@pytest.fixture
def mortal_redis() -> Iterator[embedded.EmbeddedRedis]:
    """A Redis that a test may stop."""
    # Not under pytest's tmp_path: its names are too long for sockets.
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-test-"))
    keeper = embedded.EmbeddedRedis(folder)
    keeper.start()
    yield keeper
    keeper.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def mortal_store(mortal_redis: embedded.EmbeddedRedis) -> AsyncGenerator[Redis]:
    store = await Redis.connect(mortal_redis.url)
    yield store
    await store.close()


async def test_while_redis_is_away_this_process_hears_itself_and_afterwards_that_much_was_missed(
    mortal_redis: embedded.EmbeddedRedis, mortal_store: Redis
) -> None:
    async with processes(mortal_store) as (here, there):
        mortal_redis.stop()
        before = _untold()
        with anyio.fail_after(5):
            await here.changes.tell(changes.KeyRevoked(ONE))
        assert here.heard == [changes.KeyRevoked(ONE)]
        assert _untold() == before + 1
        mortal_redis.start()
        await until(lambda: ALL in there.heard and ALL in here.heard)
        await there.changes.tell(changes.KeyRevoked(TWO))
        await until(lambda: changes.KeyRevoked(TWO) in here.heard)


async def test_what_redis_did_not_pass_on_is_made_up_for_although_nobody_was_cut_off(
    redis: Redis, mortal_store: Redis, mortal_redis: embedded.EmbeddedRedis
) -> None:
    async with processes(redis) as (here, there):
        here.changes._store = mortal_store
        mortal_redis.stop()
        await here.changes.tell(changes.KeyRevoked(ONE))
        here.changes._store = redis
        # As soon as it hears anything.
        await there.changes.tell(changes.KeyRevoked(TWO))
        await until(lambda: there.heard == [changes.KeyRevoked(TWO), ALL])


def _untold() -> float:
    [family] = metrics.access_changes_untold_total.collect()
    return next(one.value for one in family.samples if one.name.endswith("_total"))
