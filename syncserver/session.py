"""One socket from its first byte to its last: admission, the way into its room, messages, and leaving.

Ties the transport (I/O) to the connection's state machine, to the room and to who watches over access; decides
nothing itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from auth.credentials import Identity
from auth.permissions import Right
from base import addresses, db, log, metrics, redis, tasks
from syncserver import admission, client, connection, hub, room, transport, watch
from syncserver.client import Hold
from syncserver.connection import Code
from syncserver.wire import yjs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from auth.credentials import Guest
    from auth.permissions import Access
    from base.settings import Settings

_log = log.get("syncserver.session")

_Party: TypeAlias = "UUID | str"
"""Whose connections are counted together: an account, or where people without one come from."""


class Reception:
    """Takes every new socket in: counts, admits, leads it to its room."""

    def __init__(
        self,
        *,
        settings: Settings,
        gate: admission.Gate,
        rooms: hub.Hub,
        watcher: watch.Watch,
        owner: tasks.Tasks,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._rooms = rooms
        self._watch = watcher
        self._tasks = owner
        self._next_id = 1
        self._proxies = addresses.Proxies(settings.trusted_proxies)
        self._held: dict[_Party, int] = {}
        self.sessions: set[Session] = set()
        self._limits = connection.Limits(settings.preauth_frames, settings.preauth_bytes)

    def accept(self, socket: transport.Socket, request: transport.Request) -> transport.Listener:
        """The transport's `Accept`."""
        opened = Session(self._next_id, socket, self._limits, self._left)
        self._next_id += 1
        self.sessions.add(opened)
        self._rooms.connections = len(self.sessions)
        self._tasks.spawn(f"admit:{opened.id}", self._admit(opened, request))
        return opened

    async def _admit(self, newcomer: Session, request: transport.Request) -> None:
        try:
            async with asyncio.timeout(self._settings.auth_timeout_seconds):
                too_often = await self._gate.count(request)
                if too_often is not None:
                    newcomer.end(*too_often)
                    return
                while True:
                    heard = self._watch.heard
                    answer = await self._gate.admit(request)
                    if isinstance(answer, connection.Closing):
                        newcomer.end(answer.code, answer.reason)
                        return
                    address = hub.Address(answer.branch.document_id, answer.project.id)
                    live = await self._rooms.open(address)
                    if not self._watch.stale(heard, answer.project.id, answer.who):
                        break
                    # Something of this project or person changed meanwhile: what held then may not hold now.
        except (TimeoutError, db.DatabaseUnavailable, redis.RedisUnavailable) as problem:
            _log.warning("admission failed", problem=type(problem).__name__)
            newcomer.end(Code.TRY_LATER, "the server cannot look you up right now")
            return
        except Exception:
            newcomer.end(Code.SERVER_ERROR, "the room could not be opened")
            raise
        self._enter(newcomer, answer, live, self._party(answer, request))

    def _party(self, answer: admission.Admitted, request: transport.Request) -> _Party:
        if isinstance(answer.who, Identity):
            return answer.who.user_id
        # A guest is nobody in particular; where it comes from it cannot change for nothing.
        return addresses.group(self._proxies.client(request.address, request.forwarded))

    def _enter(
        self, newcomer: Session, answer: admission.Admitted, live: room.Room, party: _Party
    ) -> None:
        if newcomer.lost_already or newcomer.client.closed:
            return
        most = self._settings.connections_per_user
        held = self._held.get(party, 0)
        if held >= most:
            newcomer.end(Code.TOO_MANY, _too_many(answer, most))
            return
        self._held[party] = held + 1
        newcomer.party = party
        # No await since the room was found: it cannot have been unloaded in between.
        newcomer.enter(live, answer)
        self._watch.enter(newcomer)
        self._rooms.admit_reading(newcomer.client)

    def _left(self, leaver: Session) -> None:
        self.sessions.discard(leaver)
        if leaver.admitted:
            self._watch.leave(leaver)
        self._rooms.connections = len(self.sessions)
        if leaver.party is not None:
            left = self._held[leaver.party] - 1
            if left:
                self._held[leaver.party] = left
            else:
                del self._held[leaver.party]

    def sweep(self) -> None:
        """Every half a minute: a socket that has been silent is asked for a sign of life, then given up."""
        for one in list(self.sessions):
            one.sweep()


