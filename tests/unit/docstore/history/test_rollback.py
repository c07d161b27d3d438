"""Rollback takes back exactly what was chosen: everything else stands as it is."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

from docstore import crdt
from docstore.history import content
from docstore.history.reach import reach
from docstore.history.rollback import Earlier, undone
from docstore.segments import Row
from tests.unit.docstore import writers
from tests.unit.docstore.history.journals import (
    ANNA,
    BERT,
    CARL,
    END,
    START,
    Desk,
    Journal,
    apart,
    at,
    root,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from docstore.history.content import Content, Path


def state_of(*updates: bytes) -> bytes:
    doc: Doc[Any] = Doc()
    crdt.apply_all(doc, updates)
    return doc.get_update()


def rolled_back(
    base: bytes | None,
    rows: Sequence[Row],
    by: Collection[UUID | None] | None = (ANNA,),
    *,
    since: datetime = START,
    until: datetime = END,
    entities: Collection[Path] | None = None,
    earlier: Sequence[Earlier] = (),
) -> Content:
    """The content that is wanted, of a document in which all rows are."""
    start = () if base is None else (base,)
    now = state_of(*start, *(row.payload for row in rows))
    return content.read(
        undone(
            base,
            rows,
            by=by,
            since=since,
            until=until,
            entities=entities,
            now_state=now,
            earlier=earlier,
        )
    )


def at_desk(desk: Desk, by: Collection[UUID | None] | None = (ANNA,), **more: Any) -> Any:
    found = rolled_back(desk.base, desk.rows, by, **more)
    return content.to_json(found)


# ---------------------------------------------------------------- any document

ADDING = (
    writers.Writer._set,
    writers.Writer._set_within,
    writers.Writer._insert,
    writers.Writer._type,
    writers.Writer._mark_up,
)


def adding(writer: writers.Writer, random: Random) -> bytes:
    emitted: list[bytes] = []
    subscription = writer.doc.observe(lambda event: emitted.append(event.update))
    with writer.doc.transaction():
        random.choice(ADDING)(writer)
    writer.doc.unobserve(subscription)
    return emitted[0] if emitted else crdt.NOTHING


def people(seed: int, clients: Sequence[int]) -> tuple[Random, bytes, list[writers.Writer]]:
    """Some who begin with the same document of many kinds of content."""
    random = Random(seed)
    first = writers.Writer(500, random)
    for _ in range(40):
        first.edit()
    base = first.doc.get_update()
    found = [writers.Writer(client, random) for client in clients]
    for one in found:
        one.receive(base)
    return random, base, found


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.permutations([11, 12, 13]))
def test_work_that_nobody_had_seen_goes_without_a_trace(seed: int, clients: list[int]) -> None:
    random, base, (anna, bert, carl) = people(seed, clients)
    journal = Journal()
    for _ in range(40):
        author = random.choice((ANNA, BERT, CARL))
        if author == ANNA:
            edit = anna.edit()
            journal.add(ANNA, edit.data if edit else crdt.NOTHING)
            continue
        update = adding(bert if author == BERT else carl, random)
        journal.add(author, update)
        (carl if author == BERT else bert).receive(update)
        if random.random() < 0.7:
            anna.receive(update)
            # What she has not heard of she hears in order.
            for row in journal.rows:
                if row.author != ANNA:
                    anna.receive(row.payload)
    others = [row.payload for row in journal.rows if row.author != ANNA]
    assert rolled_back(base, journal.rows) == content.read(state_of(base, *others))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.permutations([11, 12]))
def test_what_comes_late_goes_without_a_trace(seed: int, clients: list[int]) -> None:
    _, base, (anna, bert) = people(seed, clients)
    journal = Journal()
    for author, writer in ((BERT, bert), (ANNA, anna)):
        for _ in range(25):
            if edit := writer.edit():
                journal.add(author, edit.data)
    others = [row.payload for row in journal.rows if row.author == BERT]
    assert rolled_back(base, journal.rows) == content.read(state_of(base, *others))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_rollback_of_everything_is_the_state_before(seed: int) -> None:
    updates, _ = writers.session(seed, writers=3, steps=60)
    middle = len(updates) // 2
    journal = Journal()
    for update in updates:
        journal.add(Random(seed).choice((ANNA, BERT, None)), update.data)
    before = content.read(state_of(*(update.data for update in updates[:middle])))
    assert rolled_back(None, journal.rows, None, since=at(middle)) == before
    assert rolled_back(None, journal.rows, None) == {}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_rollback_of_nothing_is_what_is_there(seed: int) -> None:
    updates, whole = writers.session(seed, writers=3, steps=40)
    journal = Journal()
    for update in updates:
        journal.add(BERT, update.data)
    now = content.read_doc(whole)
    assert rolled_back(None, journal.rows) == now
    assert rolled_back(None, journal.rows, None, since=END) == now


# ---------------------------------------------------------------- one entry

STEPS = st.lists(
    st.tuples(st.sampled_from([ANNA, BERT, CARL]), st.sampled_from(["set", "shared", "remove"])),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS, filled=st.booleans())
def test_an_entry_keeps_what_others_made_of_it_last(
    steps: list[tuple[UUID, str]], *, filled: bool
) -> None:
    base: Doc[Any] = Doc(client_id=1)
    if filled:
        root(base, "stems")["k"] = "base"
    desk = Desk(base.get_update())
    wanted: object = "base" if filled else None
    for number, (author, kind) in enumerate(steps):
        there = "k" in root(desk.doc(author), "stems")
        if kind == "remove":
            if not there:
                continue
            value: object = None
            desk.edit(author, lambda doc: root(doc, "stems").pop("k"))
        else:
            shared = kind == "shared"
            value = {"n": number} if shared else number

            def change(doc: Doc[Any], value: Any = value, *, shared: bool = shared) -> None:
                root(doc, "stems")["k"] = Map(value) if shared else value

            desk.edit(author, change)
        if author != ANNA:
            wanted = value
    assert at_desk(desk).get("stems", {}).get("k") == wanted


# ---------------------------------------------------------------- by example


def test_what_others_wrote_into_what_was_deleted_comes_back_with_it() -> None:
    desk = Desk()
    desk.edit(BERT, lambda doc: root(doc, "stems").update({"s": Map({"name": "Bass"})}))
    late = apart(desk.doc(BERT), lambda doc: root(doc, "stems")["s"].update({"pan": 1}), 55)
    desk.edit(ANNA, lambda doc: root(doc, "stems").pop("s"))
    desk.add(CARL, late)
    assert at_desk(desk) == {"stems": {"s": {"name": "Bass", "pan": 1}}}


@pytest.mark.parametrize("client", [2, 900])
def test_a_value_that_lost_against_what_is_taken_back_shows_again(client: int) -> None:
    base: Doc[Any] = Doc(client_id=1)
    root(base, "project")["tempo"] = 100
    desk = Desk(base.get_update())
    late = apart(base, lambda doc: root(doc, "project").update({"tempo": 90}), client)
    desk.edit(ANNA, lambda doc: root(doc, "project").update({"tempo": 140}))
    desk.add(BERT, late)
    assert at_desk(desk) == {"project": {"tempo": 90}}


def test_text_returns_to_its_place_between_what_others_typed() -> None:
    desk = Desk()
    desk.edit(BERT, lambda doc: doc.get("notes", type=Text).insert(0, "intro verse outro"))

    def erase(doc: Doc[Any]) -> None:
        del doc.get("notes", type=Text)[5:11]

    late = apart(desk.doc(BERT), lambda doc: doc.get("notes", type=Text).insert(8, "|"), 55)
    desk.edit(ANNA, erase)
    desk.edit(ANNA, lambda doc: doc.get("notes", type=Text).insert(0, "Anna: "))
    desk.add(CARL, late)
    assert at_desk(desk) == {"notes": "intro ve|rse outro"}


def test_formatting_is_taken_back_alone() -> None:
    desk = Desk()
    desk.edit(BERT, lambda doc: doc.get("notes", type=Text).insert(0, "loud"))
    before = content.read(desk.state)
    desk.edit(ANNA, lambda doc: doc.get("notes", type=Text).format(0, 4, {"bold": True}))
    assert content.read(desk.state) != before
    assert rolled_back(None, desk.rows) == before


def test_what_somebody_put_into_what_is_taken_back_goes_with_it() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": Map({"tags": Array[Any]()})}))
    desk.edit(BERT, lambda doc: root(doc, "stems")["s"]["tags"].append("mine"))
    desk.edit(BERT, lambda doc: root(doc, "stems").update({"t": 1}))
    assert at_desk(desk) == {"stems": {"t": 1}}


def test_only_the_time_that_was_asked_for_is_taken_back() -> None:
    desk = Desk()
    for number in range(6):
        desk.edit(ANNA, lambda doc, key=f"k{number}": root(doc, "project").update({key: key}))
    found = at_desk(desk, since=at(2), until=at(3))
    assert sorted(found["project"]) == ["k0", "k1", "k4", "k5"]


def test_only_the_entities_that_were_asked_for_are_taken_back() -> None:
    desk = Desk()
    desk.edit(BERT, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0}), "t": 1}))
    desk.edit(ANNA, lambda doc: root(doc, "stems")["s"].update({"pan": 1, "name": "Bass"}))
    desk.edit(ANNA, lambda doc: root(doc, "stems").pop("t"))
    assert at_desk(desk, entities=[("stems", "t")]) == {
        "stems": {"s": {"pan": 1, "name": "Bass"}, "t": 1}
    }
    assert at_desk(desk, entities=[("stems", "s", "pan")]) == {
        "stems": {"s": {"pan": 0, "name": "Bass"}}
    }
    assert at_desk(desk, entities=[("stems", "unknown")]) == content.to_json(
        content.read(desk.state)
    )


def test_what_is_in_the_live_state_alone_stands() -> None:
    desk = Desk()
    desk.edit(ANNA, lambda doc: root(doc, "project").update({"tempo": 1}))
    newer = apart(desk.doc(ANNA), lambda doc: root(doc, "project").update({"key": "C"}), 77)
    wanted = undone(
        None,
        desk.rows,
        by=[ANNA],
        since=START,
        until=END,
        entities=None,
        now_state=state_of(desk.state, newer),
    )
    assert content.to_json(content.read(wanted)) == {"project": {"key": "C"}}


def test_updates_that_waited_belong_to_who_wrote_them() -> None:
    desk = Desk()
    desk.edit(BERT, lambda doc: root(doc, "stems").update({"s": Map({"pan": 0})}))
    desk.edit(ANNA, lambda doc: root(doc, "stems")["s"].update({"pan": 1}))
    first, second = desk.rows
    # Hers arrived first, and waited for his.
    rows = [second, first]
    rows = [Row(seq, row.author, row.payload, at(seq)) for seq, row in enumerate(rows)]
    assert content.to_json(rolled_back(None, rows)) == {"stems": {"s": {"pan": 0}}}


# ---------------------------------------------------------------- what was taken back before


def take_back(
    desk: Desk, earlier: list[Earlier], by: UUID, entities: Collection[Path] | None = None
) -> Any:
    """Take back what somebody did, as CARL, who has no part in it; what the document says then."""
    wanted = undone(
        desk.base,
        desk.rows,
        by=[by],
        since=START,
        until=END,
        entities=entities,
        now_state=desk.state,
        earlier=earlier,
    )
    client_id = 5000 + len(earlier)
    update = reach(desk.state, wanted, client_id=client_id)
    if update is not None:
        until = max(row.created_at for row in desk.rows)
        earlier.append(Earlier(client_id, by, None, until, entities))
        row = desk.add(CARL, update)
        for author in (ANNA, BERT):
            desk.doc(author).apply_update(row.payload)
    return content.to_json(content.read(desk.state))


def erase(name: str) -> Callable[[Doc[Any]], object]:
    return lambda doc: doc.get(name, type=Text).clear()


def sung() -> Desk:
    """Two texts of Bert's, which Anna erases."""
    desk = Desk()
    for name in ("notes", "description"):
        desk.edit(BERT, lambda doc, name=name: doc.get(name, type=Text).insert(0, "one"))
    for name in ("notes", "description"):
        desk.edit(ANNA, erase(name))
    return desk


