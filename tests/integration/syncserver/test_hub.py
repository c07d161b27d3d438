"""The hub on a real PostgreSQL: opening, poison, unloading, compaction, deletion."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from pycrdt import Doc, Text

from api import ports
from base import clock, ids, settings, tasks
from docstore import errors, journal, projects
from syncserver import client, connection, hub, room
from syncserver.testing import LIMITS, MemoryWire
from syncserver.wire import events, yjs
from tests.e2e import poison
from tests.integration.docstore import people

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from base.db import Database

WITHIN = 10


class House:
    """A hub with what it stands on."""

    def __init__(
        self, rooms: hub.Hub, owner: tasks.Tasks, database: Database, writer: journal.Journal
    ) -> None:
        self.rooms = rooms
        self.journal = writer
        self.tasks = owner
        self.database = database
        self._next = 1

    async def enter(self, project: projects.Project) -> tuple[room.Room, client.Client, MemoryWire]:
        live = await self.rooms.open(hub.Address(project.document_id, project.id))
        wire = MemoryWire()
        protocol = connection.Connection(yjs.read, LIMITS)
        protocol.admit(may_edit=True)
        one = client.Client(
            number=self._next,
            wire=wire,
            protocol=protocol,
            author=project.owner_id,
            username="anna",
        )
        one.may_edit = True
        self._next += 1
        live.join(one)
        return live, one, wire


@asynccontextmanager
async def house(database: Database, **changes: object) -> AsyncGenerator[House]:
    owner = tasks.Tasks()
    writer = journal.Journal(database.url, linger=0.0)
    owner.spawn("journal", writer.run())
    config = settings.Settings.load({}, **changes)
    rooms = hub.Hub(settings=config, database=database, writer=writer, owner=owner)
    try:
        yield House(rooms, owner, database, writer)
    finally:
        await rooms.aclose()
        await owner.aclose()


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(WITHIN):
        while not true():  # noqa: ASYNC110 (in another task; there is no event to wait for)
            await anyio.sleep(0.005)


def words(*updates: bytes) -> str:
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    text: Text = doc.get("t", type=Text)
    return str(text)


async def test_many_who_open_a_room_at_once_share_it(database: Database) -> None:
    async with house(database) as here:
        project = await people.song(database)
        address = hub.Address(project.document_id, project.id)
        opened: list[room.Room] = []

        async def open_it() -> None:
            opened.append(await here.rooms.open(address))

        async with anyio.create_task_group() as everybody:
            for _ in range(20):
                everybody.start_soon(open_it)
        assert len({id(live) for live in opened}) == 1
        assert here.rooms.statistics().rooms == 1


async def test_one_who_gives_up_does_not_end_the_opening_for_the_others(database: Database) -> None:
    async with house(database) as here:
        project = await people.song(database)
        address = hub.Address(project.document_id, project.id)
        with anyio.move_on_after(0):
            await here.rooms.open(address)
        live = await here.rooms.open(address)
        assert live.document_id == project.document_id


async def test_a_document_that_does_not_exist_is_said_to_and_asked_for_again(
    database: Database,
) -> None:
    async with house(database) as here:
        for _ in range(2):
            with pytest.raises(errors.DocumentNotFound):
                await here.rooms.open(hub.Address(999, ids.new_id()))
        with pytest.raises(errors.DocumentNotFound):
            await here.rooms.snapshot(999)


async def test_what_was_written_is_there_after_the_room_was_unloaded(database: Database) -> None:
    async with house(database, room_idle_seconds=0) as here:
        project = await people.song(database)
        live, one, _ = await here.enter(project)
        for update in people.letters("hello"):
            live.submit(one, update)
        live.turn()
        live.leave(one)
        await until(lambda: clock.monotonic() > (live.idle_since or 0))
        here.rooms.tick()
        await until(lambda: here.rooms.statistics().rooms == 0)
        assert words(await here.rooms.snapshot(project.document_id)) == "hello"


async def test_a_room_that_somebody_enters_while_it_is_unloaded_stays(database: Database) -> None:
    async with house(database, room_idle_seconds=0) as here:
        project = await people.song(database)
        live, one, _ = await here.enter(project)
        live.submit(one, people.letters("a")[0])
        live.turn()
        live.leave(one)
        await until(lambda: clock.monotonic() > (live.idle_since or 0))
        here.rooms.tick()
        again, _, _ = await here.enter(project)
        assert again is live
        await here.tasks.spawn("rest", anyio.sleep(0.05))
        assert here.rooms.statistics().rooms == 1


async def test_poison_rebuilds_the_room_and_only_its_sender_goes(database: Database) -> None:
    async with house(database) as here:
        project = await people.song(database)
        live, bad, bad_wire = await here.enter(project)
        _, good, good_wire = await here.enter(project)
        live.submit(good, poison.HALF.groundwork)
        live.turn()
        letters = people.letters("still here")
        live.submit(bad, poison.HALF.update)
        live.submit(good, letters[0])
        for event in good.connection.receive(yjs.sync_status(b"\x01")):
            live.receive(good, *event)
        live.turn()
        good_wire.said()
        assert not live.clean.is_set()
        for update in letters[1:]:
            live.submit(good, update)
        await until(live.clean.is_set)
        await until(lambda: events.SYNC_STATUS in [kind for kind, _ in good_wire.said()])
        assert bad_wire.closed is not None
        assert bad_wire.closed[0] == connection.Code.BAD_DATA
        assert good_wire.closed is None
        assert words(await here.rooms.snapshot(project.document_id)) == "still here"


async def test_poison_that_waited_for_somebody_is_not_blamed_on_them(database: Database) -> None:
    async with house(database) as here:
        project = await people.song(database)
        live, bad, bad_wire = await here.enter(project)
        _, good, good_wire = await here.enter(project)
        live.submit(bad, poison.HALF.update)
        assert live.turn() == room.Outcome(0, 1), "it builds upon what has not come"
        live.submit(good, poison.HALF.groundwork)
        live.turn()
        assert not live.clean.is_set()
        await until(live.clean.is_set)
        assert good_wire.closed is None
        assert bad_wire.closed is None, "what it sent is set aside; it has done nothing since"
        assert live.replica.pending == []
        letters = people.letters("all is well")
        for update in letters:
            live.submit(good, update)
        live.turn()
        assert live.clean.is_set()
        await here.journal.drain()
        async with database.connection() as tx:
            rows = await (
                await tx.execute(
                    "SELECT payload, waiting FROM journal WHERE refused_at IS NOT NULL"
                )
            ).fetchall()
        assert rows == [(poison.HALF.update, True)]
    async with house(database) as later:
        assert words(await later.rooms.snapshot(project.document_id)) == "all is well"
        live, _, _ = await later.enter(project)
        assert live.replica.refused == [], "it is not tried again"


async def test_what_waits_is_kept_across_a_restart_and_comes_loose(database: Database) -> None:
    letters = people.letters("late")
    async with house(database) as here:
        project = await people.song(database)
        live, one, _ = await here.enter(project)
        for update in letters[1:]:
            live.submit(one, update)
        live.turn()
        assert len(live.replica.pending) == 3
        await here.journal.drain()
    async with house(database) as later:
        live, one, _ = await later.enter(project)
        _, _, wire = await later.enter(project)
        assert len(live.replica.pending) == 3
        assert {waiting.author for waiting in live.replica.pending} == {one.author}
        wire.said()
        live.submit(one, letters[0])
        live.turn()
        assert words(*wire.bodies(events.UPDATE)) == "late"
        assert live.replica.pending == []
        await later.journal.drain()
    async with house(database) as last:
        live, _, _ = await last.enter(project)
        assert words(live.replica.full()) == "late"
        assert live.replica.pending == []


async def test_an_update_over_rest_is_durable_and_reaches_the_room(database: Database) -> None:
    async with house(database) as here:
        project = await people.song(database)
        _, _, wire = await here.enter(project)
        wire.said()
        [update] = people.letters("x")
        done = await here.rooms.apply(project.document_id, update, project.owner_id)
        assert done == ports.Applied(changed=True, pending=False)
        assert wire.bodies(events.UPDATE) == [update]
        async with database.connection() as tx:
            rows = await (await tx.execute("SELECT payload FROM journal")).fetchall()
        assert rows == [(update,)]
        again = await here.rooms.apply(project.document_id, update, project.owner_id)
        assert again == ports.Applied(changed=False, pending=False)


async def test_an_update_over_rest_may_be_of_somebody_without_an_account(
    database: Database,
) -> None:
    async with house(database) as here:
        project = await people.song(database)
        [update] = people.letters("x")
        done = await here.rooms.apply(project.document_id, update, None)
        assert done == ports.Applied(changed=True, pending=False)
        async with database.connection() as tx:
            rows = await (await tx.execute("SELECT author, payload FROM journal")).fetchall()
        assert rows == [(None, update)]


@pytest.mark.parametrize(
    ("update", "refusal"),
    [
        (b"\xff\xff\xff", ports.MalformedUpdate),
        (poison.HALF.update, ports.PoisonUpdate),
        (bytes(2000), ports.DocumentTooLarge),
    ],
)
async def test_a_refused_update_over_rest_says_why_and_changes_nothing(
    database: Database, update: bytes, refusal: type[ports.UpdateRejected]
) -> None:
    async with house(database, max_document_bytes=1024) as here:
        project = await people.song(database)
        await here.rooms.apply(project.document_id, poison.HALF.groundwork, project.owner_id)
        before = await here.rooms.snapshot(project.document_id)
        with pytest.raises(refusal):
            await here.rooms.apply(project.document_id, update, project.owner_id)
        assert await here.rooms.snapshot(project.document_id) == before


async def test_a_snapshot_that_yrs_fails_at_is_had_from_the_rebuilt_document(
    database: Database,
) -> None:
    async with house(database) as here:
        project = await people.song(database)
        live, one, wire = await here.enter(project)
        for update in people.letters("whole"):
            live.submit(one, update)
        live.turn()
        # Past our own gate: as a fault of yrs would leave the document.
        live.replica.yroom.ydoc.apply_update(bytes.fromhex("0101090100000000"))
        with pytest.raises(ports.RoomUnavailable):
            await here.rooms.snapshot(project.document_id)
        assert words(await here.rooms.snapshot(project.document_id)) == "whole"
        assert wire.closed is None


async def test_what_cannot_be_stored_is_acknowledged_to_nobody(database: Database) -> None:
    async with house(database) as here:
        project = await people.song(database)
        live, one, wire = await here.enter(project)
        good, bad = people.letters("ab")
        live.submit(one, good)
        live.turn()
        await here.journal.drain()
        wire.said()
        live.submit(one, bad)
        for event in one.connection.receive(yjs.sync_status(b"\x01")):
            live.receive(one, *event)
        live.turn()
        entry = journal.Entry(project.document_id, project.owner_id, bad, clock.monotonic())
        here.rooms.lost(entry, ValueError("no such thing"))
        await here.journal.drain()
        assert wire.closed == (connection.Code.SERVER_ERROR, "the document could not be loaded")
        assert events.SYNC_STATUS not in [kind for kind, _ in wire.said()]
        again, _, _ = await here.enter(project)
        assert again is not live, "whoever comes back is served from what is stored"


async def test_an_update_over_rest_that_cannot_be_stored_is_not_confirmed(
    database: Database,
) -> None:
    async with house(database) as here:
        project = await people.song(database)
        live, _, _ = await here.enter(project)
        [update] = people.letters("x")
        answers: list[object] = []

        async def post() -> None:
            try:
                answers.append(
                    await here.rooms.apply(project.document_id, update, project.owner_id)
                )
            except ports.RoomUnavailable as problem:
                answers.append(problem)

        here.tasks.spawn("post", post())
        while not live.last_ticket:
            await anyio.lowlevel.checkpoint()  # no longer: PostgreSQL is fast
        entry = journal.Entry(project.document_id, project.owner_id, update, clock.monotonic())
        here.rooms.lost(entry, ValueError("no such thing"))
        await until(lambda: bool(answers))
        assert isinstance(answers[0], ports.RoomUnavailable)


async def test_a_document_that_cannot_be_loaded_any_more_sends_everybody_away(
    database: Database,
) -> None:
    async with house(database) as here:
        project = await people.song(database)
        live, bad, _ = await here.enter(project)
        _, good, wire = await here.enter(project)
        live.submit(good, poison.HALF.groundwork)
        live.turn()
        await here.journal.drain()
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM documents WHERE id = %s", (project.document_id,))
        live.submit(bad, poison.HALF.update)
        live.turn()
        await until(lambda: wire.closed is not None)
        assert wire.closed == (connection.Code.SERVER_ERROR, "the document could not be loaded")
        assert live.given_up
        assert here.rooms.statistics().rooms == 0
        with pytest.raises(errors.DocumentNotFound):
            await here.enter(project)


async def test_a_long_tail_is_folded_while_people_write(database: Database) -> None:
    async with house(database, compact_rows=5) as here:
        project = await people.song(database)
        live, one, _ = await here.enter(project)
        live.compact_not_before = 0.0
        letters = people.letters("folded while written")
        for update in letters[:10]:
            live.submit(one, update)
            live.turn()
        here.rooms.tick()
        for update in letters[10:]:
            live.submit(one, update)
            live.turn()
        await until(lambda: live.compact_not_before > 0)
        assert live.intake.rows_since_snapshot < len(letters)
        live.leave(one)
    async with house(database) as later:
        assert words(await later.rooms.snapshot(project.document_id)) == "folded while written"


async def test_a_room_whose_tail_cannot_be_folded_is_let_go_of_all_the_same(
    database: Database,
) -> None:
    async with house(database, room_idle_seconds=0) as here:
        project = await people.song(database)
        live, one, _ = await here.enter(project)
        for update in people.letters("x" * 120):
            live.submit(one, update)
            live.turn()
        await here.journal.drain()
        async with database.transaction() as tx:
            await tx.execute(
                "INSERT INTO snapshots (document_id, epoch, state, state_bytes, sha256, created_at)"
                " VALUES (%s, 1, 'damaged', 1, 'damaged', now())",
                (project.document_id,),
            )
        live.compact_not_before = 0.0
        live.leave(one)
        await until(lambda: clock.monotonic() > (live.idle_since or 0))
        here.rooms.tick()
        await until(lambda: here.rooms.statistics().rooms == 0)
        assert live.compact_not_before > 0, "it was tried"


async def test_a_mistake_in_one_room_does_not_stop_the_time_of_the_others(
    database: Database,
) -> None:
    async with house(database) as here:
        project = await people.song(database)
        other = await people.song(database, owner="ben")
        live, _, wire = await here.enter(project)
        well, _, _ = await here.enter(other)
        live.presence = None  # type: ignore[assignment] (as wrong as can be)
        well.intake.rows_since_snapshot = 1_000_000
        well.compact_not_before = 0.0
        here.rooms.tick()
        assert wire.closed == (connection.Code.SERVER_ERROR, "the room failed")
        await until(lambda: well.compact_not_before > 0)


async def test_a_stop_makes_durable_what_was_said_last(database: Database) -> None:
    async with house(database) as here:
        project = await people.song(database)
        live, one, _ = await here.enter(project)
        for update in people.letters("last words"):
            live.submit(one, update)
    async with house(database) as later:
        assert words(await later.rooms.snapshot(project.document_id)) == "last words"