class Session:
    """One socket; implements `transport.Listener` and `attendance.Visitor`."""

    def __init__(
        self,
        number: int,
        socket: transport.Socket,
        limits: connection.Limits,
        on_left: Callable[[Session], None],
    ) -> None:
        self.id = number
        self._socket = socket
        self._on_left = on_left
        self._protocol = connection.Connection(yjs.read, limits)
        self._receive = self._protocol.receive
        self._quick = self._protocol.quick
        self._room: room.Room | None = None
        self.client = client.Client(
            number=number, wire=socket, protocol=self._protocol, author=None, username=None
        )
        self.who: Identity | Guest | None = None
        self.link: Guest | None = None
        self.until: datetime | None = None
        self.admitted: hub.Address | None = None
        """Whose room it entered."""
        self.party: _Party | None = None
        """Whom it is counted for; nobody before it has entered."""
        self.lost_already = False
        self._silent = False

    # -- transport.Listener ---------------------------------------------------------------------------------------

    def message(self, data: bytes) -> None:
        """One whole message of the client."""
        live = self._room
        if live is not None:
            update = self._quick(data)
            if update is not None:
                live.submit(self.client, update)
                return
        found = self._receive(data)
        if live is not None:
            for kind, body in found:
                live.receive(self.client, kind, body)
        elif self._protocol.enough:
            self._socket.hold(Hold.ADMISSION)
        if self._protocol.closing is not None:
            self._refuse(self._protocol.closing)

    def full(self) -> None:
        """The transport holds more than it should."""
        self._socket.hold(Hold.BEHIND)
        if self._room is not None:
            self._room.fell_behind(self.client)

    def drained(self) -> None:
        """The transport can take more."""
        self._socket.release(Hold.BEHIND)
        if self._room is not None:
            self._room.caught_up(self.client)

    def lost(self) -> None:
        """The socket is gone: leave the room."""
        self.lost_already = True
        self.client.closed = True
        if self._room is not None:
            # Who said too much was told to stay away by the transport.
            self._room.leave(self.client, for_good=self._socket.refused)
            self._room = None
        self._on_left(self)

    # -- its life -------------------------------------------------------------------------------------------------

    def enter(self, live: room.Room, answer: admission.Admitted) -> None:
        """Into the room, with everything that was said while waiting."""
        one = self.client
        one.may_edit = answer.may_edit
        if answer.branch.protected:
            one.may_not = client.PROTECTED
        self.who, self.link = answer.who, answer.link
        if self.who is not None:
            self.until = self.who.expires_at
        if isinstance(self.who, Identity):
            one.author = self.who.user_id
            one.username = self.who.username
        self.admitted = hub.Address(live.document_id, live.project_id)
        self._room = live
        live.join(one)
        if Hold.BEHIND in self._socket.held:
            live.fell_behind(one)
        for kind, body in self._protocol.admit(may_edit=answer.may_edit):
            live.receive(one, kind, body)
        self._socket.admitted()
        if self._protocol.closing is not None:
            self._refuse(self._protocol.closing)

    @property
    def project_id(self) -> UUID:
        """Whose room it is in. Of one that was admitted."""
        assert self.admitted is not None, "nobody is watched who was not admitted"
        return self.admitted.project_id

    @property
    def document_id(self) -> int:
        """Which of its project's branches it is in. Of one that was admitted."""
        assert self.admitted is not None, "nobody is watched who was not admitted"
        return self.admitted.document_id

    def judged(self, access: Access, *, protected: bool) -> None:
        """What it may do from now on: less, more, or nothing. protected: its branch is."""
        if Right.DOCUMENT_READ not in access.rights:
            self.end(Code.NO_ACCESS, "your access was taken away")
            return
        self.client.may_not = client.PROTECTED if protected else client.READER
        may_edit = Right.DOCUMENT_EDIT in access.rights and not protected
        if may_edit != self.client.may_edit and self._room is not None and not self.client.closed:
            self._room.permit(self.client, may_edit=may_edit)

    def _refuse(self, closing: connection.Closing) -> None:
        """The state machine ends it; counted, so that a client that goes round and round can be seen."""
        reason = "malformed" if closing.code is Code.BAD_DATA else "too_early"
        metrics.rejected_frames_total.labels(reason).inc()
        _log.info("client_refused", code=int(closing.code), reason=closing.reason)
        self.end(*closing)

    def end(self, code: Code, reason: str) -> None:
        """Close with a reason."""
        self.client.close(code, reason)

    def sweep(self) -> None:
        """See `Reception.sweep`."""
        if self._socket.heard() or self._socket.held:
            # Who is not read cannot be heard; each reason for that has an end of its own.
            self._silent = False
        elif self._silent:
            self._socket.abort()
        else:
            self._silent = True
            self._socket.ping()


def _too_many(answer: admission.Admitted, most: int) -> str:
    if isinstance(answer.who, Identity):
        return f"you may have {most} connections at a time"
    return f"{most} connections without an account come from your address already; sign in"
