"""Guessing made slow: who fails waits, twice as long each time.

Keys: `backoff:{purpose}:{sha256 of the subject}`, a hash of `failures` and `until` (ms since 1970),
forgotten a day after the last failure; and the same with `:pending` behind it, the attempts under
way by the moment when they are given up. Subjects hold what strangers type, so they are kept as
hashes: of one length, and without anybody's address in them.

An attempt under way counts as a failure until it has ended, but for a small allowance: a thousand
guesses at once are a dozen, and an honest person's few windows all pass. After the free failures
attempts come one at a time.

What strangers share, such as an account wherever its guessers are, is not asked about where its
owner has come in before: `known:{whose}`, networks as hashes, by the moment when they are forgotten.

While Redis is away every method raises RedisUnavailable: nothing may be guessed uncounted.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from base import addresses, clock, redis
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

FREE: Final = 4
MOST_SECONDS: Final = 900
FREE_OF_ALL: Final = 50
MOST_SECONDS_OF_ALL: Final = 60
REMEMBERED_SECONDS: Final = 24 * 3600

KNOWN_SECONDS: Final = 90 * 24 * 3600
KNOWN_MOST: Final = 100
"""Networks of one owner: whoever travels more is met as a stranger in the oldest."""

ALLOWANCE: Final = 8
"""Attempts under way beyond what is free: the windows that somebody opens at once."""

ATTEMPT_SECONDS: Final = 10
"""An attempt that never says how it ended (its process died) holds its place this long."""

_CROWDED_MS: Final = 1000
"""How long somebody waits for whom there is no place."""

_LEAVE_SECONDS: Final = 2.0

# In all scripts KEYS are pairs: what is known of a subject, and its attempts under way.

# ARGV: now, attempt ms, the place, allowance, wait of the crowd, then the free failures of each
# subject. Answers the longest wait in ms.
_CHECK: Final = """
local now, longest, crowded = tonumber(ARGV[1]), 0, false
for i = 1, #KEYS, 2 do
    local left = tonumber(redis.call('HGET', KEYS[i], 'until') or '0') - now
    if left > longest then longest = left end
    local spare = ARGV[5 + (i + 1) / 2] - (redis.call('HGET', KEYS[i], 'failures') or '0')
    redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', now)
    if redis.call('ZCARD', KEYS[i + 1]) >= (spare > 0 and spare + ARGV[4] or 1) then
        crowded = true
    end
end
if longest > 0 then return longest end
if crowded then return tonumber(ARGV[5]) end
for i = 1, #KEYS, 2 do
    redis.call('ZADD', KEYS[i + 1], now + ARGV[2], ARGV[3])
    redis.call('PEXPIRE', KEYS[i + 1], ARGV[2])
end
return 0
"""

# ARGV: now, seconds to remember, the place, then free failures and most ms of each subject.
_FAILED: Final = """
local now = tonumber(ARGV[1])
for i = 1, #KEYS, 2 do
    local free, most = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
    local failures = redis.call('HINCRBY', KEYS[i], 'failures', 1)
    local wait = 0
    if failures > free then
        wait = math.min(most, 1000 * 2 ^ math.min(failures - free - 1, 30))
    end
    redis.call('HSET', KEYS[i], 'until', string.format('%.0f', now + wait))
    redis.call('EXPIRE', KEYS[i], ARGV[2])
    redis.call('ZREM', KEYS[i + 1], ARGV[3])
end
return 0
"""

# ARGV: the place, then of each subject whether its failures are forgotten.
_ENDED: Final = """
for i = 1, #KEYS, 2 do
    redis.call('ZREM', KEYS[i + 1], ARGV[1])
    if ARGV[1 + (i + 1) / 2] == '1' then redis.call('DEL', KEYS[i]) end
