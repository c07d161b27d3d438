"""syncserver.room, intake and laggards: what one client may cost, and what happens when yrs fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from base import clock
from docstore import crdt, loading, waiting
from syncserver import intake, replica
from syncserver.connection import Code
from syncserver.testing import ADA, BOB, MemoryWire, Stage
from syncserver.wire import awareness, events, yjs
from tests.e2e import poison
from tests.unit.syncserver.test_room import Author, text_of

if TYPE_CHECKING:
    from syncserver.client import Client

QUERY = bytes((yjs.QUERY_AWARENESS,))

UNENCODABLE = bytes.fromhex("0101070100000000")
"""Refused by the room; given to yrs past it, it makes encoding the document panic."""


def broken() -> replica.Replica:
    """A document that panics when it is asked for its state, as a fault of yrs would make it."""
    document = replica.Replica()
    document.yroom.ydoc.apply_update(UNENCODABLE)
    return document


def acknowledged(wire: MemoryWire) -> list[bytes]:
    return wire.bodies(events.SYNC_STATUS)


# ---------------------------------------------------------------- acknowledgements


async def test_every_question_is_answered_with_its_own_bytes() -> None:
    stage = Stage()
    writer, wire = stage.enter()
    stage.say(writer, yjs.update(Author().write("la")))
    asked = [bytes((number,)) for number in range(100)]
    for number in asked:
        stage.say(writer, yjs.sync_status(number))
    stage.room.turn()
    stage.journal.commit()
    assert acknowledged(wire) == asked


async def test_of_too_many_questions_the_newest_stands_for_those_before_it() -> None:
    stage = Stage()
    author = Author()
    writer, wire = stage.enter()
    stage.say(writer, yjs.update(author.write("one")))
    for number in range(250):
        stage.say(writer, yjs.sync_status(bytes((number,))))
        stage.room.turn()
    stage.say(writer, yjs.update(author.write("two")))
    stage.room.turn()
    stage.say(writer, yjs.sync_status(b"newest"))
    stage.journal.durable = 1
    stage.room.when_durable(lambda: None)
    assert stage.journal.listener is not None
    stage.journal.listener(1)
    assert len(acknowledged(wire)) == 100
    stage.room.turn()
    assert acknowledged(wire) == [], "what came before the newest is not durable yet"
    stage.journal.commit()
    assert acknowledged(wire) == [b"newest"]
    assert writer.asking == 0


async def test_a_client_asks_on_after_it_was_answered() -> None:
    stage = Stage()
    writer, wire = stage.enter()
    for number in (b"\x01", b"\x02", b"\x03"):
        stage.say(writer, yjs.sync_status(number))
        stage.room.turn()
    assert acknowledged(wire) == [b"\x01", b"\x02", b"\x03"]


# ---------------------------------------------------------------- questions


async def test_of_several_questions_in_a_turn_the_last_is_answered_once() -> None:
    stage = Stage()
    asker, wire = stage.enter()
    stage.say(asker, yjs.update(Author().write("la")))
    stage.room.turn()
    wire.said()
    for _ in range(50):
        stage.say(asker, yjs.step1(b"\x00"))
        stage.say(asker, QUERY)
    stage.room.turn()
    assert [kind for kind, _ in wire.said()] == [events.AWARENESS, events.STEP2]


async def test_who_asks_but_does_not_read_is_answered_when_it_has_read() -> None:
    stage = Stage()
    asker, wire = stage.enter()
    stage.say(asker, yjs.update(Author().write("la")))
    stage.room.turn()
    stage.room.fell_behind(asker)
    wire.said()
    stage.say(asker, yjs.step1(b"\x00"))
    stage.say(asker, QUERY)
    stage.room.turn()
    assert wire.said() == []
    stage.room.caught_up(asker)
    stage.room.turn()
    stage.room.turn()
    said = wire.said()
    assert events.STEP2 in [kind for kind, _ in said]
    assert events.AWARENESS in [kind for kind, _ in said]


async def test_of_one_presence_only_the_newest_state_of_a_turn_is_told() -> None:
    stage = Stage()
    person, _ = stage.enter()
    _, other = stage.enter(BOB)
    other.said()
    for number in range(1, 30):
        state = awareness.State(5, number, f'{{"at": {number}}}')
        stage.say(person, yjs.awareness(awareness.encode([state])))
    stage.room.turn()
    [told] = other.bodies(events.AWARENESS)
    found = awareness.decode(told, max_states=100, max_state_bytes=1000)
    assert isinstance(found, awareness.Decoded)
    assert [(state.client_id, state.clock) for state in found.states] == [(5, 29)]


# ---------------------------------------------------------------- who does not keep up


def behind(stage: Stage, one: Client) -> None:
    """The transport of a client is full, and something happens."""
    stage.room.fell_behind(one)
    writer, _ = stage.enter(BOB)
    stage.say(writer, yjs.update(Author().write("news " * 100)))
    stage.room.turn()


def tick(stage: Stage, after: float) -> None:
    stage.room.tick(clock.monotonic() + after, slow_seconds=30, keep_encoding=10)


async def test_who_waits_only_for_the_budget_is_not_closed() -> None:
    stage = Stage(resync_bytes=1)
    one, _ = stage.enter(capacity=0)
    two, wire = stage.enter(capacity=0)
    behind(stage, one)
    stage.room.fell_behind(two)
    two.missed = True
    for slow in (one, two):
        stage.room.caught_up(slow)
    stage.room.turn()
    assert one.resyncing > 0, "it has the whole budget"
    assert two.behind is not None
    tick(stage, after=29)
    tick(stage, after=58)
    assert wire.closed is None


async def test_who_takes_for_ever_to_read_a_fresh_state_is_closed() -> None:
    stage = Stage()
    slow, wire = stage.enter(capacity=0)
    behind(stage, slow)
    stage.room.caught_up(slow)
    stage.room.turn()
    assert slow.resyncing > 0
    for minute in range(1, 5):
        wire.drain(1)
        tick(stage, after=29 * minute)
        assert wire.closed is None
    wire.drain(1)
    tick(stage, after=301)
    assert wire.closed == (Code.TRY_LATER, "this connection does not keep up")


# ---------------------------------------------------------------- when yrs fails


async def test_newcomers_of_a_document_that_cannot_be_read_are_answered_from_the_rebuilt_one() -> (
    None
):
    stage = Stage(document=broken())
    one, wire = stage.enter()
    two, other = stage.enter(BOB)
    wire.said()
    other.said()
    stage.say(one, yjs.step1(b"\x00"))
    stage.say(two, yjs.step1(b"\x00"))
    stage.room.turn()
    [suspect] = stage.poisoned
    assert not suspect.clean.is_set()
    stored = loading.prepare(None, [Author().write("whole")], ())
    suspect.rebuilt(replica.Replica(stored))
    stage.room.turn()
    for reader in (wire, other):
        assert reader.closed is None
        assert text_of(*reader.bodies(events.STEP2)) == "whole"


async def test_a_question_that_yrs_fails_at_is_not_asked_twice() -> None:
    stage = Stage(document=broken())
    bad, wire = stage.enter()
    stage.say(bad, yjs.step1(b"\x01\x05\x01"))
    stage.room.turn()
    assert wire.closed == (Code.SERVER_ERROR, "the document could not be read")
    [suspect] = stage.poisoned
    stage.poisoned.clear()
    suspect.rebuilt(broken())
    stage.room.turn()
    assert stage.poisoned == []


async def test_nothing_is_written_to_newcomers_behind_their_close_frame() -> None:
    stage = Stage()
    one, wire = stage.enter()
    wire.said()
    stage.say(one, yjs.step1(b"\x00"))
    one.close(Code.TRY_LATER, "later")
    stage.room.turn()
    assert wire.said() == []


async def test_who_catches_up_with_a_document_that_cannot_be_read_waits_for_the_rebuilt_one() -> (
    None
):
    stage = Stage(document=broken())
    slow, wire = stage.enter()
    slow.behind = b"\x00"
    slow.missed = True
    stage.room.caught_up(slow)
    wire.said()
    stage.room.turn()
    assert stage.poisoned
    assert slow.resyncing == 0
    stage.room.rebuilt(replica.Replica(loading.prepare(None, [Author().write("whole")], ())))
    stage.room.turn()
    assert text_of(*wire.bodies(events.UPDATE)) == "whole"
    assert slow.behind is None


async def test_what_came_loose_while_the_document_was_rebuilt_is_told_and_journaled() -> None:
    stage = Stage()
    _, wire = stage.enter()
    author = Author()
    first, second = author.write("one "), author.write("two")
    late = waiting.Waiting(second, author=BOB)
    stage.room.rebuilt(replica.Replica(loading.prepare(None, [first], [late])))
    wire.said()
    stage.room.turn()
    assert wire.bodies(events.UPDATE) == [second]
    assert [(entry.author, entry.payload) for entry in stage.journal.entries] == [(BOB, second)]
    assert not stage.journal.entries[0].waiting


async def test_with_many_that_wait_they_are_looked_at_by_the_tick() -> None:
    stage = Stage()
    writer, _ = stage.enter(ADA)
    _, other = stage.enter(BOB)
    author = Author()
    first, *rest = [author.write(f"{number} ") for number in range(40)]
    for update in rest:
        stage.say(writer, yjs.update(update))
    stage.room.turn()
    stage.say(writer, yjs.update(first))
    stage.room.turn()
    other.said()
    assert len(stage.room.replica.pending) == 39
    tick(stage, after=0)
    stage.room.turn()
    assert stage.room.replica.pending == []
    assert text_of(first, *other.bodies(events.UPDATE)) == str(author.text)


async def test_who_breaks_the_document_again_and_again_is_not_listened_to_for_a_while() -> None:
    stage = Stage()
    honest, honest_wire = stage.enter(BOB)
    window, window_wire = stage.enter(ADA)
    groundwork = loading.prepare(None, [poison.HALF.groundwork], ())
    stage.room.rebuilt(replica.Replica(groundwork))
    for _ in range(3):
        bad, wire = stage.enter(ADA)
        stage.say(bad, yjs.update(poison.HALF.update))
        stage.room.turn()
        assert wire.closed == (Code.BAD_DATA, "this update cannot be applied")
        stage.room.rebuilt(replica.Replica(groundwork))
    stage.poisoned.clear()
    bad, wire = stage.enter(ADA)
    stage.say(bad, yjs.update(poison.HALF.update))
    stage.say(honest, yjs.update(Author().write("still heard")))
    stage.say(window, yjs.update(Author().write("and another window of the same person")))
    stage.room.turn()
    assert stage.poisoned == []
    assert wire.closed is not None
    assert wire.closed[0] == Code.TRY_LATER, "a stock client comes back"
    assert honest_wire.closed is None
    assert window_wire.closed is None
    assert len(stage.journal.entries) == 2
    now = clock.monotonic()
    assert stage.room.intake.barred(bad, now)
    assert not stage.room.intake.barred(window, now)
    assert not stage.room.intake.barred(honest, now)
    assert not stage.room.intake.barred(bad, now + 60)


async def test_who_sends_what_breaks_the_document_once_it_is_complete_is_to_blame() -> None:
    stage = Stage()
    bad, _ = stage.enter(ADA)
    late = waiting.Waiting(poison.HALF.update, author=ADA)
    for _ in range(3):
        broken_later = replica.Replica(loading.prepare(None, [poison.HALF.groundwork], [late]))
        assert broken_later.refused == [late]
        stage.room.rebuilt(broken_later)
    assert not stage.room.intake.barred(bad, clock.monotonic())
    again, _ = stage.enter(ADA)
    assert stage.room.intake.barred(again, clock.monotonic())


async def test_what_waits_is_bounded_in_bytes_too() -> None:
    stage = Stage()
    writer, wire = stage.enter()
    author = Author()
    author.write("lost")
    stage.say(writer, yjs.update(author.write("x" * 3_000_000)))
    stage.say(writer, yjs.update(author.write("y" * 3_000_000)))
    stage.room.turn()
    assert len(stage.room.replica.pending) == 1
    assert wire.closed is not None
    assert wire.closed[0] == Code.TRY_LATER


async def test_something_large_that_waits_is_looked_at_by_the_tick_only() -> None:
    stage = Stage()
    writer, _ = stage.enter()
    author = Author()
    first, large = author.write("a"), author.write("x" * 100_000)
    stage.say(writer, yjs.update(large))
    stage.room.turn()
    stage.say(writer, yjs.update(first))
    stage.room.turn()
    assert len(stage.room.replica.pending) == 1
    tick(stage, after=0)
    assert stage.room.replica.pending == []


async def test_a_message_of_very_many_messages_is_refused() -> None:
    stage = Stage()
    one, wire = stage.enter()
    stage.say(one, QUERY * 1000)
    assert one.connection.closing is None
    stage.say(one, QUERY * 1001)
    assert one.connection.closing == (Code.BAD_DATA, "too many messages in one")
    assert len(wire.said()) < 5


async def test_what_waits_counts_against_the_size_of_the_document() -> None:
    stage = Stage(limits=intake.Limits(3000, 100))
    writer, wire = stage.enter()
    author = Author()
    author.write("lost")
    stage.say(writer, yjs.update(author.write("x" * 2000)))
    stage.room.turn()
    assert wire.closed is None
    stage.say(writer, yjs.update(author.write("y" * 2000)))
    stage.room.turn()
    assert wire.closed == (Code.TOO_LARGE, "the document is full")


@pytest.mark.parametrize("name", poison.BRICKS)
async def test_an_update_that_would_break_the_document_later_is_refused(name: str) -> None:
    stage = Stage()
    bad, wire = stage.enter()
    stage.say(bad, yjs.update(poison.BRICKS[name]))
    stage.room.turn()
    assert wire.closed == (Code.BAD_DATA, "this update cannot be read")
    assert stage.journal.entries == []
    assert stage.room.replica.full() == crdt.NOTHING
