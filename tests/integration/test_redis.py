"""Redis: reached, or clearly not."""

from __future__ import annotations

import anyio
import pytest

from base.redis import Redis, RedisUnavailable


async def test_a_test_gets_an_empty_redis_that_speaks_bytes(redis: Redis) -> None:
    assert await redis.client.dbsize() == 0
    await redis.client.set("key", "value")
    assert await redis.client.get("key") == b"value"


async def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(RedisUnavailable, match=r"unix:///nowhere/redis\.sock .*_REDIS_URL"):
        await Redis.connect("unix:///nowhere/redis.sock")


async def test_an_address_where_nobody_is_is_told_without_its_password() -> None:
    with pytest.raises(RedisUnavailable, match=r"redis://:\*\*\*@127\.0\.0\.1:1 ") as away:
        await Redis.connect("redis://:hush@127.0.0.1:1")
    assert "hush" not in str(away.value)


async def test_a_thousand_questions_at_once_are_all_answered(redis: Redis) -> None:
    await redis.client.set("key", "value")
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await redis.client.get("key"))

    async with anyio.create_task_group() as everybody:
        for _ in range(1000):
            everybody.start_soon(ask)
    assert answers == [b"value"] * 1000
