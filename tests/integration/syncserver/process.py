"""One server process for tests of access, as the composition root has it: gate, watch, rooms, sockets. Not a test.

Several of them share a database and a Redis, as processes behind a balancer do; a test may move the clock.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import anyio
from websockets.asyncio.client import connect

from api import services
from auth import changes
from auth.permissions import Membership, Role
from base import clock, settings, tasks
from docstore import journal, projects
from syncserver import admission, hub, session, transport, watch
from tests.e2e import wire
from tests.integration.docstore import people
from tests.integration.syncserver import sockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from datetime import datetime
    from uuid import UUID

    from auth.identity import Signed
    from base.db import Database
    from base.redis import Redis
    from syncserver.connection import Closing
    from syncserver.transport import Request

SECRET = "the secret of all processes in these tests"
_names = itertools.count(1)

SOON = 1.0
"""Seconds in which a change has to have its effect."""
TAKEN = wire.Closed(4403, "your access was taken away")
ENDED = wire.Closed(4401, "session_ended")
EXPIRED = wire.Closed(4401, "token_expired")

ADD = """
    INSERT INTO project_collaborators (project_id, user_id, role, joined_at, updated_at)
    VALUES (%s, %s, %s, now(), now())
    ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role"""
REMOVE = "DELETE FROM project_collaborators WHERE project_id = %s AND user_id = %s"


class Somebody(NamedTuple):
    """A person with a session."""

    id: UUID
    name: str
    signed: Signed

    @property
    def token(self) -> str:
        return self.signed.token


class Process:
    """See the module."""

    def __init__(
        self, database: Database, redis: Redis, owner: tasks.Tasks, **given: object
    ) -> None:
        # Before anything is changed: several may share one set of numbers.
        quick: dict[str, object] = {"bcrypt_cost": 4, "connects_per_minute": 0}
        self.settings = settings.Settings.load({}, **(quick | given))
        self.ahead = timedelta()
        self.database = database
        self.port = 0
        self.journal = journal.Journal(database.url, linger=0.0)
        self.rooms = hub.Hub(
            settings=self.settings, database=database, writer=self.journal, owner=owner
        )
        self.parts = services.assemble(
            settings=self.settings,
            database=database,
            redis=redis,
            rooms=self.rooms,
            secret=SECRET,
            now=self.now,
        )
        self.watch = watch.Watch(
            database=database, identities=self.parts.identities, owner=owner, now=self.now
        )
        self.parts.changes.listen(self.watch.hear)
        self.gate = admission.Gate(
            database=database,
            identities=self.parts.identities,
            limits=self.parts.limits,
            proxies=self.parts.proxies,
            origins=self.parts.origins,
        )
        self.reception = session.Reception(
            settings=self.settings,
            gate=self.gate,
            rooms=self.rooms,
            watcher=self.watch,
            owner=owner,
        )
        owner.spawn("journal", self.journal.run())
        owner.spawn("changes", self.parts.changes.run())
        owner.spawn("ticks", self._ticks())

    def now(self) -> datetime:
        return clock.now() + self.ahead

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.watch.tick()

    async def somebody(self) -> Somebody:
        """A new account, signed in."""
        name = f"player{next(_names)}"
        async with self.database.transaction() as tx:
            user = await people.person(tx, name)
        return await self.sign_in(user, name)

    async def sign_in(self, user: UUID, name: str) -> Somebody:
        signed = await self.parts.identities.sign_in(user, name, ip="192.0.2.1", agent="a test")
        return Somebody(user, name, signed)

    async def song(self, owner: Somebody, *, public: bool = False) -> projects.Project:
        async with self.database.transaction() as tx:
            return await projects.create(
                tx,
                owner=owner.id,
                name="Song",
                kind="opendaw",
                description="",
                is_public=public,
                now=clock.now(),
            )

    async def member(self, project: projects.Project, who: Somebody, role: Role | None) -> None:
        """Let somebody in as this, or out, and do not tell."""
        async with self.database.transaction() as tx:
            if role is None:
                await tx.execute(REMOVE, (project.id, who.id))
            else:
                await tx.execute(ADD, (project.id, who.id, Membership(role).role.value))

    @asynccontextmanager
    async def enter(
        self,
        project: projects.Project,
        token: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        origin: str | None = None,
        branch: str | None = None,
        **query: str,
    ) -> AsyncGenerator[wire.Peer]:
        """A raw socket into its room. branch: as it stands in the address."""
        if token is not None:
            query["token"] = token
        room = project.room_id if branch is None else f"{project.room_id}@{branch}"
        url = f"ws://127.0.0.1:{self.port}/sync/{room}?{urlencode(query)}"
        async with connect(
            url,
            compression=None,
            close_timeout=2,
            additional_headers=headers,
            origin=origin,  # pyright: ignore[reportArgumentType] (a NewType of the library's)
        ) as socket:
            yield wire.Peer(socket)


class SlowGate(admission.Gate):
    """The gate, which after the first answer is in no hurry to give it."""

    def __init__(self, gate: admission.Gate) -> None:
        self.__dict__ = gate.__dict__
        self.asked = 0
        self.answered = anyio.Event()
        self.go_on = anyio.Event()

    async def admit(self, request: Request) -> admission.Admitted | Closing:
        answer = await super().admit(request)
        self.asked += 1
        self.answered.set()
        await self.go_on.wait()
        return answer


@asynccontextmanager
async def process(database: Database, redis: Redis, **settings_: object) -> AsyncGenerator[Process]:
    """A running one."""
    owner = tasks.Tasks()
    made = Process(database, redis, owner, **settings_)
    options = transport.Options(
        made.settings.max_frame_bytes,
        made.settings.outbox_bytes,
        made.settings.preauth_bytes,
        made.settings.updates_per_second,
        made.settings.update_bytes_per_second,
    )
    try:
        async with sockets.house(options=options, accept=made.reception.accept) as house:
            made.port = house.port
            # Until it listens to Redis: a test is about what comes after.
            await sockets.until(lambda: made.watch.heard > 0)
            yield made
    finally:
        await made.rooms.aclose()
        await owner.aclose()


async def changed(here: Process, song: projects.Project) -> None:
    await here.parts.changes.tell(changes.ProjectChanged(song.id))


async def ends(peer: wire.Peer) -> wire.Closed:
    with anyio.fail_after(SOON):
        return await peer.closed()


def asks(frame: bytes) -> bool:
    return wire.sync_body(frame, wire.STEP1) is not None


def refuses(frame: bytes) -> bool:
    return frame[:2] == b"\x02\x00"
