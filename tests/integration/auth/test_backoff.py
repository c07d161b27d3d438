"""Guessing gets slow, for the guesser more than for the one whose account it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

import base.redis
from auth.backoff import Backoff, TooManyAttempts, of_all
from auth.errors import InvalidCredentials
from base import clock, embedded
from base.redis import Redis, RedisUnavailable

if TYPE_CHECKING:
    from pathlib import Path

ME = "account:anna|203.0.113.9"


class Guesser:
    """Backoff with a clock that a test moves."""

    def __init__(self, redis: Redis) -> None:
        self.ahead = timedelta()
        self.backoff = Backoff(redis, now=lambda: clock.now() + self.ahead)

    async def wait(self, *subjects: str) -> int:
        """Seconds until the next attempt may be made; an attempt when it is 0."""
        try:
            await self.backoff.check("login", *subjects)
        except TooManyAttempts as told:
            return int(str(told.data["retry_after_seconds"]))
        return 0

    async def fail(self, times: int, *subjects: str) -> None:
        for _ in range(times):
            await self.backoff.failed("login", *subjects)

    def later(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


async def test_four_failures_are_free_then_each_wait_is_twice_as_long(redis: Redis) -> None:
    guesser, waits = Guesser(redis), list[int]()
    for _ in range(16):
        assert await guesser.wait(ME) == 0
        await guesser.fail(1, ME)
        waits.append(await guesser.wait(ME))
        guesser.later(max(waits[-1], 10) + 1)
    # (the probe of `wait` shuts the door after the fourth, where nobody has to wait)
    assert waits[:3] == [0, 0, 0]
    assert waits[4:] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_who_succeeds_begins_anew(redis: Redis) -> None:
    guesser = Guesser(redis)
    await guesser.fail(9, ME)
    assert await guesser.wait(ME) == 16
    await guesser.backoff.succeeded("login", ME)
    assert await guesser.wait(ME) == 0
    await guesser.fail(3, ME)
    assert await guesser.wait(ME) == 0


async def test_a_thousand_guesses_at_once_are_one(redis: Redis) -> None:
    guesser = Guesser(redis)
    await guesser.fail(6, ME)
    guesser.later(5)
    passed = list[int]()

    async def guess() -> None:
        if await guesser.wait(ME) == 0:
            passed.append(1)

    async with anyio.create_task_group() as everybody:
        for _ in range(1000):
            everybody.start_soon(guess)
    assert len(passed) == 1


async def test_a_burst_before_the_first_failure_is_a_dozen(redis: Redis) -> None:
    guesser, passed = Guesser(redis), list[int]()

    async def guess() -> None:
        if await guesser.wait(ME) == 0:
            passed.append(1)

    async with anyio.create_task_group() as everybody:
        for _ in range(200):
            everybody.start_soon(guess)
    assert len(passed) == 12
    assert await guesser.wait(ME) == 1


async def test_attempts_whose_process_died_are_given_up(redis: Redis) -> None:
    guesser = Guesser(redis)
    for _ in range(12):
        assert await guesser.wait(ME) == 0
    assert await guesser.wait(ME) == 1
    guesser.later(10)
    assert await guesser.wait(ME) == 0


@pytest.mark.parametrize("failures", [0, 9])
async def test_an_attempt_that_compared_nothing_leaves_no_trace(
    redis: Redis, failures: int
) -> None:
    guesser = Guesser(redis)
    await guesser.fail(failures, ME)
    guesser.later(900)
    for error in (RedisUnavailable, KeyboardInterrupt, anyio.get_cancelled_exc_class()) * 10:
        with pytest.raises(error):
            async with guesser.backoff.attempt("login", ME, wrong=InvalidCredentials):
                raise error
    assert await guesser.wait(ME) == 0


async def test_who_is_cancelled_while_comparing_gives_the_place_back(redis: Redis) -> None:
    guesser = Guesser(redis)
    for _ in range(20):
        with anyio.CancelScope() as gone:
            async with guesser.backoff.attempt("login", ME, wrong=InvalidCredentials):
                gone.cancel()
                await anyio.sleep_forever()
    assert await guesser.wait(ME) == 0


async def test_a_success_clears_what_is_not_kept(redis: Redis) -> None:
    guesser, kept = Guesser(redis), of_all("ip:203.0.113.9", kept=True)
    for _ in range(60):
        await guesser.backoff.failed("code", kept)
    await guesser.backoff.succeeded("code", ME, kept)
    with pytest.raises(TooManyAttempts):
        await guesser.backoff.check("code", kept)


async def test_one_purpose_does_not_slow_another(redis: Redis) -> None:
    guesser = Guesser(redis)
    await guesser.fail(9, ME)
    await guesser.backoff.check("code", ME)


async def test_a_stranger_elsewhere_does_not_keep_the_owner_out(redis: Redis) -> None:
    guesser, everywhere = Guesser(redis), of_all("account:anna")
    for _ in range(40):
        await guesser.backoff.failed("login", "account:anna|198.51.100.1", everywhere)
    assert await guesser.wait("account:anna|198.51.100.1") == 900
    await guesser.backoff.check("login", ME, everywhere)


async def test_guessing_from_everywhere_gets_slow_too_but_for_a_minute_at_most(
    redis: Redis,
) -> None:
    guesser, everywhere = Guesser(redis), of_all("account:anna")
    for number in range(80):
        await guesser.backoff.failed("login", f"account:anna|198.51.100.{number}", everywhere)
    with pytest.raises(TooManyAttempts) as told:
        await guesser.backoff.check("login", ME, everywhere)
    assert told.value.data["retry_after_seconds"] == 60
    guesser.later(61)
    await guesser.backoff.check("login", ME, everywhere)


async def test_while_one_waits_the_door_is_not_shut_for_the_other(redis: Redis) -> None:
    guesser = Guesser(redis)
    await guesser.fail(9, ME)
    await guesser.fail(4, "account:anna")
    assert await guesser.wait(ME, "account:anna") == 16
    assert await guesser.wait("account:anna") == 0


async def test_failures_are_forgotten_after_a_day_and_hold_no_names(redis: Redis) -> None:
    await Guesser(redis).fail(1, ME)
    [key] = await redis.client.keys("*")
    assert isinstance(key, bytes)
    assert key.startswith(b"backoff:login:")
    assert b"anna" not in key
    assert 86_000 < await redis.client.ttl(key) <= 86_400


async def test_without_redis_nothing_may_be_tried(tmp_path: Path) -> None:
    server = embedded.EmbeddedRedis(tmp_path)
    gone = await base.redis.Redis.connect(server.start())
    server.stop()
    backoff = Backoff(gone)
    for call in (backoff.check, backoff.failed, backoff.succeeded):
        with pytest.raises(RedisUnavailable):
            await call("login", ME)
    await gone.close()
