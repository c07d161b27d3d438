"""syncserver.room: what a turn does, and the four promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pycrdt
import pytest
from anyio import fail_after, lowlevel
from pycrdt import Array, Doc, Map, Text

from docstore import crdt, loading, waiting
from syncserver import intake, replica, room
from syncserver.connection import Code
from syncserver.testing import ADA, BOB, MemoryWire, Stage
from syncserver.wire import events, yjs

if TYPE_CHECKING:
    from collections.abc import Sequence


class Author:
    """A Yjs document that hands over what it does as updates."""

    def __init__(self) -> None:
        self.doc: Doc[Any] = Doc()
        self.sent: list[bytes] = []
        self.doc.observe(lambda event: self.sent.append(event.update))
        self.text: Text = self.doc.get("text", type=Text)
        self.map: Map[Any] = self.doc.get("map", type=Map)

    def write(self, words: str) -> bytes:
        self.text += words
        return self.sent[-1]

    def put(self, key: str, value: Any) -> bytes:
        self.map[key] = value
        return self.sent[-1]


def text_of(*updates: bytes) -> str:
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    return str(doc.get("text", type=Text))


def journaled(stage: Stage) -> str:
    return text_of(*[entry.payload for entry in stage.journal.entries])


async def test_everybody_else_gets_an_edit_and_the_journal_too() -> None:
    stage = Stage()
    writer, own = stage.enter(ADA)
    _, other = stage.enter(BOB)
    own.said()
    other.said()
    update = Author().write("la")
    stage.say(writer, yjs.update(update))
    assert stage.room.turn() == room.Outcome(1, 0)
    assert other.said() == [(events.UPDATE, update)]
    assert own.said() == []
    [entry] = stage.journal.entries
    assert (entry.document_id, entry.author, entry.payload) == (7, ADA, update)


async def test_a_turn_is_one_delta_per_author_and_one_write_per_client() -> None:
    stage = Stage()
    ada, _ = stage.enter(ADA)
    bob, _ = stage.enter(BOB)
    _, listener = stage.enter(None, may_edit=False)
    listener.said()
    first, second = Author(), Author()
    for step in range(10):
        stage.say(ada, yjs.update(first.write(f"a{step}")))
        stage.say(bob, yjs.update(second.write(f"b{step}")))
    assert stage.room.turn().deltas == 2
    assert len(listener.written) == 1
    assert [entry.author for entry in stage.journal.entries] == [ADA, BOB]
    heard = text_of(*listener.bodies(events.UPDATE))
    assert heard == journaled(stage)
    assert len(heard) == 40


async def test_two_sockets_of_one_author_hear_each_other() -> None:
    stage = Stage()
    left, left_wire = stage.enter(ADA)
    right, right_wire = stage.enter(ADA)
    left_wire.said()
    right_wire.said()
    stage.say(left, yjs.update(Author().write("l")))
    stage.say(right, yjs.update(Author().write("r")))
    stage.room.turn()
    assert sorted(text_of(*left_wire.bodies(events.UPDATE))) == ["l", "r"]
    assert sorted(text_of(*right_wire.bodies(events.UPDATE))) == ["l", "r"]


async def test_who_joins_is_asked_and_told_and_synced_even_when_there_is_nothing() -> None:
    stage = Stage()
    newcomer, wire = stage.enter()
    assert wire.said() == [(events.STEP1, b"\x00")]
    stage.say(newcomer, yjs.step1(b"\x00"))
    stage.room.turn()
    assert wire.said() == [(events.STEP2, b"\x00\x00")]


async def test_who_comes_back_gets_only_what_it_lacks() -> None:
    stage = Stage()
    writer, _ = stage.enter()
    author = Author()
    stage.say(writer, yjs.update(author.write("x" * 5000)))
    stage.room.turn()
    known = author.doc.get_state()
    stage.say(writer, yjs.update(author.write("new")))
    back, wire = stage.enter(BOB)
    wire.said()
    stage.say(back, yjs.step1(known))
    stage.room.turn()
    [missing] = wire.bodies(events.STEP2)
    assert b"new" in missing
    assert len(missing) < 100


async def test_newcomers_of_a_turn_share_one_encoding_of_a_large_document() -> None:
    stage = Stage()
    writer, _ = stage.enter()
    author = Author()
    stage.say(writer, yjs.update(author.write("x" * 100_000)))
    stage.room.turn()
    wires: list[MemoryWire] = []
    for _ in range(3):
        one, wire = stage.enter(BOB)
        wire.written.clear()
        stage.say(one, yjs.step1(b"\x00"))
        wires.append(wire)
    stage.room.turn()
    assert wires[0].written[-1] is wires[1].written[-1] is wires[2].written[-1]
    stage.say(writer, yjs.update(author.write("more")))
    late, wire = stage.enter(BOB)
    wire.said()
    stage.say(late, yjs.step1(b"\x00"))
    stage.room.turn()
    heard = wire.bodies(events.STEP2, events.UPDATE)
    assert text_of(*heard).endswith("more")


async def test_an_acknowledgement_waits_for_the_journal() -> None:
    stage = Stage()
    writer, wire = stage.enter()
    stage.say(writer, yjs.update(Author().write("take one")))
    stage.say(writer, yjs.sync_status(b"\x01"))
    wire.said()
    stage.room.turn()
    assert wire.said() == []
    stage.journal.commit()
    assert wire.said() == [(events.SYNC_STATUS, b"\x01")]


async def test_an_acknowledgement_waits_for_what_others_wrote_before() -> None:
    """What a client knows of may be another's and not yet on disk: its own no-op proves nothing."""
    stage = Stage()
    ada, _ = stage.enter(ADA)
    bob, wire = stage.enter(BOB)
    update = Author().write("x")
    stage.say(ada, yjs.update(update))
    stage.room.turn()
    wire.said()
    stage.say(bob, yjs.update(update))
    stage.say(bob, yjs.sync_status(b"\x05"))
    assert stage.room.turn() == room.Outcome(0, 0)
    assert wire.said() == []
    stage.journal.commit()
    assert wire.said() == [(events.SYNC_STATUS, b"\x05")]