end
return 0
"""


# ARGV: now, the network, ms to remember, how many at most.
_LEARN: Final = """
redis.call('ZADD', KEYS[1], ARGV[1] + ARGV[3], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 0
"""


class TooManyAttempts(AppError):
    """Too many failed attempts; wait as long as Retry-After says."""

    code = "too_many_attempts"


class Subject(NamedTuple):
    """What failures are counted by, how many are free, and the longest wait after them.

    kept: a success does not make them forgotten.
    """

    text: str
    free: int = FREE
    most_seconds: int = MOST_SECONDS
    kept: bool = False


def of_all(text: str, *, kept: bool = False) -> Subject:
    """A subject that strangers share, such as an account wherever its guessers are.

    Laxer, so that nobody can keep the account's owner out for longer than a minute.
    """
    return Subject(text, FREE_OF_ALL, MOST_SECONDS_OF_ALL, kept)


class Backoff:
    """Remembers failures by purpose and subject; a plain text is a Subject of the usual strictness."""

    def __init__(self, store: redis.Redis, *, now: Callable[[], datetime] = clock.now) -> None:
        self._store = store
        self._now = now

    @contextlib.asynccontextmanager
    async def attempt(
        self,
        purpose: str,
        *subjects: str | Subject,
        wrong: type[AppError],
        right: tuple[type[AppError], ...] = (),
    ) -> AsyncGenerator[None]:
        """One attempt, settled however its block ends; raises TooManyAttempts before it begins.

        wrong: the error that is a failure. right: errors of who proved it, and may not come in for
        another reason. Any other error (nobody compared anything) gives the place back.
        """
        place = await self.check(purpose, *subjects)
        try:
            yield
        except wrong:
            await self.failed(purpose, *subjects, place=place)
            raise
        except right:
            await self.succeeded(purpose, *subjects, place=place)
            raise
        except BaseException:
            # Also for who was cancelled. Without Redis the place is given up by itself, soon.
            with (
                contextlib.suppress(redis.RedisUnavailable),
                anyio.move_on_after(_LEAVE_SECONDS, shield=True),
            ):
                await self._ended(purpose, subjects, place, forget=False)
            raise
        await self.succeeded(purpose, *subjects, place=place)

    async def check(self, purpose: str, *subjects: str | Subject) -> str:
        """Take a place before comparing; `failed` and `succeeded` take it back.

        Raises TooManyAttempts while one of the subjects has to wait, or too many are under way.
        """
        place = secrets.token_hex(8)
        free = [_subject(each).free for each in subjects]
        args = (self._now_ms(), ATTEMPT_SECONDS * 1000, place, ALLOWANCE, _CROWDED_MS, *free)
        left_ms = await self._store.script(_CHECK, _keys(purpose, subjects), *args)
        if left_ms > 0:
            raise TooManyAttempts(retry_after_seconds=-(-left_ms // 1000))
        return place

    async def failed(self, purpose: str, *subjects: str | Subject, place: str = "") -> None:
        """One more failure of each."""
        args: list[str | int] = [self._now_ms(), REMEMBERED_SECONDS, place]
        for each in map(_subject, subjects):
            args += [each.free, each.most_seconds * 1000]
        await self._store.script(_FAILED, _keys(purpose, subjects), *args)

    async def succeeded(self, purpose: str, *subjects: str | Subject, place: str = "") -> None:
        """All is forgotten, but of subjects that are kept."""
        await self._ended(purpose, subjects, place, forget=True)

    async def learn(self, whose: str, ip: str) -> None:
        """Somebody came in from there."""
        args = (self._now_ms(), _network(ip), KNOWN_SECONDS * 1000, KNOWN_MOST)
        await self._store.script(_LEARN, [f"known:{whose}"], *args)

    async def knows(self, whose: str, ip: str) -> bool:
        """Whether they came in from this network before, lately enough."""
        with redis.translated():
            until = await self._store.client.zscore(f"known:{whose}", _network(ip))
        return until is not None and float(until) > self._now_ms()

    async def _ended(
        self, purpose: str, subjects: tuple[str | Subject, ...], place: str, *, forget: bool
    ) -> None:
        forgotten = [int(forget and not _subject(each).kept) for each in subjects]
        keys = _keys(purpose, subjects)
        await self._store.script(_ENDED, keys, place, *forgotten)

    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)


def _network(ip: str) -> str:
    return hashlib.sha256(addresses.group(ip).encode()).hexdigest()


def _subject(given: str | Subject) -> Subject:
    return Subject(given) if isinstance(given, str) else given


def _keys(purpose: str, subjects: tuple[str | Subject, ...]) -> list[str]:
    keys: list[str] = []
    for each in subjects:
        known = hashlib.sha256(_subject(each).text.encode()).hexdigest()
        key = f"backoff:{purpose}:{known}"
        keys += [key, f"{key}:pending"]
    return keys
