"""Sign-ins that can be ended: one hash in Redis each, and an index of each person's.

`session:{id}` holds who signed in, from where, how often it was refreshed and when the newest of its
access tokens ends; it dies with its time to live, which every use begins anew. No key, no session: a
token alone opens nothing after a logout.
`sessions:{user id}` is a sorted set of ids by their ends, an aid for listing: what is dead in it is
dropped on the way. `sessions:{user id}:ended` is when all were ended last, for an hour: a password
that was looked at before starts nothing after. Knows Redis; not tokens, not accounts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from uuid import UUID

from base import ids, redis

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

AGENT_LONGEST: Final = 300
"""Characters of what a client calls itself."""

TOUCH_AFTER: Final = timedelta(minutes=1)
"""A session that was used later than this ago is not written to again."""

MOST: Final = 100
"""Sessions that one person has at most; for a new one, the longest unused ends."""

_AT_ONCE: Final = 500
_MARKED: Final = timedelta(hours=1)

# KEYS: the session, the index, the mark. ARGV: now and life (ms), id, user, name, ip, agent,
# since, until.
_START: Final = """
if tonumber(redis.call('GET', KEYS[3]) or '0') > tonumber(ARGV[8]) then return 0 end
redis.call('HSET', KEYS[1], 'user', ARGV[4], 'name', ARGV[5], 'made', ARGV[1], 'used', ARGV[1],
    'ip', ARGV[6], 'agent', ARGV[7], 'generation', 0, 'rotated', 0, 'until', ARGV[9])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[1] + ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""

# KEYS: sessions. ARGV: now and life (ms), and their ids. A session that has ended stays so.
_TOUCH: Final = """
for i, key in ipairs(KEYS) do
    local user = redis.call('HGET', key, 'user')
    if user then
        redis.call('HSET', key, 'used', ARGV[1])
        redis.call('PEXPIRE', key, ARGV[2])
        redis.call('ZADD', 'sessions:' .. user, ARGV[1] + ARGV[2], ARGV[2 + i])
        redis.call('PEXPIRE', 'sessions:' .. user, ARGV[2])
    end
end
"""

# KEYS: the session. ARGV: now and life (ms), id, generation, grace (ms), name, ip, agent, until.
# A generation that Redis does not know yet is one that it forgot in a crash: our MAC is on it.
_ROTATE: Final = """
local user = redis.call('HGET', KEYS[1], 'user')
if not user then return {'ended'} end
local have = tonumber(redis.call('HGET', KEYS[1], 'generation'))
local given = tonumber(ARGV[4])
if given < have then
    local since = ARGV[1] - redis.call('HGET', KEYS[1], 'rotated')
    if given < have - 1 or since >= tonumber(ARGV[5]) then
        redis.call('DEL', KEYS[1])
        redis.call('ZREM', 'sessions:' .. user, ARGV[3])
        return {'reused'}
    end
else
    have = given + 1
    redis.call('HSET', KEYS[1], 'generation', have, 'rotated', ARGV[1])
end
redis.call('HSET', KEYS[1], 'used', ARGV[1], 'name', ARGV[6], 'ip', ARGV[7], 'agent', ARGV[8])
-- Two that refresh at once may come here in either order.
if tonumber(ARGV[9]) > tonumber(redis.call('HGET', KEYS[1], 'until') or '0') then
    redis.call('HSET', KEYS[1], 'until', ARGV[9])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', 'sessions:' .. user, ARGV[1] + ARGV[2], ARGV[3])
redis.call('PEXPIRE', 'sessions:' .. user, ARGV[2])
return {'rotated', have}
"""

# KEYS: the session, its person's index. ARGV: id, user.
_END: Final = """
if redis.call('HGET', KEYS[1], 'user') ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
"""

# KEYS: the index, the mark. ARGV: the id that stays, or nothing; now, and the mark's life (ms).
_END_ALL: Final = """
local ended = {}
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if id ~= ARGV[1] then
        redis.call('ZREM', KEYS[1], id)
        if redis.call('DEL', 'session:' .. id) == 1 then table.insert(ended, id) end
    end
end
return ended
"""

# KEYS: the index. ARGV: how many stay. By their ends, so the longest unused are in front.
_CROWD: Final = """
local ended = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1 - ARGV[1])) do
    redis.call('ZREM', KEYS[1], id)
    if redis.call('DEL', 'session:' .. id) == 1 then table.insert(ended, id) end
end
return ended
"""

# KEYS: the index.
_LIST: Final = """
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local held = redis.call('HMGET', 'session:' .. id, 'made', 'used', 'ip', 'agent')
    if held[1] then table.insert(found, {id, unpack(held)}) else redis.call('ZREM', KEYS[1], id) end
end
return found
"""

# KEYS: the index. ARGV: the name.
_RENAME: Final = """
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if redis.call('EXISTS', 'session:' .. id) == 1 then
        redis.call('HSET', 'session:' .. id, 'name', ARGV[1])
    end
end
"""


class Origin(NamedTuple):
    """Where a session is used from."""

    ip: str
    agent: str


class Session(NamedTuple):
    """Whose a session is."""

    user_id: UUID
    username: str


class Listed(NamedTuple):
    """A session as its owner sees it in a list."""

    id: UUID
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    origin: Origin


class Reused(Exception):
    """Somebody refreshed with a token that had been replaced: the session has been ended."""