async def test_a_question_with_nothing_outstanding_is_answered_at_once() -> None:
    stage = Stage()
    one, wire = stage.enter()
    wire.said()
    stage.say(one, yjs.sync_status(b"\x00"))
    stage.room.turn()
    assert wire.said() == [(events.SYNC_STATUS, b"\x00")]


async def test_an_update_without_its_dependencies_is_journaled_as_received() -> None:
    stage = Stage()
    writer, _ = stage.enter(ADA)
    _, other = stage.enter(BOB)
    other.said()
    author = Author()
    first, second = author.write("one "), author.write("two")
    stage.say(writer, yjs.update(second))
    assert stage.room.turn() == room.Outcome(0, 1)
    assert [entry.payload for entry in stage.journal.entries] == [second]
    assert other.said() == []
    stage.say(writer, yjs.update(second))
    assert stage.room.turn() == room.Outcome(0, 1)
    assert len(stage.journal.entries) == 1, "the same bytes are kept once"
    stage.say(writer, yjs.update(first))
    stage.room.turn()
    assert text_of(*other.bodies(events.UPDATE)) == "one two"
    assert [entry.waiting for entry in stage.journal.entries] == [True, False, False]
    assert text_of(*[one.payload for one in stage.journal.entries if not one.waiting]) == "one two"
    reopened = replica.Replica(loading.prepare(None, (), [waiting.Waiting(second)]))
    assert [one.update for one in reopened.pending] == [second]
    reopened.apply([first])
    reopened.settle()
    assert reopened.pending == []
    assert text_of(reopened.full()) == "one two"


async def test_a_waiting_part_of_a_larger_update_is_kept_as_well() -> None:
    stage = Stage()
    writer, _ = stage.enter()
    ada, bob = Author(), Author()
    ada.write("a0")
    bob.write("b0")
    lost = bob.sent[0]
    ada.doc.apply_update(lost)
    ada.doc.apply_update(bob.write("b1"))
    # One update of two clients: what it brings of the first is whole, of the second a part is missing.
    mixed = pycrdt.get_update(
        ada.doc.get_update(), crdt.encode_state_vector({bob.doc.client_id: 2})
    )
    stage.say(writer, yjs.update(mixed))
    assert stage.room.turn() == room.Outcome(1, 1)
    assert len(stage.journal.entries) == 2
    stage.say(writer, yjs.update(lost))
    stage.room.turn()
    assert sorted(journaled(stage)) == sorted("a0b0b1")


