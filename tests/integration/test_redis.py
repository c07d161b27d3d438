"""Redis: reached, or clearly not."""

from __future__ import annotations

import pytest

from base.redis import Redis, RedisUnavailable


async def test_a_test_gets_an_empty_redis_that_speaks_bytes(redis: Redis) -> None:
    assert await redis.client.dbsize() == 0
    await redis.client.set("key", "value")
    assert await redis.client.get("key") == b"value"


async def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(RedisUnavailable):
        await Redis.connect("unix:///nowhere/redis.sock")
