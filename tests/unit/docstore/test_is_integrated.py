"""`crdt.is_integrated` against the only judge there is: what a document turns out to hold."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

from docstore import crdt
from tests.unit.docstore import writers


class Client:
    """A document and the updates that it emitted."""

    def __init__(self, client: int) -> None:
        self.doc: Doc[Any] = Doc(client_id=client)
        self.emitted: list[bytes] = []
        self._subscription = self.doc.observe(lambda event: self.emitted.append(event.update))

    def hears(self, *others: Client) -> None:
        for other in others:
            self.doc.apply_update(other.doc.get_update())
        self.emitted.clear()


def document(*updates: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    return doc


def judged(updates: list[bytes], state: bytes) -> list[bool]:
    return [crdt.is_integrated(update, state) for update in updates]


def typed(client: int, words: str) -> Client:
    writer = Client(client)
    text = writer.doc.get("t", type=Text)
    for letter in words:
        text += letter
    return writer


def test_an_update_that_changes_nothing_is_always_in() -> None:
    assert crdt.is_integrated(crdt.NOTHING, b"\x00")
    assert crdt.is_integrated(crdt.NOTHING, crdt.encode_state_vector({1: 5}))


def test_the_same_update_again_is_in() -> None:
    first = typed(7, "ab").emitted[0]
    doc = document(first, first)
    assert crdt.is_integrated(first, doc.get_state())


def test_what_comes_after_a_gap_of_its_own_client_is_not_in() -> None:
    a, b, c = typed(7, "abc").emitted
    assert judged([a, c], document(a, c).get_state()) == [True, False]
    assert judged([a, c, b], document(a, c, b).get_state()) == [True, True, True]


def test_what_depends_on_another_clients_missing_struct_is_not_in() -> None:
    one = typed(7, "ab")
    two = Client(8)
    two.hears(one)
    two.doc.get("t", type=Text).insert(1, "between")  # its neighbours are one's letters
    assert judged(two.emitted, document(*two.emitted).get_state()) == [False]
    assert judged(two.emitted, document(*one.emitted[:1], *two.emitted).get_state()) == [False]
    assert judged(two.emitted, document(*one.emitted, *two.emitted).get_state()) == [True]


def test_what_lies_in_a_missing_parent_is_not_in() -> None:
    one, two = Client(7), Client(8)
    one.doc.get("m", type=Map)["inner"] = Map({})
    made = list(one.emitted)
    two.hears(one)
    two.doc.get("m", type=Map)["inner"]["key"] = 1
    assert judged(two.emitted, document(*two.emitted).get_state()) == [False]
    assert judged(two.emitted, document(*two.emitted, *made).get_state()) == [True]


def test_deletions_of_what_is_not_there_yet_are_not_in() -> None:
    one, two = typed(7, "abcdef"), Client(8)
    letters = list(one.emitted)
    two.hears(one)
    text = two.doc.get("t", type=Text)
    del text[1:5]
    (deletion,) = two.emitted
    assert deletion[:1] == b"\x00"
    assert not crdt.is_integrated(deletion, document(deletion).get_state())
    for known in range(6):
        state = document(*letters[:known], deletion).get_state()
        assert crdt.is_integrated(deletion, state) == (known >= 5)


def test_every_range_of_a_delete_set_must_be_known() -> None:
    one, two, three = typed(7, "abc"), typed(8, "abc"), Client(9)
    three.hears(one, two)
    with three.doc.transaction():
        text = three.doc.get("t", type=Text)
        del text[0:1]
        del text[1:2]
        del text[2:3]
    (deletion,) = three.emitted
    assert len(crdt.delete_ranges(deletion, 1)) > 1
    assert not crdt.is_integrated(deletion, document(*one.emitted, deletion).get_state())
    everything = document(*one.emitted, *two.emitted, deletion)
    assert crdt.is_integrated(deletion, everything.get_state())


def test_structs_that_are_in_do_not_hide_deletions_that_wait() -> None:
    one, two = Client(7), Client(8)
    one.doc.get("m", type=Map)["k"] = 1
    set_by_one = list(one.emitted)
    two.hears(one)
    with two.doc.transaction():
        two.doc.get("other", type=Map)["k"] = 2  # depends on nothing
        two.doc.get("m", type=Map).pop("k")
    (mixed,) = two.emitted
    assert mixed[:1] == b"\x01"
    waiting = document(mixed)
    assert writers.clocks(waiting) == {8: 1}
    assert not crdt.is_integrated(mixed, waiting.get_state())
    assert crdt.is_integrated(mixed, document(mixed, *set_by_one).get_state())


def test_an_update_of_several_clients_is_in_when_the_last_of_them_is() -> None:
    one, two = typed(7, "ab"), typed(8, "cd")
    both = document(*one.emitted, *two.emitted)
    news = both.get_update(crdt.encode_state_vector({7: 1, 8: 1}))
    assert {section.client for section in crdt.read(news).sections} == {7, 8}
    assert not crdt.is_integrated(news, document(news).get_state())
    assert not crdt.is_integrated(news, document(news, one.emitted[0]).get_state())
    half = document(news, one.emitted[0], two.emitted[0])
    assert crdt.is_integrated(news, half.get_state())


def test_a_full_state_is_in() -> None:
    for seed in range(5):
        _, everything = writers.session(seed, writers=4, steps=60)
        whole = everything.get_update()
        assert crdt.is_integrated(whole, document(whole).get_state())


def test_an_update_with_a_hole_in_it_is_in_once_the_hole_is_filled() -> None:
    import pycrdt

    a, b, c = typed(7, "abc").emitted
    holed = pycrdt.merge_updates(a, c)  # quadratic, but the only maker of skip structs
    assert not crdt.is_integrated(holed, document(holed).get_state())
    assert crdt.is_integrated(holed, document(holed, b).get_state())


def test_collected_and_replaced_content_is_in() -> None:
    writer = Client(7)
    array = writer.doc.get("a", type=Array)
    array.append(Map({"x": Map({"y": 1})}))
    del array[0]
    array.append("after")
    whole = writer.doc.get_update()
    assert crdt.is_integrated(whole, document(whole).get_state())
    assert all(judged(writer.emitted, document(*writer.emitted).get_state()))
    # The single updates are older than the collection, and what they made is gone for good.
    assert all(judged(writer.emitted, document(whole).get_state()))


def padded(state: bytes, seed: int) -> bytes:
    """The state vector of a document that hundreds of other clients have been at."""
    random = Random(seed)
    crowd = {random.getrandbits(32): random.randrange(1, 5000) for _ in range(400)}
    return crdt.encode_state_vector(crowd | crdt.decode_state_vector(state))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    people=st.integers(1, 4),
    steps=st.integers(1, 40),
    order=st.randoms(use_true_random=False),
    share=st.floats(0, 1),
)
def test_it_is_true_of_exactly_what_a_document_holds(
    seed: int, people: int, steps: int, order: Random, share: float
) -> None:
    updates, everything = writers.session(seed, writers=people, steps=steps)
    delivered = [update for update in updates if order.random() < share]
    order.shuffle(delivered)
    receiver = document(*(update.data for update in delivered))
    state = receiver.get_state()
    clocks = writers.clocks(receiver)
    crowded = padded(state, seed)

    in_, out = list[writers.Update](), list[writers.Update]()
    for update in delivered:
        verdict = crdt.is_integrated(update.data, state)
        (in_ if verdict else out).append(update)
        assert crdt.is_integrated(update.data, crowded) == verdict

    # No struct of an update that is in is missing; of one that is out, a struct or a deletion is.
    for update in in_:
        assert all(clocks.get(client, 0) >= end for client, end in update.ends.items())
    for update in out:
        missing = any(clocks.get(client, 0) < end for client, end in update.ends.items())
        assert missing or any(
            clocks.get(client, 0) < clock + length
            for client, clock, length in deletions(update, everything)
        )

    # What is in never has to be sent again: the receiver's own state and all that it did not
    # call its own make the whole. This is what compaction does with it.
    called_in = {id(update) for update in in_}
    again = document(
        receiver.get_update(), *(update.data for update in updates if id(update) not in called_in)
    )
    assert writers.clocks(again) == writers.clocks(everything)
    assert crdt.to_json(again.get_update()) == crdt.to_json(everything.get_update())


def deletions(update: writers.Update, everything: Doc[Any]) -> list[tuple[int, int, int]]:
    """Of an update: all that is left of it for somebody who knows every struct."""
    import pycrdt

    return crdt.delete_ranges(pycrdt.get_update(update.data, everything.get_state()), 1)


@pytest.mark.parametrize("wrong", [b"", b"\x05", b"\x01\x07"])
def test_a_state_vector_cut_short_is_malformed(wrong: bytes) -> None:
    with pytest.raises(crdt.MalformedUpdate):
        crdt.is_integrated(typed(7, "a").emitted[0], wrong)