async def test_too_many_waiting_updates_close_their_sender() -> None:
    stage = Stage(limits=intake.Limits(1 << 20, 2))
    writer, wire = stage.enter()
    author = Author()
    author.write("lost")
    for word in ("a", "b", "c"):
        stage.say(writer, yjs.update(author.write(word)))
        stage.room.turn()
    assert wire.closed is not None
    assert wire.closed[0] == Code.TRY_LATER
    assert len(stage.journal.entries) == 2


async def test_a_malformed_update_closes_its_sender_and_nobody_notices() -> None:
    stage = Stage()
    bad, bad_wire = stage.enter(ADA)
    good, good_wire = stage.enter(ADA)
    _, other = stage.enter(BOB)
    other.said()
    stage.say(good, yjs.update(Author().write("before ")))
    stage.say(bad, yjs.update(b"\xff\xff\xff\xff"))
    stage.say(good, yjs.update(Author().write("after")))
    stage.room.turn()
    assert bad_wire.closed is not None
    assert bad_wire.closed[0] == Code.BAD_DATA
    assert good_wire.closed is None
    assert sorted(text_of(*other.bodies(events.UPDATE))) == sorted("before after")
    assert stage.poisoned == []


async def test_a_document_at_its_limit_refuses_growth_and_stays_whole() -> None:
    stage = Stage(limits=intake.Limits(10_000, 10))
    writer, wire = stage.enter(ADA)
    other, other_wire = stage.enter(BOB)
    stage.say(writer, yjs.update(Author().write("x" * 20_000)))
    stage.room.turn()
    assert wire.closed == (Code.TOO_LARGE, "the document is full")
    stage.say(other, yjs.update(Author().write("small")))
    stage.room.turn()
    assert journaled(stage) == "small"
    assert other_wire.closed is None


async def test_a_client_that_does_not_keep_up_is_skipped_and_caught_up() -> None:
    stage = Stage()
    writer, _ = stage.enter(ADA)
    slow, wire = stage.enter(BOB, capacity=2000)
    _, quick = stage.enter(BOB)
    author = Author()
    for step in range(50):
        stage.say(writer, yjs.update(author.write(f"{step:04}" * 25)))
        stage.room.turn()
    heard = wire.bodies(events.UPDATE)
    assert slow.behind is not None
    assert slow.missed
    assert len(heard) < 50
    assert len(text_of(*quick.bodies(events.UPDATE))) == 5000
    wire.drain()
    stage.room.caught_up(slow)
    stage.room.turn()
    assert text_of(*heard, *wire.bodies(events.UPDATE)) == str(author.text)


async def test_fresh_states_for_slow_clients_share_a_budget() -> None:
    stage = Stage(resync_bytes=6000)
    writer, _ = stage.enter(ADA)
    slow = [stage.enter(BOB, capacity=1000) for _ in range(3)]
    author = Author()
    for _ in range(5):
        stage.say(writer, yjs.update(author.write("y" * 900)))
        stage.room.turn()
    for one, wire in slow:
        wire.said()
        wire.drain()
        stage.room.caught_up(one)
    stage.room.turn()
    assert [bool(wire.written) for _, wire in slow] == [True, False, False]
    # The first reads what it got; only then the second gets its own.
    slow[0][1].drain()
    stage.room.caught_up(slow[0][0])
    stage.room.turn()
    assert [bool(wire.written) for _, wire in slow] == [True, True, False]


async def test_a_client_that_reads_nothing_for_too_long_is_closed() -> None:
    stage = Stage()
    writer, _ = stage.enter(ADA)
    slow, wire = stage.enter(BOB, capacity=100)
    stage.say(writer, yjs.update(Author().write("z" * 1000)))
    stage.room.turn()
    start = slow.behind_since
    stage.room.tick(start + 29, slow_seconds=30, keep_encoding=10)
    assert wire.closed is None
    stage.room.tick(start + 31, slow_seconds=30, keep_encoding=10)
    assert wire.closed is not None
    assert wire.closed[0] == Code.TRY_LATER


