"""Changes of access, told to every process at once through Redis.

A change says what to look at again, never what is now allowed: whoever hears it asks the database.
So a message that is lost, late or doubled does no harm. Channel: `syncsphere:access`. Knows Redis;
not rooms or sockets, which listen.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

import msgspec
import redis.asyncio
import redis.asyncio.retry
import redis.backoff

from base import log, metrics
from base.redis import CONNECT_SECONDS, Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from base.redis import Redis

_log = log.get("auth.changes")

CHANNEL: Final = "syncsphere:access"
_TELL_SECONDS: Final = 2.0
"""A request whose work is done waits no longer for Redis to pass it on."""
_QUIET_SECONDS: Final = 5.0
"""After this long without a word Redis is asked for one, and after as long again given up."""
_PAUSE_SECONDS: Final = 0.5


class ProjectChanged(msgspec.Struct, frozen=True, tag="project"):
    """Roles, visibility, links or the owner of a project changed, or it was deleted."""

    project_id: UUID


class SessionsEnded(msgspec.Struct, frozen=True, tag="sessions"):
    """These sessions open nothing any more."""

    session_ids: tuple[UUID, ...]


class SessionRenewed(msgspec.Struct, frozen=True, tag="renewed"):
    """A session got a new access token: what came in with an older one may stay until then.

    Told to spare questions: whoever misses it asks the session when the older one ends.
    """

    session_id: UUID
    until: datetime


class KeyRevoked(msgspec.Struct, frozen=True, tag="key"):
    """An API key opens nothing any more."""

    key_id: UUID


class AccountBarred(msgspec.Struct, frozen=True, tag="account"):
    """The account was disabled or closed: all that it opened ends."""

    user_id: UUID


class EverythingMayHaveChanged(msgspec.Struct, frozen=True, tag="everything"):
    """Changes may have been missed: Redis was away, or was not listened to until now."""


Change: TypeAlias = (
    ProjectChanged
    | SessionsEnded
    | SessionRenewed
    | KeyRevoked
    | AccountBarred
    | EverythingMayHaveChanged
)


class _Message(msgspec.Struct, frozen=True):
    """What goes over the channel. `origin` skips the echo of what it told itself."""

    origin: str
    change: Change


class Changes:
    """Tells changes to this process at once and to all others through Redis."""

    def __init__(self, store: Redis) -> None:
        self._store = store
        self._origin = secrets.token_hex(8)
        self._listeners: list[Callable[[Change], None]] = []
        self._untold = False

    def listen(self, hear: Callable[[Change], None]) -> None:
        """Call `hear` for every change, whichever process it comes from. It must not block."""
        self._listeners.append(hear)

    async def tell(self, *changes: Change) -> None:
        """Call once these are committed. Never fails: what Redis loses is found by looking again."""
        for change in changes:
            self._pass_on(change)
        told = 0
        try:
            # For all together: whoever waits for the answer does not wait longer for many.
            async with asyncio.timeout(_TELL_SECONDS):
                for change in changes:
                    message = msgspec.json.encode(_Message(self._origin, change))
                    await self._store.client.publish(CHANNEL, message)  # pyright: ignore[reportUnknownMemberType] (library leaves **kwargs untyped)
                    told += 1
        except (Error, OSError) as problem:  # a timeout is an OSError
            self._untold = True
            metrics.access_changes_untold_total.inc(len(changes) - told)
            kinds = sorted({_kind(change) for change in changes[told:]})
            _log.warning("changes_not_told", kinds=kinds, problem=type(problem).__name__)

    async def run(self) -> None:
        """Hear what other processes tell, until cancelled.

        Each time the channel is subscribed to, also the first, listeners hear
        EverythingMayHaveChanged: what was said before is lost.
        """
        away = False
        while True:
            try:
                await self._subscribe()
            except (Error, OSError) as problem:
                if not away:
                    _log.warning("changes_not_heard", problem=type(problem).__name__)
                away = True
            else:
                away = False
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _subscribe(self) -> None:
        """Listen until the connection is lost or silent. Raises redis' errors, OSError."""
        # Its own connection, without the pool's tries: a lost one must be noticed, not mended in silence.
        client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(  # pyright: ignore[reportUnknownMemberType] (library leaves **kwargs untyped)
            self._store.url,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
        )
        async with client, client.pubsub() as channel:  # pyright: ignore[reportUnknownMemberType] (as above)
            await channel.subscribe(CHANNEL)  # pyright: ignore[reportUnknownMemberType]
            asked = False
            while True:
                message: dict[str, Any] | None = await channel.get_message(timeout=_QUIET_SECONDS)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                if message is not None:
                    asked = False
                    self._hear(message)  # pyright: ignore[reportUnknownArgumentType]
                elif asked:
                    return
                else:
                    asked = True
                    await channel.ping()  # pyright: ignore[reportUnknownMemberType]
                if self._untold:
                    # The others may have noticed nothing of an outage as short as this.
                    self._untold = False
                    await self.tell(EverythingMayHaveChanged())

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._pass_on(EverythingMayHaveChanged())
        if message["type"] != "message":
            return
        try:
            told = msgspec.json.decode(message["data"], type=_Message)
        except msgspec.DecodeError as unknown:
            # Of a newer version, which is being rolled out: its kind of change is not ours to know.
            _log.info("change_not_understood", problem=str(unknown))
            return
        if told.origin != self._origin:
            self._pass_on(told.change)

    def _pass_on(self, change: Change) -> None:
        metrics.access_changes_total.labels(_kind(change)).inc()
        for hear in self._listeners:
            try:
                hear(change)
            except Exception:  # noqa: BLE001 (a mistake of a listener's; the others and Redis have to hear)
                _log.exception("listener_failed", kind=_kind(change))


def _kind(change: Change) -> str:
    return str(type(change).__struct_config__.tag)
