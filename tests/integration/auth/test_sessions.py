"""Sessions in Redis: found while they live, refreshed once, ended for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis.asyncio

from auth.sessions import Origin, Reused, Session, Sessions
from base import ids
from base.redis import Redis, RedisUnavailable

if TYPE_CHECKING:
    from uuid import UUID

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
LIFE = timedelta(days=7)
GRACE = timedelta(seconds=10)
HOME = Origin("192.0.2.1", "a browser")
AWAY = Origin("192.0.2.2", "a telephone")
ANNA = Session(ids.new_id(), "anna")
BERT = Session(ids.new_id(), "bert")


@pytest.fixture
def sessions(redis: Redis) -> Sessions:
    return Sessions(redis, life=LIFE)


async def start(sessions: Sessions, session: Session, origin: Origin, now: datetime) -> UUID:
    session_id = await sessions.start(session, origin, now)
    assert session_id is not None
    return session_id


async def rotate(
    sessions: Sessions, session_id: UUID, generation: int, later: timedelta = timedelta()
) -> int | None:
    return await sessions.rotate(
        session_id, generation, username="anna", origin=AWAY, grace=GRACE, now=NOW + later
    )


async def test_a_session_is_found_until_it_is_ended(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    assert await sessions.find(session_id, NOW) == ANNA
    assert await sessions.end(ANNA.user_id, session_id)
    assert await sessions.find(session_id, NOW) is None
    assert not await sessions.end(ANNA.user_id, session_id)


async def test_nobody_ends_the_session_of_somebody_else(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    assert not await sessions.end(BERT.user_id, session_id)
    assert await sessions.find(session_id, NOW) == ANNA


async def test_redis_forgets_a_session_that_nobody_uses(sessions: Sessions, redis: Redis) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    for key in (f"session:{session_id}", f"sessions:{ANNA.user_id}"):
        assert 0 <= LIFE.total_seconds() - await redis.client.ttl(key) < 60
    assert await sessions.find(session_id, NOW + LIFE) is None


async def test_a_session_lives_on_while_it_is_used(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    almost = LIFE - timedelta(seconds=1)
    assert await sessions.find(session_id, NOW + almost) == ANNA
    assert await sessions.find(session_id, NOW + 2 * almost) == ANNA


async def test_use_is_written_down_once_a_minute(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    for seconds, noted in ((59, 0), (60, 60), (119, 60), (120, 120)):
        await sessions.find(session_id, NOW + timedelta(seconds=seconds))
        [listed] = await sessions.of(ANNA.user_id)
        assert listed.used_at == NOW + timedelta(seconds=noted)


async def test_touching_keeps_alive_and_wakes_nobody(sessions: Sessions, redis: Redis) -> None:
    alive, ended = [await start(sessions, ANNA, HOME, NOW) for _ in range(2)]
    await sessions.end(ANNA.user_id, ended)
    await redis.client.expire(f"session:{alive}", 5)
    await sessions.touch([alive, ended, ids.new_id()], NOW + GRACE)
    assert await redis.client.ttl(f"session:{alive}") > 5
    assert [each.id for each in await sessions.of(ANNA.user_id)] == [alive]
    assert await redis.client.exists(f"session:{ended}") == 0


async def test_the_living_among_many_are_told(sessions: Sessions) -> None:
    living = {await start(sessions, ANNA, HOME, NOW) for _ in range(3)}
    strangers = {ids.new_id() for _ in range(1200)}
    assert await sessions.alive(living | strangers) == living
    assert await sessions.alive([]) == set()


async def test_a_list_shows_own_sessions_and_where_they_are_used(sessions: Sessions) -> None:
    first = await start(sessions, ANNA, HOME, NOW)
    second = await start(sessions, ANNA, AWAY, NOW + GRACE)
    await start(sessions, BERT, HOME, NOW)
    found = await sessions.of(ANNA.user_id)
    assert [(each.id, each.origin) for each in found] == [(second, AWAY), (first, HOME)]
    assert found[0].created_at == found[0].used_at == NOW + GRACE
    assert found[0].expires_at == NOW + GRACE + LIFE


async def test_the_index_heals_itself(sessions: Sessions, redis: Redis) -> None:
    gone, here = [await start(sessions, ANNA, HOME, NOW) for _ in range(2)]
    await redis.client.delete(f"session:{gone}")
    assert [each.id for each in await sessions.of(ANNA.user_id)] == [here]
    assert await redis.client.zcard(f"sessions:{ANNA.user_id}") == 1
    last = await start(sessions, ANNA, HOME, NOW + LIFE)
    held = await redis.client.zrange(f"sessions:{ANNA.user_id}", 0, -1)
    assert held == [str(last).encode()]


async def test_all_end_or_all_but_one(sessions: Sessions) -> None:
    mine = [await start(sessions, ANNA, HOME, NOW) for _ in range(3)]
    other = await start(sessions, BERT, HOME, NOW)
    assert set(await sessions.end_all(ANNA.user_id, NOW, but=mine[1])) == {mine[0], mine[2]}
    assert await sessions.alive([*mine, other]) == {mine[1], other}
    assert await sessions.end_all(ANNA.user_id, NOW) == (mine[1],)
    assert await sessions.end_all(ANNA.user_id, NOW) == ()


async def test_a_password_that_was_looked_at_before_all_ended_starts_nothing_after(
    sessions: Sessions,
) -> None:
    before, after = NOW - timedelta(milliseconds=1), NOW + timedelta(milliseconds=1)
    await sessions.end_all(ANNA.user_id, NOW)
    assert await sessions.start(ANNA, HOME, after, since=before) is None
    assert await sessions.of(ANNA.user_id) == []
    assert await sessions.start(ANNA, HOME, after, since=after) is not None
    assert await sessions.start(BERT, HOME, after, since=before) is not None


async def test_a_name_changes_in_every_session(sessions: Sessions) -> None:
    mine = [await start(sessions, ANNA, HOME, NOW) for _ in range(2)]
    other = await start(sessions, BERT, HOME, NOW)
    await sessions.rename(ANNA.user_id, "anne")
    for session_id in mine:
        assert await sessions.find(session_id, NOW) == ANNA._replace(username="anne")
    assert await sessions.find(other, NOW) == BERT


async def test_what_a_client_calls_itself_is_cut_and_need_not_be_text(sessions: Sessions) -> None:
    await start(sessions, ANNA, Origin("::1", "\udcff" + "x" * 1000), NOW)
    [listed] = await sessions.of(ANNA.user_id)
    assert listed.origin.agent == "?" + "x" * 299


async def test_a_generation_gives_the_next_one(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    for generation in range(5):
        assert await rotate(sessions, session_id, generation) == generation + 1
    [listed] = await sessions.of(ANNA.user_id)
    assert listed.origin == AWAY


async def test_the_same_question_soon_after_gets_the_same_answer(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    soon = GRACE - timedelta(milliseconds=1)
    for later in (timedelta(), timedelta(seconds=1), soon):
        assert await rotate(sessions, session_id, 0, later) == 1
    assert await rotate(sessions, session_id, 1, soon) == 2


async def test_the_same_question_later_ends_the_session(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    await rotate(sessions, session_id, 0)
    with pytest.raises(Reused):
        await rotate(sessions, session_id, 0, GRACE)
    assert await sessions.find(session_id, NOW) is None
    assert await sessions.of(ANNA.user_id) == []
    assert await rotate(sessions, session_id, 1) is None


async def test_a_token_from_two_before_ends_the_session_at_once(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    for generation in range(2):
        await rotate(sessions, session_id, generation)
    with pytest.raises(Reused):
        await rotate(sessions, session_id, 0)


async def test_what_redis_forgot_in_a_crash_signs_nobody_out(sessions: Sessions) -> None:
    session_id = await start(sessions, ANNA, HOME, NOW)
    assert await rotate(sessions, session_id, 3) == 4
    assert await rotate(sessions, session_id, 4) == 5


async def test_the_end_of_the_newest_access_token_is_kept(sessions: Sessions) -> None:
    minute = timedelta(minutes=1)
    session_id = await sessions.start(ANNA, HOME, NOW, until=NOW + minute)
    assert session_id is not None
    assert await sessions.ends([session_id, ids.new_id()]) == {session_id: NOW + minute}
    # Two that refresh at once may be written in either order.
    for until, kept in ((3, 3), (2, 3), (4, 4)):
        await sessions.rotate(
            session_id,
            0,
            username="anna",
            origin=AWAY,
            grace=GRACE,
            now=NOW,
            until=NOW + until * minute,
        )
        assert await sessions.ends([session_id]) == {session_id: NOW + kept * minute}
    await sessions.touch([session_id], NOW)
    assert len(await sessions.ends([session_id])) == 1
    await sessions.end(ANNA.user_id, session_id)
    assert await sessions.ends([session_id]) == {}


async def test_a_redis_that_is_away_is_an_error_with_a_name() -> None:
    away = Redis(redis.asyncio.Redis(host="127.0.0.1", port=1), "")
    sessions = Sessions(away, life=LIFE)
    with pytest.raises(RedisUnavailable):
        await sessions.find(ids.new_id(), NOW)
    with pytest.raises(RedisUnavailable):
        await start(sessions, ANNA, HOME, NOW)
    with pytest.raises(RedisUnavailable):
        await sessions.alive([ids.new_id()])
    with pytest.raises(RedisUnavailable):
        await sessions.ends([ids.new_id()])
    await away.close()
