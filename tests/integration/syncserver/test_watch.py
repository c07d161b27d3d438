"""Access that changes while sockets are open: real rooms, sockets, PostgreSQL and Redis, in this process."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString
from uuid import UUID

import anyio
import anyio.to_thread
import pytest

from auth import changes
from auth.permissions import Role
from base import embedded, ids
from base.db import Database
from docstore import migrate
from tests.e2e import wire
from tests.integration.syncserver.process import (
    ENDED,
    SOON,
    TAKEN,
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

    from base.redis import Redis
    from docstore import projects


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


async def run(here: Process, statement: LiteralString, *values: object) -> None:
    async with here.database.transaction() as tx:
        await tx.execute(statement, values)


async def test_an_editor_becomes_a_viewer_and_an_editor_again_on_the_same_socket(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    bob = await here.somebody()
    await here.member(song, bob, Role.EDITOR)
    first, while_viewer, later = (wire.small_update("takes", key, 1) for key in "abc")
    async with here.enter(song, bob.token) as peer, here.enter(song, ann.token) as owner:
        await peer.next(asks)
        await peer.send(wire.update(first))
        await peer.acknowledged()

        await here.member(song, bob, Role.VIEWER)
        await changed(here, song)
        with anyio.fail_after(SOON):
            await peer.next(refuses)
        await peer.send(wire.update(while_viewer), wire.acknowledge(77))
        assert await owner.document_keys("takes") == {"a"}
        # Still hears what others do, and may show itself.
        await owner.send(wire.update(later))
        await peer.next(lambda frame: wire.sync_body(frame, wire.UPDATE) == later)
        await peer.send(wire.awareness((7, 1, '{"user":{}}')))
        await owner.next(lambda frame: bool(wire.awareness_states(frame)))
        assert await peer.document_keys("takes") == {"a", "c"}
        assert wire.acknowledge(77) not in peer.frames

        await here.member(song, bob, Role.EDITOR)
        await changed(here, song)
        with anyio.fail_after(SOON):
            await peer.next(asks)
        await peer.send(wire.acknowledge(78))
        await peer.send(bytes([wire.SYNC, wire.STEP2]) + wire.var_bytes(while_viewer))
        # The question that was withheld is answered now that all it asks about is there.
        await peer.next(lambda frame: frame == wire.acknowledge(78))
        assert await owner.document_keys("takes") == {"a", "b", "c"}
        assert len([frame for frame in peer.frames if refuses(frame)]) == 1


async def test_who_is_removed_is_out_and_nobody_else(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    bob, cem = await here.somebody(), await here.somebody()
    for who in (bob, cem):
        await here.member(song, who, Role.EDITOR)
    async with (
        here.enter(song, ann.token) as owner,
        here.enter(song, bob.token) as removed,
        here.enter(song, bob.token) as too,
        here.enter(song, cem.token) as stays,
    ):
        for peer in (owner, removed, too, stays):
            await peer.pull()
        await here.member(song, bob, None)
        await changed(here, song)
        assert await ends(removed) == await ends(too) == TAKEN
        await owner.acknowledged()
        await stays.acknowledged()
    async with here.enter(song, bob.token) as again:
        assert (await ends(again)).code == 4404


async def test_a_deleted_project_says_so(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    async with here.enter(song, ann.token) as peer:
        await peer.pull()
        await run(here, "UPDATE projects SET deleted_at = now() WHERE id = %s", song.id)
        await changed(here, song)
        assert await ends(peer) == wire.Closed(4404, "the project was deleted")


async def test_a_door_that_is_closed_is_closed_for_those_inside(
    here: Process, ann: Somebody
) -> None:
    song = await here.song(ann, public=True)
    async with here.enter(song) as guest, here.enter(song, ann.token) as owner:
        await guest.pull()
        await owner.pull()
        await run(here, "UPDATE projects SET guest_role = 'editor' WHERE id = %s", song.id)
        await changed(here, song)
        with anyio.fail_after(SOON):
            await guest.next(asks)
        await guest.send(wire.update(wire.small_update("takes", "guest", 1)))
        await owner.next(lambda frame: wire.sync_body(frame, wire.UPDATE) is not None)
        await run(
            here,
            "UPDATE projects SET guest_role = 'none', is_public = false WHERE id = %s",
            song.id,
        )
        await changed(here, song)
        assert await ends(guest) == TAKEN
        await owner.acknowledged()


async def test_a_session_that_ends_ends_its_sockets_only(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    phone = await here.sign_in(ann.id, ann.name)
    async with here.enter(song, ann.token) as stays, here.enter(song, phone.token) as goes:
        await stays.pull()
        await goes.pull()
        await here.parts.identities.end(ann.id, phone.signed.session_id)
        assert await ends(goes) == ENDED
        await stays.acknowledged()
        await here.parts.changes.tell(changes.AccountBarred(ann.id))
        assert await ends(stays) == ENDED


async def test_what_happens_in_one_process_is_felt_in_the_other(
    database: Database, redis: Redis, here: Process, ann: Somebody, song: projects.Project
) -> None:
    bob = await here.somebody()
    await here.member(song, bob, Role.EDITOR)
    async with (
        process(database, redis) as there,
        there.enter(song, bob.token) as guest,
        there.enter(song, ann.token) as owner,
    ):
        await guest.pull()
        await owner.pull()
        await here.member(song, bob, None)
        await changed(here, song)
        assert await ends(guest) == TAKEN
        await here.parts.identities.end_all(ann.id)
        assert await ends(owner) == ENDED


async def test_what_was_missed_while_redis_was_away_is_found(
    redis: Redis, here: Process, ann: Somebody, song: projects.Project
) -> None:
    bob = await here.somebody()
    await here.member(song, bob, Role.EDITOR)
    async with (
        here.enter(song, bob.token) as removed,
        here.enter(song, ann.token) as signed_out,
    ):
        await removed.pull()
        await signed_out.pull()
        await here.member(song, bob, None)
        # As another process would, whose word was lost.
        await redis.client.delete(f"session:{ann.signed.session_id}")
        await redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        assert await removed.closed() == TAKEN
        assert await signed_out.closed() == ENDED


async def test_everybody_is_looked_at_from_time_to_time(
    here: Process, ann: Somebody, song: projects.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await here.somebody()
    await here.member(song, bob, Role.EDITOR)
    async with here.enter(song, bob.token) as peer:
        await peer.pull()
        await here.member(song, bob, None)
        monkeypatch.setattr("syncserver.watch._SWEEP_SECONDS", 0.0)
        assert await ends(peer) == TAKEN


@pytest.mark.parametrize(
    "change", ["removed", "signed out", "one of many", "missed", "elsewhere", "many elsewhere"]
)
async def test_a_change_that_is_heard_while_somebody_is_being_admitted_counts_for_them_too(
    here: Process, song: projects.Project, change: str
) -> None:
    bob = await here.somebody()
    await here.member(song, bob, Role.EDITOR)
    here.reception._gate = gate = SlowGate(here.gate)
    many = tuple(ids.new_id() for _ in range(5000))
    async with here.enter(song, bob.token) as peer:
        await gate.answered.wait()
        match change:
            case "removed":
                await here.member(song, bob, None)
                await changed(here, song)
            case "signed out":
                await here.parts.identities.end_all(bob.id)
            case "one of many":
                ended = bob.signed.session_id
                await here.parts.identities._sessions.end(bob.id, ended)
                here.watch.hear(changes.SessionsEnded((*many, ended, *many)))
            case "many elsewhere":
                here.watch.hear(changes.SessionsEnded(many))
            case "missed":
                await here.member(song, bob, None)
                here.watch.hear(changes.EverythingMayHaveChanged())
            case _:
                await changed(here, await here.song(bob))
        # Time to judge those who are inside: bob is not.
        await anyio.wait_all_tasks_blocked()
        gate.go_on.set()
        if "elsewhere" in change:
            await peer.acknowledged()
            assert gate.asked == 1
        else:
            signed_out = change in {"signed out", "one of many"}
            assert (await ends(peer)).code == (4401 if signed_out else 4404)
            assert gate.asked == 2


async def test_who_is_away_too_long_is_asked_again(here: Process, song: projects.Project) -> None:
    """Of the changes only so many are remembered; after more of them anything may have changed."""
    before = here.watch.heard
    for number in range(1000):
        here.watch.hear(changes.KeyRevoked(UUID(int=number)))
    assert not here.watch.stale(before, song.id, None)
    here.watch.hear(changes.KeyRevoked(UUID(int=1000)))
    assert here.watch.stale(before, song.id, None)
    assert not here.watch.stale(here.watch.heard, song.id, None)


async def test_while_the_database_is_away_everything_stays_and_is_judged_when_it_is_back(
    redis: Redis,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-test-"))
    postgres = embedded.EmbeddedPostgres(folder)
    try:
        url = postgres.start()
        migrate.upgrade(url)
        database = await Database.open(url, size=4)
        async with process(database, redis) as here:
            ann, bob = await here.somebody(), await here.somebody()
            song = await here.song(ann)
            await here.member(song, bob, Role.EDITOR)
            async with here.enter(song, bob.token) as goes, here.enter(song, ann.token) as stays:
                await goes.pull()
                await stays.pull()
                await here.member(song, bob, None)
                await anyio.to_thread.run_sync(postgres.stop)
                await changed(here, song)
                await goes.send(wire.update(wire.small_update("takes", "a", 1)))
                await stays.next(lambda frame: wire.sync_body(frame, wire.UPDATE) is not None)
                await anyio.to_thread.run_sync(postgres.start)
                assert await goes.closed() == TAKEN
                await stays.acknowledged()
        await database.close()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_storm_of_changes_elsewhere_keeps_nobody_out(
    here: Process, ann: Somebody, song: projects.Project
) -> None:
    async def storm() -> None:
        while True:
            for _ in range(20):
                here.watch.hear(changes.ProjectChanged((await here.song(ann)).id))

    async with anyio.create_task_group() as both:
        both.start_soon(storm)
        for _ in range(5):
            async with here.enter(song, ann.token) as peer:
                await peer.acknowledged()
        both.cancel_scope.cancel()