async def test_a_client_that_reads_slowly_is_waited_for() -> None:
    stage = Stage()
    writer, _ = stage.enter(ADA)
    slow, wire = stage.enter(BOB, capacity=100)
    stage.say(writer, yjs.update(Author().write("z" * 1000)))
    stage.room.turn()
    start = slow.behind_since
    wire.drain()
    stage.room.tick(start + 29, slow_seconds=30, keep_encoding=10)
    stage.room.tick(start + 58, slow_seconds=30, keep_encoding=10)
    assert wire.closed is None


async def test_a_silent_client_is_kept_from_hanging_up() -> None:
    stage = Stage()
    _, wire = stage.enter()
    stage.room.keep_alive()
    wire.said()
    stage.room.keep_alive()
    assert wire.said() == [(events.AWARENESS, b"\x00")]


async def test_a_reader_is_told_once_and_changes_nothing() -> None:
    stage = Stage()
    reader, wire = stage.enter(None, may_edit=False)
    assert wire.said() == []
    update = Author().write("graffiti")
    for _ in range(3):
        stage.say(reader, yjs.update(update))
        stage.room.turn()
    assert stage.journal.entries == []
    assert len(wire.written) == 1


async def test_an_unreadable_state_vector_closes_its_sender() -> None:
    stage = Stage()
    one, wire = stage.enter()
    stage.say(one, yjs.step1(b"\xff\xff"))
    stage.room.turn()
    assert wire.closed is not None
    assert wire.closed[0] == Code.BAD_DATA


async def test_an_empty_room_says_since_when() -> None:
    stage = Stage()
    one, _ = stage.enter()
    assert stage.room.idle_since is None
    stage.room.leave(one)
    assert stage.room.idle_since is not None
    stage.room.leave(one)


class Fragile(replica.Replica):
    """A document that breaks at certain bytes, as yrs does on some malformed updates."""

    def __init__(self, marker: bytes, *, at_commit: bool = False) -> None:
        super().__init__()
        self._marker = marker
        self._at_commit = at_commit

    def apply(self, updates: Sequence[bytes]) -> replica.Applied:
        for index, update in enumerate(updates):
            if self._marker in update:
                alone = len(updates) == 1 or not self._at_commit
                raise replica.Poisoned(index if alone else None, RuntimeError("block parent"))
        return super().apply(updates)


@pytest.mark.parametrize("at_commit", [False, True])
async def test_poison_closes_the_offender_and_the_others_go_on(at_commit: bool) -> None:
    stage = Stage(document=Fragile(b"poison", at_commit=at_commit))
    good, good_wire = stage.enter(None)
    bad, bad_wire = stage.enter(None)
    bob, _ = stage.enter(BOB)
    _, other = stage.enter(ADA)
    other.said()
    stage.say(good, yjs.update(Author().write("one ")))
    stage.say(bad, yjs.update(Author().write("(honest) ")))
    stage.say(bad, yjs.update(Author().write("poison")))
    stage.say(bad, yjs.update(Author().write("(too late)")))
    stage.say(good, yjs.update(Author().write("two ")))
    stage.say(bob, yjs.update(Author().write("three")))
    stage.say(bob, yjs.sync_status(b"\x09"))
    stage.room.turn()
    rounds = 0
    while stage.poisoned:
        rounds += 1
        [suspect] = stage.poisoned
        stage.poisoned.clear()
        assert not stage.room.clean.is_set()
        clean = Fragile(b"poison", at_commit=at_commit)
        for entry in stage.journal.entries:
            clean.apply([entry.payload])
        suspect.rebuilt(clean)
        stage.room.turn()
    assert rounds == (2 if at_commit else 1)
    assert bad_wire.closed == (Code.BAD_DATA, "this update cannot be applied")
    assert good_wire.closed is None
    assert sorted(journaled(stage)) == sorted("one (honest) two three")
    assert text_of(*other.bodies(events.UPDATE)) == journaled(stage)
    assert b"poison" not in b"".join(entry.payload for entry in stage.journal.entries)
    assert str(stage.room.replica.full().count(b"poison")) == "0"


