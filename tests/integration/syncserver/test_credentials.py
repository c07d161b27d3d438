"""What somebody came in with, and when it ends: tokens, tickets, API keys and share links on open sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from auth import changes, keys, links
from auth.permissions import Role
from base import clock
from tests.e2e import wire
from tests.integration.syncserver.process import (
    ENDED,
    EXPIRED,
    SOON,
    TAKEN,
    asks,
    changed,
    ends,
    process,
    refuses,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from base.db import Database
    from base.redis import Redis
    from docstore import projects
    from tests.integration.syncserver.process import Process, Somebody

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def here(database: Database, redis: Redis) -> AsyncGenerator[Process]:
    async with process(database, redis) as one:
        yield one


@pytest.fixture
async def ann(here: Process) -> Somebody:
    return await here.somebody()


@pytest.fixture
async def song(here: Process, ann: Somebody) -> projects.Project:
    return await here.song(ann)


async def test_time_ends_a_socket_unless_its_session_was_renewed(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    other = await here.sign_in(ann.id, ann.name)
    life = timedelta(minutes=here.settings.access_minutes)
    ticket = here.parts.identities.ticket(
        await here.parts.identities.identify(ann.token), song.id, None
    )
    async with (
        here.enter(song, ann.token) as renewed,
        here.enter(song, other.token) as forgotten,
        here.enter(song, ticket.token) as by_ticket,
    ):
        for peer in (renewed, forgotten, by_ticket):
            await peer.pull()
        here.ahead = life - MINUTE
        await here.parts.identities.refresh(ann.signed.refresh_token, ip="192.0.2.1", agent="")
        await forgotten.acknowledged()
        here.ahead = life + MINUTE
        assert await ends(forgotten) == EXPIRED
        await renewed.acknowledged()
        here.ahead = life * 3
        assert await ends(renewed) == EXPIRED
        await by_ticket.acknowledged()
        await here.parts.identities.end(ann.id, ann.signed.session_id)
        assert await ends(by_ticket) == ENDED


async def test_a_ticket_is_for_one_room_and_at_most_one_role(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    who = await here.parts.identities.identify(ann.token)
    ticket = here.parts.identities.ticket(who, song.id, Role.VIEWER).token
    async with here.enter(await here.song(ann), ticket) as elsewhere:
        assert (await ends(elsewhere)).code == 4403
    async with here.enter(song, ticket) as viewer:
        await viewer.send(wire.update(wire.small_update("takes", "a", 1)))
        await viewer.next(refuses)
        # Judged again, it stays what the ticket says.
        await changed(here, song)
        await anyio.sleep(0.1)
        assert await viewer.document_keys("takes") == set()
        assert not any(asks(frame) for frame in viewer.frames)


async def test_an_api_key_does_what_it_is_for_until_it_is_revoked(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    async with here.database.transaction() as tx:
        key, token = await keys.create(
            tx,
            ann.id,
            name="a robot",
            scopes=["read"],
            project_id=None,
            expires_at=None,
            now=clock.now(),
        )
    async with here.enter(song, token) as robot:
        await robot.send(wire.update(wire.small_update("takes", "a", 1)))
        await robot.next(refuses)
        await here.parts.changes.tell(changes.KeyRevoked(key.id))
        assert await ends(robot) == wire.Closed(4401, "key_revoked")


@asynccontextmanager
async def linked(
    here: Process, song: projects.Project, ann: Somebody, **more: object
) -> AsyncGenerator[tuple[links.Link, str]]:
    given = {"role": Role.EDITOR, "name": "", "expires_at": None} | more
    async with here.database.transaction() as tx:
        yield await links.make(tx, song.id, by=ann.id, now=clock.now(), **given)  # pyright: ignore[reportArgumentType]


async def test_a_link_opens_its_project_until_it_is_taken_back(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    async with linked(here, song, ann) as (link, token):
        pass
    bob = await here.somebody()
    await here.member(song, bob, Role.VIEWER)
    async with here.enter(await here.song(ann), token) as elsewhere:
        assert (await ends(elsewhere)).code == 4403
    async with (
        here.enter(song, token) as guest,
        here.enter(song, link=token) as without,
        here.enter(song, bob.token, link=token) as both,
    ):
        for peer in (guest, without, both):
            await peer.next(asks)
        async with here.database.transaction() as tx:
            await links.revoke(tx, song.id, link.id)
        await changed(here, song)
        assert await ends(guest) == await ends(without) == TAKEN
        with anyio.fail_after(SOON):
            await both.next(refuses)
    async with here.enter(song, token) as late:
        assert await ends(late) == wire.Closed(4401, "link_invalid")


async def test_the_end_of_a_link_ends_what_it_opened(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    async with linked(here, song, ann, expires_at=clock.now() + MINUTE * 5) as (_, token):
        pass
    bob = await here.somebody()
    await here.member(song, bob, Role.VIEWER)
    async with here.enter(song, token) as guest, here.enter(song, bob.token, link=token) as both:
        await guest.next(asks)
        await both.next(asks)
        here.ahead = MINUTE * 6
        assert await ends(guest) == EXPIRED
        with anyio.fail_after(SOON):
            await both.next(refuses)
