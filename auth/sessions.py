"""Sign-ins that can be ended: one key in Redis each.

`session:{id}` holds who signed in and dies with its time to live; no key, no session. A token
alone therefore opens nothing after a logout. Knows Redis; not tokens, not accounts.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from base import ids, redis

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import timedelta


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """What a session remembers, as JSON in Redis."""

    user_id: UUID
    username: str


class Sessions:
    """Starts, finds and ends sessions. Every method may raise RedisUnavailable."""

    def __init__(self, store: redis.Redis, *, life: timedelta) -> None:
        self._store = store
        self.life = life

    async def start(self, session: Session) -> UUID:
        """A new session, alive for `life`."""
        session_id = ids.new_id()
        with _translated():
            await self._store.client.set(
                _key(session_id), msgspec.json.encode(session), ex=self.life
            )
        return session_id

    async def find(self, session_id: UUID) -> Session | None:
        """The session, or None when it has ended."""
        with _translated():
            found = await self._store.client.get(_key(session_id))
        return None if found is None else msgspec.json.decode(found, type=Session)

    async def end(self, session_id: UUID) -> None:
        """End a session; ending it twice is no error."""
        with _translated():
            await self._store.client.delete(_key(session_id))


def _key(session_id: UUID) -> str:
    return f"session:{session_id}"


@contextlib.contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except (redis.Error, OSError) as error:
        raise redis.RedisUnavailable from error
