"""How often somebody may ask, counted in a real Redis; and what happens when it is gone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

import base.redis
from auth.ratelimit import Limits, TooManyRequests
from base import clock, embedded, ids, metrics
from base.redis import Redis, RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from prometheus_client import Counter

IP = "203.0.113.9"


def limits(redis: Redis, usual: int = 3) -> Limits:
    return Limits(redis, usual=usual, strict=2, connects=2)


async def test_the_last_request_of_a_minute_passes_and_the_next_is_told_how_long_to_wait(
    redis: Redis,
) -> None:
    counts = [await limits(redis).usual(ip=IP, user=None) for _ in range(3)]
    assert [count.remaining for count in counts if count] == [2, 1, 0]
    assert all(count and count.limit == 3 and 0 < count.reset_seconds <= 60 for count in counts)
    with pytest.raises(TooManyRequests) as refused:
        await limits(redis).usual(ip=IP, user=None)
    assert refused.value.data["limit"] == 3
    assert 0 < int(str(refused.value.data["retry_after_seconds"])) <= 60


async def test_a_minute_later_it_begins_anew(redis: Redis) -> None:
    for _ in range(3):
        await limits(redis).usual(ip=IP, user=None)
    [key] = await redis.client.keys("ratelimit:*")
    assert key == f"ratelimit:{IP}:rest".encode()
    assert 0 < await redis.client.ttl(key) <= 60
    await redis.client.pexpire(key, 1)
    while await redis.client.exists(key):  # noqa: ASYNC110 (Redis tells nobody)
        await anyio.sleep(0.001)
    assert await limits(redis).usual(ip=IP, user=None)


async def test_another_address_does_not_help_the_same_user(redis: Redis) -> None:
    user = ids.new_id()
    for last in range(3):
        await limits(redis).usual(ip=f"203.0.113.{last}", user=user)
    with pytest.raises(TooManyRequests):
        await limits(redis).usual(ip="203.0.113.77", user=user)
    assert await limits(redis).usual(ip="203.0.113.77", user=None)


async def test_many_users_do_not_help_the_same_address(redis: Redis) -> None:
    for _ in range(3):
        await limits(redis).usual(ip=IP, user=ids.new_id())
    with pytest.raises(TooManyRequests):
        await limits(redis).usual(ip=IP, user=ids.new_id())


async def test_another_address_of_the_same_ipv6_network_does_not_help(redis: Redis) -> None:
    for last in range(3):
        await limits(redis).usual(ip=f"2001:db8::{last}", user=None)
    with pytest.raises(TooManyRequests):
        await limits(redis).usual(ip="2001:db8::ffff", user=None)


async def test_guarded_endpoints_are_counted_each_by_itself(redis: Redis) -> None:
    for _ in range(2):
        await limits(redis).strict("login", ip=IP, user=None)
        await limits(redis).strict("reset", ip=IP, user=None)
        await limits(redis).connect(ip=IP)
    for asked in ("login", "reset"):
        with pytest.raises(TooManyRequests):
            await limits(redis).strict(asked, ip=IP, user=None)
    with pytest.raises(TooManyRequests):
        await limits(redis).connect(ip=IP)


async def test_a_thousand_at_once_are_counted_one_by_one(redis: Redis) -> None:
    asked, passed = limits(redis, usual=100), 0

    async def ask() -> None:
        nonlocal passed
        try:
            await asked.usual(ip=IP, user=None)
        except TooManyRequests:
            return
        passed += 1

    async with anyio.create_task_group() as everybody:
        for _ in range(1000):
            everybody.start_soon(ask)
    assert passed == 100


async def test_who_is_over_is_refused_without_asking_until_the_minute_ends(redis: Redis) -> None:
    moment = clock.monotonic()
    asked = Limits(redis, usual=3, strict=2, connects=2, monotonic=lambda: moment)
    for _ in range(2):
        asked.refuse("login", ip=IP)
        await asked.strict("login", ip=IP, user=None)
    with pytest.raises(TooManyRequests):
        await asked.strict("login", ip=IP, user=None)
    await redis.client.flushdb()
    with pytest.raises(TooManyRequests) as refused:
        asked.refuse("login", ip=IP)
    assert refused.value.data["limit"] == 2
    assert 58 <= int(str(refused.value.data["retry_after_seconds"])) <= 60
    with pytest.raises(TooManyRequests):
        await asked.strict("login", ip=IP, user=None)
    assert await redis.client.dbsize() == 0
    asked.refuse("reset", ip=IP)
    asked.refuse("login", ip="203.0.113.10")
    moment += 61
    asked.refuse("login", ip=IP)
    assert await asked.strict("login", ip=IP, user=None)


async def test_only_so_many_are_remembered(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.ratelimit.REMEMBERED_MOST", 3)
    asked = limits(redis)
    for last in range(5):
        for _ in range(2):
            await asked.connect(ip=f"203.0.113.{last}")
        with pytest.raises(TooManyRequests):
            await asked.connect(ip=f"203.0.113.{last}")
    assert len(asked._over) == 3


async def test_no_limit_counts_nothing(redis: Redis) -> None:
    free = Limits(redis, usual=0, strict=0, connects=0)
    assert await free.usual(ip=IP, user=None) is None
    assert await free.strict("login", ip=IP, user=None) is None
    assert await free.connect(ip=IP) is None
    assert await redis.client.dbsize() == 0


@pytest.fixture
async def gone(tmp_path: Path) -> AsyncGenerator[Redis]:
    """A Redis that was there when we connected."""
    server = embedded.EmbeddedRedis(tmp_path)
    connected = await base.redis.Redis.connect(server.start())
    server.stop()
    yield connected
    await connected.close()


def _value(counter: Counter) -> float:
    [family] = counter.collect()
    return next(each.value for each in family.samples if each.name.endswith("_total"))


async def test_without_redis_people_work_on_uncounted(gone: Redis) -> None:
    counter = metrics.limits_unchecked_total.labels(limit="rest")
    before = _value(counter)
    assert await limits(gone).usual(ip=IP, user=None) is None
    assert await limits(gone).connect(ip=IP) is None
    assert _value(counter) == before + 1


async def test_without_redis_nobody_guesses_uncounted(gone: Redis) -> None:
    with pytest.raises(RedisUnavailable):
        await limits(gone).strict("login", ip=IP, user=None)


async def test_an_absent_redis_is_not_asked_again_for_a_second(redis: Redis) -> None:
    moment = clock.monotonic()
    url = redis.url
    asked = Limits(redis, usual=3, strict=2, connects=2, monotonic=lambda: moment)
    asked._away_until = moment + 1.0
    assert await asked.usual(ip=IP, user=None) is None
    with pytest.raises(RedisUnavailable):
        await asked.strict("login", ip=IP, user=None)
    assert await redis.client.dbsize() == 0, url
    moment += 1.5
    assert await asked.usual(ip=IP, user=None)


async def test_a_redis_that_hangs_is_as_good_as_away(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth.ratelimit.WAIT_SECONDS", 0.05)
    asked = limits(redis)
    await redis.client.client_pause(500)
    started = clock.monotonic()
    assert await asked.usual(ip=IP, user=None) is None
    for _ in range(100):
        assert await asked.usual(ip=IP, user=None) is None
    assert clock.monotonic() - started < 0.4
    await redis.client.client_unpause()


async def test_questions_given_up_leave_no_wrong_answers_behind(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = limits(redis, usual=1000)
    monkeypatch.setattr("auth.ratelimit.WAIT_SECONDS", 0.05)
    await redis.client.client_pause(300)
    async with anyio.create_task_group() as everybody:
        for _ in range(40):  # more than there are connections
            everybody.start_soon(partial(asked.usual, ip=IP, user=None))
    monkeypatch.setattr("auth.ratelimit.WAIT_SECONDS", 5.0)
    asked._away_until = 0.0
    await redis.client.set("key", "value")
    for number in range(1, 41):
        count = await asked.usual(ip="198.51.100.1", user=None)
        assert count
        assert count.remaining == 1000 - number
        assert await redis.client.get("key") == b"value"
