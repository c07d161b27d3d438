"""From a bearer's token to a person, for REST and for sockets alike.

The one place where tokens meet sessions: a token counts when this server signed it, its time is
not over and its session still lives. Knows neither HTTP nor WebSocket; callers bring the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from auth import tokens
from auth.errors import SessionEnded, TokenInvalid
from auth.sessions import Session
from base import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from auth.sessions import Sessions


class Identity(NamedTuple):
    """Somebody who has signed in."""

    user_id: UUID
    username: str
    session_id: UUID
    expires_at: datetime


class Identities:
    """Signs people in and recognises them; RedisUnavailable may come from every method."""

    def __init__(
        self,
        sessions: Sessions,
        key: tokens.SigningKey,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._sessions = sessions
        self._key = key
        self._now = now

    async def sign_in(self, user_id: UUID, username: str) -> tokens.Minted:
        """Start a session and mint the token that opens it."""
        session_id = await self._sessions.start(Session(user_id, username))
        life = self._sessions.life
        return tokens.mint(user_id, session_id, now=self._now(), key=self._key, life=life)

    async def identify(self, token: str) -> Identity:
        """Who holds this token. Raises TokenMissing, TokenInvalid, TokenExpired, SessionEnded."""
        claims = tokens.read(token, now=self._now(), key=self._key)
        session = await self._sessions.find(claims.session_id)
        if session is None:
            raise SessionEnded
        if session.user_id != claims.user_id:
            raise TokenInvalid
        return Identity(claims.user_id, session.username, claims.session_id, claims.expires_at)

    async def sign_out(self, identity: Identity) -> None:
        """End the session; its token opens nothing from now on."""
        await self._sessions.end(identity.session_id)