async def test_while_a_document_is_suspect_newcomers_are_asked_for_everything() -> None:
    stage = Stage(document=Fragile(b"poison"))
    bad, _ = stage.enter()
    stage.say(bad, yjs.update(Author().write("poison")))
    stage.room.turn()
    late, wire = stage.enter(BOB)
    assert wire.said() == [(events.STEP1, b"\x00")]
    stage.say(late, yjs.step1(b"\x00"))
    assert stage.room.turn() == room.Outcome(0, 0)
    assert wire.said() == []
    stage.room.rebuilt(replica.Replica())
    stage.room.turn()
    assert wire.said() == [(events.STEP2, b"\x00\x00")]


async def test_nested_types_and_lists_travel_whole() -> None:
    stage = Stage()
    writer, _ = stage.enter(ADA)
    _, other = stage.enter(BOB)
    other.said()
    author = Author()
    stage.say(writer, yjs.update(author.put("stem", Map({"name": "Bass", "notes": Array([1, 2])}))))
    stage.room.turn()
    seen: Doc[Any] = Doc()
    for update in other.bodies(events.UPDATE):
        seen.apply_update(update)
    stems: Map[Any] = seen.get("map", type=Map)
    assert stems.to_py() == {"stem": {"name": "Bass", "notes": [1.0, 2.0]}}


async def passed(times: int = 3) -> None:
    """A few turns of the event loop."""
    for _ in range(times):
        await lowlevel.checkpoint()


async def test_where_many_listen_writers_share_a_turn_and_one_alone_never_waits() -> None:
    stage = Stage()
    ada, _ = stage.enter(ADA)
    bob, _ = stage.enter(BOB)
    for _ in range(200):
        stage.enter(None, may_edit=False)
    first, second = Author(), Author()
    stage.say(ada, yjs.update(first.write("a")))
    await passed()
    assert len(stage.journal.entries) == 1
    stage.say(ada, yjs.update(first.write("b")))
    await passed()
    assert len(stage.journal.entries) == 2, "nobody else writes"
    stage.say(bob, yjs.update(second.write("c")))
    stage.say(ada, yjs.update(first.write("d")))
    await passed(1)
    assert len(stage.journal.entries) == 2, "waits for company"
    with fail_after(5):
        while len(stage.journal.entries) < 4:
            await lowlevel.checkpoint()
    assert sorted(journaled(stage)) == sorted("abcd")


async def test_where_few_listen_nobody_waits() -> None:
    stage = Stage()
    ada, _ = stage.enter(ADA)
    bob, _ = stage.enter(BOB)
    for turn in range(1, 5):
        stage.say(ada if turn % 2 else bob, yjs.update(Author().write("x")))
        await passed()
        assert len(stage.journal.entries) == turn


async def test_a_reader_who_may_edit_is_asked_for_what_it_has_and_an_editor_who_may_not_is_told() -> (
    None
):
    stage = Stage()
    reader, wire = stage.enter(BOB, may_edit=False)
    author = Author()
    stage.say(reader, yjs.update(author.write("la")))
    stage.room.turn()
    assert wire.bodies(events.IGNORED)
    stage.room.permit(reader, may_edit=True)
    assert wire.bodies(events.STEP1) == [b"\x00"]
    stage.say(reader, yjs.sync_status(b"1"))
    stage.say(reader, yjs.step2(author.doc.get_update()))
    stage.room.turn()
    assert journaled(stage) == "la"
    assert wire.bodies(events.SYNC_STATUS) == []
    stage.journal.commit()
    assert wire.bodies(events.SYNC_STATUS) == [b"1"]

    # What was said before in this turn counts.
    stage.say(reader, yjs.update(author.write("la")))
    stage.room.permit(reader, may_edit=False)
    stage.say(reader, yjs.update(author.write("lu")))
    stage.say(reader, yjs.update(author.write("lu")))
    stage.room.turn()
    assert journaled(stage) == "lala"
    said = wire.said()
    assert len([kind for kind, _ in said if kind == events.IGNORED]) == 1
