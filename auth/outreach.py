"""Letters that people cause to be sent to others, and how many of them there may be.

Whoever may invite can name any address there is, again and again: so all of them together reach
one address once a minute and five times an hour, and each of them writes thirty letters an hour.
Keys in Redis: `outreach-minute:{email}`, `outreach-hour:{email}`, `outreach-by:{user}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auth.verification import QUOTA

if TYPE_CHECKING:
    from uuid import UUID

    from base.redis import Redis

LETTERS_BY_ONE: Final = 30
"""In an hour, to whomever."""

# Who has written enough must not use up what an address may still get from others.
_COUNT: Final = f"""
if tonumber(redis.call('GET', KEYS[3]) or '0') >= {LETTERS_BY_ONE} then return 0 end
{QUOTA}
if redis.call('INCR', KEYS[3]) == 1 then redis.call('EXPIRE', KEYS[3], 3600) end
return 1"""


async def may_write(store: Redis, *, to: str, by: UUID) -> bool:
    """Whether one more letter may go to this address because of this person, and count it.

    Raises RedisUnavailable.
    """
    keys = [f"outreach-minute:{to}", f"outreach-hour:{to}", f"outreach-by:{by}"]
    return bool(await store.script(_COUNT, keys))