def test_what_is_back_already_does_not_come_back_again() -> None:
    desk, earlier = sung(), list[Earlier]()
    whole = {"notes": "one", "description": "one"}
    assert take_back(desk, earlier, ANNA) == whole
    assert take_back(desk, earlier, ANNA) == whole
    assert len(earlier) == 1
    # What she does later is taken back, beside what was.
    desk.edit(BERT, lambda doc: doc.get("notes", type=Text).insert(3, " two"))
    desk.edit(ANNA, erase("notes"))
    assert take_back(desk, earlier, ANNA) == {"notes": "one two", "description": "one"}
    assert take_back(desk, earlier, ANNA)["notes"] == "one two"


def test_what_was_taken_back_in_one_place_comes_back_in_the_others() -> None:
    desk, earlier = sung(), list[Earlier]()
    assert take_back(desk, earlier, ANNA, [("notes",)]) == {"notes": "one"}
    whole = {"notes": "one", "description": "one"}
    assert take_back(desk, earlier, ANNA) == whole
    assert take_back(desk, earlier, ANNA) == whole
    assert take_back(desk, earlier, ANNA, [("notes",)]) == whole


def test_a_rollback_that_was_taken_back_is_in_force_no_longer() -> None:
    desk, earlier = sung(), list[Earlier]()
    take_back(desk, earlier, ANNA)
    assert take_back(desk, earlier, CARL) == {}
    assert take_back(desk, earlier, ANNA) == {"notes": "one", "description": "one"}


