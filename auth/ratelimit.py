"""How often somebody may ask: counters in Redis, a minute each.

Keys: `ratelimit:{ip}:{endpoint}` and `ratelimit:user:{id}:{endpoint}`, alive for at most a minute;
an IPv6 address counts by its /64. One script counts both, so nothing gets between reading and
writing, and each question costs one round trip.

What happens while Redis is away:

* `usual` and `connect` fail open: people go on working, `syncsphere_limits_unchecked_total` counts.
* `strict` fails closed with RedisUnavailable: nobody may guess passwords and codes uncounted. (The
  routes that it guards need Redis for sessions or codes anyway.)

Who found Redis away is remembered for a second, in which nobody else waits for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from base import clock, log, metrics, redis
from base.addresses import group
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

WINDOW_MS: Final = 60_000

WAIT_SECONDS: Final = 2.0
"""For an answer; a Redis that hangs is as good as away."""

AWAY_SECONDS: Final = 1.0

# A key without a time to live cannot come about here; should somebody make one, it gets one.
SCRIPT: Final = """
local counts = {}
for i, key in ipairs(KEYS) do
    local count = redis.call('INCR', key)
    local left = redis.call('PTTL', key)
    if left < 0 then
        redis.call('PEXPIRE', key, ARGV[1])
        left = tonumber(ARGV[1])
    end
    counts[2 * i - 1] = count
    counts[2 * i] = left
end
return counts
"""

_log = log.get(__name__)


class TooManyRequests(AppError):
    """Too many requests within a minute; wait as long as Retry-After says."""

    code = "too_many_requests"


class Count(NamedTuple):
    """Where somebody stands: so many in a minute, so many left, and when it begins anew."""

    limit: int
    remaining: int
    reset_seconds: int


class Limits:
    """Counts. A limit of 0 is none: nothing is counted, and None answered."""

    def __init__(
        self,
        store: redis.Redis,
        *,
        usual: int,
        strict: int,
        connects: int,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._script = store.client.register_script(SCRIPT)
        self._usual = usual
        self._strict = strict
        self._connects = connects
        self._monotonic = monotonic
        self._away_until = 0.0

    async def usual(self, *, ip: str, user: UUID | None) -> Count | None:
        """Count one ordinary request; None also when Redis is away. Raises TooManyRequests."""
        return await self._open("rest", self._usual, ip, user)

    async def strict(self, endpoint: str, *, ip: str, user: UUID | None) -> Count | None:
        """Count one request to a guarded endpoint. Raises TooManyRequests, RedisUnavailable."""
        return await self._count(endpoint, self._strict, ip, user)

    async def connect(self, *, ip: str) -> Count | None:
        """Count one new WebSocket; None also when Redis is away. Raises TooManyRequests."""
        return await self._open("connect", self._connects, ip, None)

    async def _open(self, endpoint: str, limit: int, ip: str, user: UUID | None) -> Count | None:
        try:
            return await self._count(endpoint, limit, ip, user)
        except redis.RedisUnavailable:
            metrics.limits_unchecked_total.labels(limit=endpoint).inc()
            return None

    async def _count(self, endpoint: str, limit: int, ip: str, user: UUID | None) -> Count | None:
        if limit == 0:
            return None
        keys = [f"ratelimit:{group(ip)}:{endpoint}"]
        if user is not None:
            keys.append(f"ratelimit:user:{user}:{endpoint}")
        found = await self._ask(keys)
        # The one who is nearer to the limit; of two as near, the one that waits longer.
        count, left_ms = max(zip(found[::2], found[1::2], strict=True))
        reset = max(1, -(-left_ms // 1000))
        if count > limit:
            raise TooManyRequests(retry_after_seconds=reset, limit=limit)
        return Count(limit, limit - count, reset)

    async def _ask(self, keys: list[str]) -> list[int]:
        if self._monotonic() < self._away_until:
            raise redis.RedisUnavailable
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await cast("Awaitable[list[int]]", self._script(keys=keys, args=[WINDOW_MS]))
        except (redis.Error, OSError) as error:  # a TimeoutError is an OSError
            _log.warning("limits_without_redis", why=str(error) or type(error).__name__)
            self._away_until = self._monotonic() + AWAY_SECONDS
            raise redis.RedisUnavailable from error