class Sessions:
    """Starts, finds and ends sessions. Every method may raise RedisUnavailable.

    life: how long a session lives that nobody uses.
    """

    def __init__(self, store: redis.Redis, *, life: timedelta) -> None:
        self._store = store
        self.life = life

    async def start(
        self,
        session: Session,
        origin: Origin,
        now: datetime,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> UUID | None:
        """A new session, alive for `life`; None when all were ended after `since`.

        since: when it began to be asked whether this person may have one. until: see `ends`.
        """
        session_id = ids.new_id()
        keys = [_key(session_id), _index(session.user_id), _mark(session.user_id)]
        whose = (str(session_id), str(session.user_id), session.username)
        times = [_ms(_since_epoch(each or now)) for each in (since, until)]
        started = await self._run(_START, keys, *self._span(now), *whose, *_cut(origin), *times)
        return session_id if started else None

    async def crowd_out(self, user_id: UUID) -> tuple[UUID, ...]:
        """End a person's longest unused sessions beyond MOST; those that were ended."""
        ended = await self._run(_CROWD, [_index(user_id)], MOST)
        return tuple(UUID(each.decode()) for each in ended)

    async def find(self, session_id: UUID, now: datetime) -> Session | None:
        """The session, or None when it has ended. That it was used is noted once a minute."""
        with redis.translated():
            held = self._store.client.hmget(_key(session_id), ["user", "name", "used"])
            user, name, used = await cast("Any", held)
        if user is None or now >= _moment(used) + self.life:
            return None
        if now - _moment(used) >= TOUCH_AFTER:
            await self.touch([session_id], now)
        return Session(UUID(user.decode()), name.decode())

    async def rotate(
        self,
        session_id: UUID,
        generation: int,
        *,
        username: str,
        origin: Origin,
        grace: timedelta,
        now: datetime,
        until: datetime | None = None,
    ) -> int | None:
        """The generation after this one; None when the session has ended.

        The same question within `grace` gets the same answer: the first may have been lost on its
        way. Later, or for an older generation, raises Reused and the session is no more.
        until: see `ends`.
        """
        ends = _ms(_since_epoch(until or now))
        said = (str(session_id), generation, _ms(grace), username, *_cut(origin), ends)
        found = await self._run(_ROTATE, [_key(session_id)], *self._span(now), *said)
        match found:
            case [b"rotated", number]:
                return int(number)
            case [b"reused"]:
                raise Reused
            case _:
                return None

    async def touch(self, session_ids: Iterable[UUID], now: datetime) -> None:
        """Begin their time anew; what has ended stays so."""
        for some in _portions(session_ids):
            await self._run(_TOUCH, [_key(i) for i in some], *self._span(now), *map(str, some))

    async def alive(self, session_ids: Iterable[UUID]) -> set[UUID]:
        """Which of these have not ended."""
        found: set[UUID] = set()
        for some in _portions(session_ids):
            with redis.translated():
                async with self._store.client.pipeline(transaction=False) as asking:
                    for session_id in some:
                        asking.exists(_key(session_id))
                    answers = await asking.execute()
            found.update(i for i, answer in zip(some, answers, strict=True) if answer)
        return found

    async def ends(self, session_ids: Iterable[UUID]) -> dict[UUID, datetime]:
        """Of these that have not ended, when the newest access token of each ends."""
        found: dict[UUID, datetime] = {}
        for some in _portions(session_ids):
            with redis.translated():
                async with self._store.client.pipeline(transaction=False) as asking:
                    for session_id in some:
                        asking.hget(_key(session_id), "until")
                    answers = await asking.execute()
            known = zip(some, answers, strict=True)
            found.update((i, _moment(until)) for i, until in known if until is not None)
        return found

    async def end(self, user_id: UUID, session_id: UUID) -> bool:
        """End a session of this person; False when there is none (any more)."""
        keys = [_key(session_id), _index(user_id)]
        return bool(await self._run(_END, keys, str(session_id), str(user_id)))

    async def end_all(
        self, user_id: UUID, now: datetime, *, but: UUID | None = None
    ) -> tuple[UUID, ...]:
        """End every session of a person, or all others than this one; those that were ended."""
        keys, kept = [_index(user_id), _mark(user_id)], "" if but is None else str(but)
        marked = _ms(_since_epoch(now))
        ended = await self._run(_END_ALL, keys, kept, marked, _ms(_MARKED))
        return tuple(UUID(each.decode()) for each in ended)

    async def of(self, user_id: UUID) -> list[Listed]:
        """A person's sessions, the last used first."""
        found = await self._run(_LIST, [_index(user_id)])
        listed = [
            Listed(
                UUID(each.decode()),
                _moment(made),
                _moment(used),
                _moment(used) + self.life,
                Origin(ip.decode(), agent.decode()),
            )
            for each, made, used, ip, agent in found
        ]
        return sorted(listed, key=lambda each: (each.used_at, each.id), reverse=True)

    async def rename(self, user_id: UUID, username: str) -> None:
        """The person is called otherwise from now on."""
        await self._run(_RENAME, [_index(user_id)], username)

    def _span(self, now: datetime) -> tuple[int, int]:
        return _ms(_since_epoch(now)), _ms(self.life)

    async def _run(self, script: str, keys: Sequence[str], *args: str | int) -> Any:  # noqa: ANN401 (what Lua gives)
        return await self._store.script(script, keys, *args)


def _key(session_id: UUID) -> str:
    return f"session:{session_id}"


def _index(user_id: UUID) -> str:
    return f"sessions:{user_id}"


def _mark(user_id: UUID) -> str:
    return f"sessions:{user_id}:ended"


def _cut(origin: Origin) -> Origin:
    # Headers may hold what no UTF-8 can; it is shown, nothing more.
    agent = origin.agent[:AGENT_LONGEST].encode(errors="replace").decode()
    return Origin(origin.ip, agent)


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _since_epoch(moment: datetime) -> timedelta:
    return moment - datetime.fromtimestamp(0, UTC)


def _moment(ms: bytes) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(ms))


def _portions(session_ids: Iterable[UUID]) -> Generator[list[UUID]]:
    every = list(session_ids)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]