def test_a_rollback_that_never_came_to_be_does_not_count() -> None:
    desk = sung()
    lost = [Earlier(77, BERT, None, END, None)]
    assert take_back(desk, lost, ANNA) == {"notes": "one", "description": "one"}


def test_what_others_write_into_what_came_back_stays_where_it_is() -> None:
    desk, earlier = sung(), list[Earlier]()
    take_back(desk, earlier, ANNA)
    desk.edit(BERT, lambda doc: doc.get("notes", type=Text).insert(1, "|"))
    desk.edit(CARL, lambda doc: root(doc, "project").update({"tempo": 1}))
    desk.edit(ANNA, lambda doc: root(doc, "stems").update({"s": 1}))
    assert take_back(desk, earlier, UUID(int=9))["notes"] == "o|ne"


def test_the_same_again_leaves_what_others_wrote_beside_it_where_it_is() -> None:
    desk, earlier = Desk(), list[Earlier]()
    desk.edit(BERT, lambda doc: doc.get("notes", type=Text).insert(0, "hello world"))
    desk.edit(ANNA, lambda doc: doc.get("notes", type=Text).__delitem__(slice(0, 5)))
    assert take_back(desk, earlier, ANNA) == {"notes": "hello world"}
    desk.edit(BERT, lambda doc: doc.get("notes", type=Text).insert(0, "* "))
    for _ in range(2):
        assert take_back(desk, earlier, ANNA) == {"notes": "* hello world"}
    assert len(earlier) == 1
    # What she does later goes, and what she had done before that is not done anew.
    desk.edit(ANNA, lambda doc: doc.get("notes", type=Text).insert(0, "Anna: "))
    assert take_back(desk, earlier, ANNA) == {"notes": "* hello world"}


def test_a_row_in_which_others_go_on_too_is_not_the_rollback_alone() -> None:
    desk, earlier = sung(), list[Earlier]()
    desk.edit(BERT, lambda doc: root(doc, "stems").update({"a": 1}))
    before = desk.doc(BERT).get_state()
    take_back(desk, earlier, ANNA)
    desk.edit(BERT, lambda doc: root(doc, "stems").update({"b": 1}))
    # As an upkeep of before would have joined them: Bert's part begins where his last one ended.
    del desk.rows[-2:]
    desk.add(CARL, desk.doc(BERT).get_update(before))
    desk.edit(ANNA, erase("notes"))
    desk.edit(BERT, lambda doc: doc.get("project", type=Map[Any]).update({"key": "C"}))
    assert at_desk(desk, (ANNA,), earlier=earlier)["stems"] == {"a": 1, "b": 1}
