"""From what somebody shows to a person, for REST and for sockets alike.

The one place where tokens meet sessions, keys and links: an access token counts when this server
signed it, its time is not over and its session still lives. Knows neither HTTP nor WebSocket;
callers bring the text.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from auth import accounts, audit, keys, links, tokens
from auth.changes import SessionRenewed, SessionsEnded
from auth.credentials import NO_LINK, Guest, Identity, Kind
from auth.errors import SessionEnded, TokenInvalid, TokenReused
from auth.permissions import Role
from auth.sessions import Listed, Origin, Reused, Session, Sessions
from base import clock, text64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from auth.changes import Changes
    from base.db import Database
    from base.redis import Redis
    from base.settings import Settings

PREFIXES: Final = (keys.PREFIX, links.PREFIX)
"""Of the tokens that are no JWT."""


class Signed(NamedTuple):
    """What somebody gets who signed in, or refreshed."""

    token: str
    expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime
    session_id: UUID


class Lives(NamedTuple):
    """How long things are good for. grace: how long a refresh that is repeated is answered again."""

    access: timedelta = timedelta(minutes=15)
    ticket: timedelta = timedelta(minutes=1)
    grace: timedelta = timedelta(seconds=10)


_USUAL: Final = Lives()


class Identities:
    """Signs people in and recognises them; RedisUnavailable may come from every method."""

    def __init__(
        self,
        sessions: Sessions,
        keys: tokens.Keyring,
        *,
        database: Database,
        changes: Changes,
        lives: Lives = _USUAL,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._sessions = sessions
        self._keys = keys
        self._database = database
        self._changes = changes
        self._lives = lives
        self._now = now

    @classmethod
    def assemble(
        cls,
        config: Settings,
        *,
        database: Database,
        redis: Redis,
        changes: Changes,
        secret: str,
        now: Callable[[], datetime] = clock.now,
    ) -> Identities:
        """As the settings say; `secret` signs (`base.settings.signing_key`)."""
        lives = Lives(
            timedelta(minutes=config.access_minutes),
            timedelta(seconds=config.ticket_seconds),
            timedelta(seconds=config.refresh_grace_seconds),
        )
        sessions = Sessions(redis, life=timedelta(days=config.session_days))
        keys = tokens.Keyring.derive(secret, config.secret_previous)
        return cls(sessions, keys, database=database, changes=changes, lives=lives, now=now)

    async def sign_in(
        self,
        user_id: UUID,
        username: str,
        *,
        ip: str,
        agent: str,
        since: datetime | None = None,
    ) -> Signed:
        """Start a session, always a new one, and mint the tokens that open it.

        since: when the proof began to be looked at. If all sessions were ended after that (another
        password, an account that was closed), it proves nothing any more: SessionEnded.
        """
        now = self._now()
        session, until = Session(user_id, username), tokens.ends(now, self._lives.access)
        session_id = await self._sessions.start(
            session, Origin(ip, agent), now, since=since, until=until
        )
        if session_id is None:
            raise SessionEnded
        if crowded_out := await self._sessions.crowd_out(user_id):
            await self._changes.tell(SessionsEnded(crowded_out))
        return self._signed(user_id, tokens.Generation(session_id, 0), now)

    async def refresh(self, refresh_token: str, *, ip: str, agent: str) -> Signed:
        """New tokens for old. Raises TokenMissing, TokenInvalid, SessionEnded, TokenReused.

        The account is asked first: once the token is replaced, an answer must follow.
        """
        held = tokens.read_refresh(refresh_token, self._keys)
        now = self._now()
        session = await self._sessions.find(held.session_id, now)
        if session is None:
            raise SessionEnded
        username = await self._name_of(session.user_id)
        if username is None:
            await self.end(session.user_id, held.session_id)
            raise SessionEnded
        try:
            number = await self._sessions.rotate(
                held.session_id,
                held.number,
                username=username,
                origin=Origin(ip, agent),
                grace=self._lives.grace,
                now=now,
                until=tokens.ends(now, self._lives.access),
            )
        except Reused as reused:
            await self._stolen(session.user_id, held.session_id, Origin(ip, agent))
            raise TokenReused from reused
        if number is None:
            raise SessionEnded
        signed = self._signed(session.user_id, tokens.Generation(held.session_id, number), now)
        await self._changes.tell(SessionRenewed(held.session_id, signed.expires_at))
        return signed

    async def identify(self, token: str) -> Identity | Guest:
        """Who holds this access token, API key or share link; a ticket is none of them.

        Raises TokenMissing, TokenInvalid, TokenExpired, SessionEnded, LinkInvalid.
        """
        now = self._now()
        if token.startswith(keys.PREFIX):
            async with self._database.connection() as tx:
                return await keys.find(tx, token, now)
        if token.startswith(links.PREFIX):
            async with self._database.connection() as tx:
                return await links.open_link(tx, token, now)
        claims = tokens.read(token, now=now, key=self._keys.current, previous=self._keys.previous)
        session = await self._session(claims.user_id, claims.session_id)
        credential = claims.session_id
        return Identity(
            claims.user_id, session.username, Kind.SESSION, credential, claims.expires_at
        )

    async def open_link(self, token: str) -> Guest:
        """The share link that stands in this text, brought beside a token. Raises LinkInvalid."""
        async with self._database.connection() as tx:
            return await links.open_link(tx, token, self._now())

    async def admit(self, token: str) -> Identity | Guest:
        """Who enters a room with this: a ticket, or what `identify` knows; raises as that does.

        Who comes with a ticket has no end of their own: they stay as long as their session.
        """
        try:
            ticket = tokens.read_ticket(token, now=self._now(), keys=self._keys)
        except TokenInvalid:
            return await self.identify(token)
        link = await self._link_of(ticket)
        if ticket.user_id is None:
            return link or Guest(NO_LINK, ticket.project_id, Role.NONE, None, ticket.cap)
        if ticket.key_id is not None:
            async with self._database.connection() as tx:
                who = await keys.by_id(tx, ticket.key_id, self._now())
        elif ticket.session_id is not None:
            session = await self._session(ticket.user_id, ticket.session_id)
            who = Identity(ticket.user_id, session.username, Kind.SESSION, ticket.session_id, None)
        else:
            raise TokenInvalid
        if who.project_id not in (None, ticket.project_id):
            raise TokenInvalid
        return who._replace(project_id=ticket.project_id, cap=ticket.cap, link=link)

    def ticket(
        self,
        who: Identity | Guest | None,
        project_id: UUID,
        cap: Role | None,
        *,
        link: Guest | None = None,
    ) -> tokens.Minted:
        """What opens the room of this project for somebody, within a minute. Asks nobody.

        link: what somebody with an account brought besides.
        """
        if isinstance(who, Guest):
            who, link = None, who
        ticket = tokens.Ticket(project_id, cap)
        if link is not None and link.project_id == project_id and link.link_id != NO_LINK:
            ticket = ticket._replace(link_id=link.link_id, link_ends=link.expires_at)
        if who is not None:
            ticket = ticket._replace(user_id=who.user_id)
            if who.kind is Kind.KEY:
                ticket = ticket._replace(key_id=who.credential)
            else:
                ticket = ticket._replace(session_id=who.credential)
        life = self._lives.ticket
        return tokens.mint_ticket(ticket, now=self._now(), key=self._keys.current, life=life)

    async def sign_out(self, identity: Identity) -> None:
        """End the session; its tokens open nothing from now on."""
        await self.end(identity.user_id, identity.credential)

    async def end(self, user_id: UUID, session_id: UUID) -> bool:
        """End a session of this person; False when there is none (any more)."""
        ended = await self._sessions.end(user_id, session_id)
        if ended:
            await self._changes.tell(SessionsEnded((session_id,)))
        return ended

    async def end_all(self, user_id: UUID, *, but: UUID | None = None) -> tuple[UUID, ...]:
        """End every session of a person, or all others than this one; those that were ended."""
        ended = await self._sessions.end_all(user_id, self._now(), but=but)
        if ended:
            await self._changes.tell(SessionsEnded(ended))
        return ended

    async def end_of(self, refresh_token: str) -> None:
        """End the session that a refresh token, of any age, belongs to; what is none is no error."""
        try:
            held = tokens.read_refresh(refresh_token, self._keys)
        except TokenInvalid:
            return
        session = await self._sessions.find(held.session_id, self._now())
        if session is not None:
            await self.end(session.user_id, held.session_id)

    async def sessions_of(self, user_id: UUID) -> list[Listed]:
        """A person's sessions, the last used first."""
        return await self._sessions.of(user_id)

    async def renamed(self, user_id: UUID, username: str) -> None:
        """A person has another name from now on: who enters a room is shown with it."""
        await self._sessions.rename(user_id, username)

    async def alive(self, session_ids: Iterable[UUID]) -> set[UUID]:
        """Which of these sessions have not ended."""
        return await self._sessions.alive(session_ids)

    async def ends_of(self, session_ids: Iterable[UUID]) -> dict[UUID, datetime]:
        """When the newest access token of each ends; a session that has ended is not there."""
        return await self._sessions.ends(session_ids)

    async def touch(self, session_ids: Iterable[UUID]) -> None:
        """These are in use: their time begins anew."""
        await self._sessions.touch(session_ids, self._now())

    def csrf(self, session_id: UUID) -> str:
        """What a page of ours sends beside its cookies: no other page can read or make it."""
        mac = self._keys.current.mac(b"csrf 1", session_id.bytes)
        return text64.write(mac)

    def is_csrf(self, given: str, session_id: UUID) -> bool:
        """Whether this is what `csrf` gave to a page, in this session."""
        try:
            mac = text64.read(given)
        except ValueError:
            return False
        return self._keys.verifies(b"csrf 1", session_id.bytes, mac)

    def session_of(self, refresh_token: str) -> UUID:
        """Which session a refresh token belongs to. Raises TokenMissing, TokenInvalid."""
        return tokens.read_refresh(refresh_token, self._keys).session_id

    def _signed(self, user_id: UUID, held: tokens.Generation, now: datetime) -> Signed:
        key = self._keys.current
        made = tokens.mint(user_id, held.session_id, now=now, key=key, life=self._lives.access)
        ends = now + self._sessions.life
        return Signed(*made, tokens.refresh_token(held, key), ends, held.session_id)

    async def _session(self, user_id: UUID, session_id: UUID) -> Session:
        session = await self._sessions.find(session_id, self._now())
        if session is None:
            raise SessionEnded
        if session.user_id != user_id:
            raise TokenInvalid
        return session

    async def _name_of(self, user_id: UUID) -> str | None:
        """What somebody is called; None when the account is gone, disabled or closed."""
        async with self._database.connection() as tx:
            found = await accounts.find(tx, user_id)
        return found.username if found is not None and found.active else None

    async def _stolen(self, user_id: UUID, session_id: UUID, origin: Origin) -> None:
        await self._changes.tell(SessionsEnded((session_id,)))
        async with self._database.transaction() as tx:
            await audit.record(
                tx,
                audit.Kind.TOKEN_REUSED,
                at=self._now(),
                user=user_id,
                ip=origin.ip,
                agent=origin.agent,
                session=str(session_id),
            )

    async def _link_of(self, ticket: tokens.Ticket) -> Guest | None:
        if ticket.link_id is None:
            return None

        now, project = self._now(), ticket.project_id
        async with self._database.connection() as tx:
            alive = await links.alive(tx, project, [ticket.link_id], now)
        role = alive.get(ticket.link_id)
        if role is not None:
            return Guest(ticket.link_id, project, role, ticket.link_ends, ticket.cap)
        if ticket.user_id is None:
            raise links.LinkInvalid
        return None
