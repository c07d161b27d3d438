"""Branches as rooms: sockets in `{room}@{branch}`, and what happens to them when it is protected, renamed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import pytest

from auth.permissions import Role
from base import clock
from docstore.history import archive, branches, branching
from syncserver.client import PROTECTED
from tests.e2e import wire
from tests.integration.syncserver.process import (
    SOON,
    Process,
    SlowGate,
    Somebody,
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
    from docstore.history.branches import Branch

NO_BRANCH = wire.Closed(4404, "there is no such branch")
NO_ROOM = wire.Closed(4404, "there is no such room")
DELETED = wire.Closed(4404, "the branch was deleted")


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


async def branched(here: Process, song: projects.Project, name: str = "side") -> Branch:
    """A branch of main as it is now."""
    async with here.database.transaction() as tx:
        await archive.lock(tx, song.id)
        main = await branches.get(tx, song.id, "main")
        source = await branching.of_live(tx, main, await here.rooms.snapshot(song.document_id))
        return await branching.create(
            tx, song.id, name=name, source=source, created_by=song.owner_id, now=clock.now()
        )


async def protect(here: Process, branch: Branch, *, protected: bool = True) -> None:
    async with here.database.transaction() as tx:
        await branching.protect(tx, branch, protected=protected)


async def test_each_branch_is_a_room_of_its_own_that_begins_with_what_was_there(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    one, two, three = (wire.small_update("takes", key, 1) for key in ("one", "two", "three"))
    async with here.enter(song, ann.token) as main:
        await main.send(wire.update(one))
        await main.acknowledged()
        await branched(here, song)
        async with here.enter(song, ann.token, branch="side") as side:
            assert await side.document_keys("takes") == {"one"}
            await side.send(wire.update(two))
            await side.acknowledged()
            await main.send(wire.update(three))
            await main.acknowledged()
            assert await main.document_keys("takes") == {"one", "three"}
            assert await side.document_keys("takes") == {"one", "two"}
        # Main by its name is main.
        async with here.enter(song, ann.token, branch="main") as again:
            assert await again.document_keys("takes") == {"one", "three"}


async def test_a_branch_is_loaded_as_it_was_left(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    await here.rooms.apply(song.document_id, wire.small_update("takes", "one", 1), ann.id)
    side = await branched(here, song)
    await here.rooms.apply(side.document_id, wire.small_update("takes", "two", 2), ann.id)
    async with (
        process(here.database, here.parts.redis) as other,
        other.enter(song, ann.token, branch="side") as peer,
    ):
        assert await peer.document_keys("takes") == {"one", "two"}


@pytest.mark.parametrize("name", ["Größe", "a b", "🎹", "низ", "+1", "a.b", "x" * 100])
async def test_an_odd_name_is_percent_encoded(
    here: Process, ann: Somebody, song: projects.Project, name: str
) -> None:
    await branched(here, song, name)
    async with here.enter(song, ann.token, branch=quote(name, safe="")) as peer:
        await peer.pull()


@pytest.mark.parametrize(
    "name", ["side", "", "Main", "a%00b", "main%20", "%ED%A0%80", "@main", "..", "a%2Fb", "x" * 500]
)
async def test_a_branch_that_is_not_there_is_said_so(
    here: Process, ann: Somebody, song: projects.Project, name: str
) -> None:
    async with here.enter(song, ann.token, branch=name) as peer:
        assert await ends(peer) == NO_BRANCH


async def test_a_stranger_learns_nothing_of_branches(here: Process, song: projects.Project) -> None:
    bob = await here.somebody()
    await branched(here, song)
    for name in ("side", "other", "main"):
        async with here.enter(song, bob.token, branch=name) as peer:
            assert await ends(peer) == NO_ROOM
        async with here.enter(song, branch=name) as nobody:
            assert await ends(nobody) == wire.Closed(4401, "token_missing")


async def test_a_branch_is_protected_and_opened_again_on_the_same_socket(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    side = await branched(here, song)
    first, meanwhile = (wire.small_update("takes", key, 1) for key in "ab")
    async with (
        here.enter(song, ann.token, branch="side") as peer,
        here.enter(song, ann.token) as main,
    ):
        await peer.next(asks)
        await peer.send(wire.update(first))
        await peer.acknowledged()
        await main.pull()

        await protect(here, side)
        await changed(here, song)
        with anyio.fail_after(SOON):
            said = await peer.next(refuses)
        assert PROTECTED.encode() in said
        await peer.send(wire.update(meanwhile))
        await peer.pull()
        assert await peer.document_keys("takes") == {"a"}
        await main.send(wire.update(wire.small_update("takes", "m", 1)))
        await main.acknowledged()  # the others are as they were

        await protect(here, side, protected=False)
        await changed(here, song)
        with anyio.fail_after(SOON):
            await peer.next(asks)
        await peer.send(bytes([wire.SYNC, wire.STEP2]) + wire.var_bytes(meanwhile))
        await peer.acknowledged()
        assert await peer.document_keys("takes") == {"a", "b"}


async def test_who_enters_a_protected_branch_reads_and_is_told_why(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    await here.rooms.apply(song.document_id, wire.small_update("takes", "one", 1), ann.id)
    await protect(here, await branched(here, song))
    async with here.enter(song, ann.token, branch="side") as peer:
        assert await peer.document_keys("takes") == {"one"}
        await peer.send(wire.update(wire.small_update("takes", "mine", 1)))
        said = await peer.next(refuses)
        assert PROTECTED.encode() in said
        assert await peer.document_keys("takes") == {"one"}


async def test_a_reader_of_an_open_branch_is_told_that_they_are_one(
    here: Process, song: projects.Project
) -> None:
    bob = await here.somebody()
    await here.member(song, bob, Role.VIEWER)
    side = await branched(here, song)
    async with here.enter(song, bob.token, branch="side") as peer:
        await peer.send(wire.update(wire.small_update("takes", "mine", 1)))
        assert PROTECTED.encode() not in await peer.next(refuses)
    # Opening a branch makes no editor of a viewer.
    await protect(here, side)
    async with here.enter(song, bob.token, branch="side") as peer:
        await peer.pull()
        await protect(here, side, protected=False)
        await changed(here, song)
        await peer.send(wire.update(wire.small_update("takes", "mine", 1)))
        assert await peer.document_keys("takes") == set()


async def test_who_is_in_a_branch_that_is_deleted_is_out_and_nobody_else(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    side = await branched(here, song)
    async with (
        here.enter(song, ann.token, branch="side") as gone,
        here.enter(song, ann.token) as stays,
    ):
        await gone.pull()
        await stays.pull()
        async with here.database.transaction() as tx:
            await branching.delete(tx, side, clock.now())
        await changed(here, song)
        assert await ends(gone) == DELETED
        await stays.acknowledged()
    async with here.enter(song, ann.token, branch="side") as again:
        assert await ends(again) == NO_BRANCH
    # Another one of this name is another room.
    await branched(here, song)
    async with here.enter(song, ann.token, branch="side") as other:
        await other.pull()


async def test_who_is_in_a_branch_that_is_renamed_stays(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    side = await branched(here, song)
    async with here.enter(song, ann.token, branch="side") as peer:
        await peer.pull()
        async with here.database.transaction() as tx:
            await branching.rename(tx, side, "slow")
        await changed(here, song)
        await peer.send(wire.update(wire.small_update("takes", "one", 1)))
        await peer.acknowledged()
        async with here.enter(song, ann.token, branch="slow") as other:
            assert await other.document_keys("takes") == {"one"}
        async with here.enter(song, ann.token, branch="side") as late:
            assert await ends(late) == NO_BRANCH
        await peer.acknowledged()


async def test_a_branch_that_is_protected_while_somebody_comes_in_is_looked_at_again(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    side = await branched(here, song)
    gate = SlowGate(here.gate)
    here.reception._gate = gate
    async with here.enter(song, ann.token, branch="side") as peer:
        with anyio.fail_after(SOON):
            await gate.answered.wait()
        await protect(here, side)
        await changed(here, song)
        gate.go_on.set()
        await peer.send(wire.update(wire.small_update("takes", "mine", 1)))
        assert PROTECTED.encode() in await peer.next(refuses)
        assert gate.asked == 2


async def test_a_share_link_opens_every_branch(here: Process, ann: Somebody) -> None:
    song = await here.song(ann, public=True)
    await branched(here, song)
    async with here.enter(song, branch="side") as guest:
        await guest.pull()
        await guest.send(wire.update(wire.small_update("takes", "mine", 1)))
        await guest.next(refuses)
