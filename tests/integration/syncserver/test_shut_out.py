"""Whom the server closes for good is no longer seen by the others, though its socket may still be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from auth import changes
from auth.permissions import Role
from tests.e2e import wire
from tests.integration.syncserver.process import ENDED, SOON, TAKEN, changed, ends, process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from base.db import Database
    from base.redis import Redis
    from docstore import projects
    from tests.integration.syncserver.process import Process, Somebody

FRAME_BYTES = 1 << 17
ID = 11


@pytest.fixture
async def here(database: Database, redis: Redis) -> AsyncGenerator[Process]:
    # Nobody ends graces in this process: what goes has gone at once.
    async with process(database, redis, max_frame_bytes=FRAME_BYTES) as one:
        yield one


@pytest.fixture
async def ann(here: Process) -> Somebody:
    return await here.somebody()


@pytest.fixture
async def song(here: Process, ann: Somebody) -> projects.Project:
    return await here.song(ann)


def shows(frame: bytes) -> bool:
    return any(who == ID and text != "null" for who, _, text in wire.awareness_states(frame) or ())


def removes(frame: bytes) -> bool:
    return any(who == ID and text == "null" for who, _, text in wire.awareness_states(frame) or ())


async def seen(peer: wire.Peer, by: wire.Peer) -> None:
    await by.pull()
    await peer.send(wire.awareness((ID, 1, '{"cursor":1}')))
    with anyio.fail_after(SOON):
        await by.next(shows)


async def gone(by: wire.Peer) -> None:
    with anyio.fail_after(SOON):
        await by.next(removes)


async def test_who_loses_access_loses_the_cursor_on_the_others_screens(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    bob = await here.somebody()
    await here.member(song, bob, Role.VIEWER)
    async with here.enter(song, ann.token) as stays, here.enter(song, bob.token) as goes:
        await seen(goes, by=stays)
        await here.member(song, bob, None)
        await changed(here, song)
        await gone(stays)
        assert await ends(goes) == TAKEN


async def test_who_is_signed_out_is_not_seen_any_more(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    again = await here.sign_in(ann.id, ann.name)
    async with here.enter(song, ann.token) as stays, here.enter(song, again.token) as goes:
        await seen(goes, by=stays)
        await here.parts.changes.tell(changes.SessionsEnded((again.signed.session_id,)))
        await gone(stays)
        assert await ends(goes) == ENDED


async def test_who_says_too_much_at_once_is_not_seen_any_more(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    async with here.enter(song, ann.token) as stays, here.enter(song, ann.token) as goes:
        await seen(goes, by=stays)
        await goes.send_if_open(bytes(FRAME_BYTES + 1))
        await gone(stays)
        assert (await ends(goes)).code == 4413
