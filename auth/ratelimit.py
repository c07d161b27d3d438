"""How often somebody may ask: counters in Redis, a minute each.

Keys: `ratelimit:{ip}:{endpoint}` and `ratelimit:user:{id}:{endpoint}`, alive for at most a minute;
an IPv6 address counts by its /64. One script counts both, so nothing gets between reading and
writing, and each question costs one round trip.

What happens while Redis is away:

* `usual` and `connect` fail open: people go on working, `syncsphere_limits_unchecked_total` counts.
* `strict` fails closed with RedisUnavailable: nobody may guess passwords and codes uncounted. (The
  routes that it guards need Redis for sessions or codes anyway.)

Who found Redis away is remembered for a second, in which nobody else waits for it. Who is over a
limit is remembered in this process until the minute ends: refusing them costs no question.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from base import clock, log, metrics, redis
from base.addresses import group
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

WINDOW_MS: Final = 60_000

WAIT_SECONDS: Final = 2.0
"""For an answer; a Redis that hangs is as good as away."""

AWAY_SECONDS: Final = 1.0

REMEMBERED_MOST: Final = 10_000
"""Who is over at a time; beyond that, whoever was found so first is asked about again."""

USUAL: Final = "rest"

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
        self._store = store
        self._usual = usual
        self._strict = strict
        self._connects = connects
        self._monotonic = monotonic
        self._away_until = 0.0
        self._over: dict[str, float] = {}

    def refuse(self, endpoint: str, *, ip: str) -> None:
        """TooManyRequests for an address that is known to be over; before anything is looked at.

        endpoint: a guarded one, or USUAL.
        """
        limit = self._usual if endpoint == USUAL else self._strict
        if limit:
            self._refuse([_by_address(ip, endpoint)], limit)

    async def usual(self, *, ip: str, user: UUID | None) -> Count | None:
        """Count one ordinary request; None also when Redis is away. Raises TooManyRequests."""
        return await self._open(USUAL, self._usual, ip, user)

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
        keys = [_by_address(ip, endpoint)]
        if user is not None:
            keys.append(f"ratelimit:user:{user}:{endpoint}")
        self._refuse(keys, limit)
        found = await self._ask(keys)
        # The one who is nearer to the limit; of two as near, the one that waits longer.
        count, left_ms, key = max(zip(found[::2], found[1::2], keys, strict=True))
        if count > limit:
            self._remember(key, left_ms)
            raise TooManyRequests(retry_after_seconds=_seconds(left_ms), limit=limit)
        return Count(limit, limit - count, _seconds(left_ms))

    def _remember(self, key: str, left_ms: int) -> None:
        if key not in self._over and len(self._over) >= REMEMBERED_MOST:
            del self._over[next(iter(self._over))]
        self._over[key] = self._monotonic() + left_ms / 1000

    def _refuse(self, keys: list[str], limit: int) -> None:
        for key in keys:
            until = self._over.get(key)
            if until is None:
                continue
            left_ms = int((until - self._monotonic()) * 1000)
            if left_ms <= 0:
                del self._over[key]
            else:
                raise TooManyRequests(retry_after_seconds=_seconds(left_ms), limit=limit)

    async def _ask(self, keys: list[str]) -> list[int]:
        if self._monotonic() < self._away_until:
            raise redis.RedisUnavailable
        try:
            with redis.translated():
                async with asyncio.timeout(WAIT_SECONDS):
                    return await self._store.script(SCRIPT, keys, WINDOW_MS)
        except redis.RedisUnavailable as error:
            cause = error.__cause__ or error
            _log.warning("limits_without_redis", why=str(cause) or type(cause).__name__)
            self._away_until = self._monotonic() + AWAY_SECONDS
            raise


def _by_address(ip: str, endpoint: str) -> str:
    return f"ratelimit:{group(ip)}:{endpoint}"


def _seconds(left_ms: int) -> int:
    return max(1, -(-left_ms // 1000))
