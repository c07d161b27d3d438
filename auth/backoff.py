"""Guessing made slow: who fails waits, twice as long each time.

Keys: `backoff:{purpose}:{sha256 of the subject}`, a hash of `failures` and `until` (ms since 1970),
forgotten a day after the last failure. Subjects hold what strangers type, so they are kept as
hashes: of one length, and without anybody's address in them.

After the free failures attempts come one at a time: whoever passes `check` shuts the door behind
them until `failed` or `succeeded` says more, so a thousand guesses at once are still one guess.

While Redis is away every method raises RedisUnavailable: nothing may be guessed uncounted.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from base import clock, redis
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

FREE: Final = 4
MOST_SECONDS: Final = 900
FREE_OF_ALL: Final = 50
MOST_SECONDS_OF_ALL: Final = 60
REMEMBERED_SECONDS: Final = 24 * 3600

ATTEMPT_SECONDS: Final = 10
"""An attempt that never says how it ended (its process died) keeps the door shut this long."""

# ARGV: now, attempt ms, then the free failures of each key. Answers the longest wait in ms.
CHECK: Final = """
local now, longest = tonumber(ARGV[1]), 0
for _, key in ipairs(KEYS) do
    local left = tonumber(redis.call('HGET', key, 'until') or '0') - now
    if left > longest then longest = left end
end
if longest == 0 then
    for i, key in ipairs(KEYS) do
        local failures = tonumber(redis.call('HGET', key, 'failures') or '0')
        if failures >= tonumber(ARGV[i + 2]) then
            redis.call('HSET', key, 'until', now + ARGV[2])
        end
    end
end
return longest
"""

# ARGV: now, seconds to remember, then free failures and most ms of each key.
FAILED: Final = """
local now = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
    local free, most = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    local failures = redis.call('HINCRBY', key, 'failures', 1)
    local wait = 0
    if failures > free then
        wait = math.min(most, 1000 * 2 ^ math.min(failures - free - 1, 30))
    end
    redis.call('HSET', key, 'until', string.format('%.0f', now + wait))
    redis.call('EXPIRE', key, ARGV[2])
end
return 0
"""


class TooManyAttempts(AppError):
    """Too many failed attempts; wait as long as Retry-After says."""

    code = "too_many_attempts"


class Subject(NamedTuple):
    """What failures are counted by, how many are free, and the longest wait after them."""

    text: str
    free: int = FREE
    most_seconds: int = MOST_SECONDS


def of_all(text: str) -> Subject:
    """A subject that strangers share, such as an account wherever its guessers are.

    Laxer, so that nobody can keep the account's owner out for longer than a minute.
    """
    return Subject(text, FREE_OF_ALL, MOST_SECONDS_OF_ALL)


class Backoff:
    """Remembers failures by purpose and subject; a plain text is a Subject of the usual strictness."""

    def __init__(self, store: redis.Redis, *, now: Callable[[], datetime] = clock.now) -> None:
        self._store = store
        self._now = now
        self._check = store.client.register_script(CHECK)
        self._failed = store.client.register_script(FAILED)

    async def check(self, purpose: str, *subjects: str | Subject) -> None:
        """Call before comparing. Raises TooManyAttempts while one of the subjects has to wait."""
        chosen = [_subject(each) for each in subjects]
        args = [self._now_ms(), ATTEMPT_SECONDS * 1000, *(each.free for each in chosen)]
        left_ms = await self._run(self._check, purpose, chosen, args)
        if left_ms > 0:
            raise TooManyAttempts(retry_after_seconds=-(-left_ms // 1000))

    async def failed(self, purpose: str, *subjects: str | Subject) -> None:
        """One more failure of each."""
        chosen = [_subject(each) for each in subjects]
        args = [self._now_ms(), REMEMBERED_SECONDS]
        for each in chosen:
            args += [each.free, each.most_seconds * 1000]
        await self._run(self._failed, purpose, chosen, args)

    async def succeeded(self, purpose: str, *subjects: str | Subject) -> None:
        """All is forgotten."""
        keys = [_key(purpose, _subject(each)) for each in subjects]
        try:
            await self._store.client.delete(*keys)
        except (redis.Error, OSError) as error:
            raise redis.RedisUnavailable from error

    async def _run(
        self,
        script: Callable[..., object],
        purpose: str,
        subjects: list[Subject],
        args: list[int],
    ) -> int:
        keys = [_key(purpose, each) for each in subjects]
        try:
            return await cast("Awaitable[int]", script(keys=keys, args=args))
        except (redis.Error, OSError) as error:
            raise redis.RedisUnavailable from error

    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)


def _subject(given: str | Subject) -> Subject:
    return Subject(given) if isinstance(given, str) else given


def _key(purpose: str, subject: Subject) -> str:
    return f"backoff:{purpose}:{hashlib.sha256(subject.text.encode()).hexdigest()}"
