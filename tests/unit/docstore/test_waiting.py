"""Updates that wait: applied in parts as soon as what they need is there, in rounds if need be."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc

from docstore import crdt, numbers, waiting
from tests.e2e import poison
from tests.unit.docstore import writers

AUTHOR = UUID("01890000-0000-7000-8000-000000000001")
CLOCKS = st.dictionaries(st.integers(0, 2**53), st.integers(0, 2**31 - 1), max_size=20)


def advanced(doc: Doc[Any], *kept: waiting.Waiting) -> list[waiting.Waiting]:
    still, _ = waiting.advance_document(doc, kept, set())
    return still


def document(*updates: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    crdt.apply_all(doc, updates)
    return doc


# ---------------------------------------------------------------- clocks


@given(CLOCKS, st.integers(0, 2**53))
def test_clocks_are_what_the_state_vector_says(clocks: dict[int, int], stranger: int) -> None:
    found = waiting.Clocks(numbers.encode_state_vector(clocks))
    assert {client: found[client] for client in clocks} == clocks
    assert found[stranger] == clocks.get(stranger, 0)


def test_clocks_remember_until_they_begin_again() -> None:
    clocks = waiting.Clocks(numbers.encode_state_vector({7: 1}))
    assert clocks[7] == 1
    clocks[7] = 5
    assert clocks[7] == 5
    clocks.begin(numbers.encode_state_vector({7: 2}))
    assert clocks[7] == 2


# ---------------------------------------------------------------- one update


def test_what_must_not_be_applied_at_all_does_not_wait_either() -> None:
    for spoils in poison.BRICKS.values():
        with pytest.raises(crdt.MalformedUpdate):
            waiting.Waiting(spoils)


def test_it_remembers_whose_it_is_and_where_it_is_stored() -> None:
    (update,) = writers.typed("a")
    one = waiting.Waiting(update, author=AUTHOR, row=5)
    assert (one.update, one.author, one.row) == (update, AUTHOR, 5)
    assert one.outline == crdt.read(update)


def test_afterwards_the_clocks_say_what_is_known_then() -> None:
    a, b, c = writers.typed("abc")
    clocks = waiting.Clocks(b"\x00")
    assert waiting.ready(a, crdt.read(a), clocks) == (a, True)
    assert waiting.ready(c, crdt.read(c), clocks) == (crdt.NOTHING, False)
    assert clocks[7] == 1
    assert waiting.ready(b, crdt.read(b), clocks) == (b, True)
    assert waiting.ready(c, crdt.read(c), clocks) == (c, True)
    assert clocks[7] == 3


# ---------------------------------------------------------------- several


def test_what_comes_loose_brings_loose_what_came_before_it() -> None:
    letters = writers.typed("abcdef")
    doc = document(letters[0])
    kept = [waiting.Waiting(letter) for letter in letters[:0:-1]]
    assert advanced(doc, *kept) == []
    assert crdt.to_json(doc.get_update()) == {"t": "abcdef"}


def test_what_waits_on_stays_in_its_order() -> None:
    a, b, c, d, e = writers.typed("abcde")
    doc = document(a)
    kept = [waiting.Waiting(update) for update in (e, d, b)]
    assert advanced(doc, *kept) == kept[:2]
    assert crdt.to_json(doc.get_update()) == {"t": "ab"}
    crdt.apply_all(doc, [c])
    assert advanced(doc, *kept[:2]) == []
    assert crdt.to_json(doc.get_update()) == {"t": "abcde"}


def test_each_part_is_applied_once_and_in_the_name_of_its_author() -> None:
    a, b, c = writers.typed("abc")
    theirs, nobodys = waiting.Waiting(c, author=AUTHOR), waiting.Waiting(b)
    told: list[tuple[UUID | None, bytes]] = []
    still = waiting.advance(
        [theirs, nobodys],
        document(a).get_state(),
        lambda one, update: told.append((one.author, update)),
    )
    assert still == []
    assert told == [(None, b), (AUTHOR, c)]


def test_nothing_is_applied_while_nothing_has_come() -> None:
    _, _, c, d = writers.typed("abcd")
    told: list[bytes] = []
    kept = [waiting.Waiting(c), waiting.Waiting(d)]
    still = waiting.advance(kept, b"\x00", lambda _one, update: told.append(update))
    assert still == kept
    assert told == []


def test_deletions_that_can_never_be_done_do_not_keep_it_busy() -> None:
    """Two that wait, each with something to delete at every look: it ends all the same."""
    (a,) = writers.typed("a")
    endless = bytes.fromhex("00 01 07 01 00 05")
    doc = document(a)
    kept = [waiting.Waiting(endless), waiting.Waiting(endless)]
    assert advanced(doc, *kept) == kept
    assert crdt.to_json(doc.get_update()) == {"t": None}


def test_one_that_cannot_be_applied_when_its_time_comes_is_named() -> None:
    good = waiting.Waiting(writers.typed("ab")[1])
    stuck = waiting.Waiting(poison.HALF.update)
    doc = document()
    assert advanced(doc, good, stuck) == [good, stuck]
    crdt.apply_all(doc, [poison.HALF.groundwork])
    with pytest.raises(waiting.StuckUpdate) as caught:
        advanced(doc, good, stuck)
    assert caught.value.waiting is stuck
    assert isinstance(caught.value.__cause__, crdt.PoisonUpdate)


# ---------------------------------------------------------------- states


@pytest.mark.parametrize("seed", range(10))
def test_of_a_state_in_which_nothing_waits_all_is_settled(seed: int) -> None:
    _, everything = writers.session(seed, writers=3, steps=40)
    whole = everything.get_update()
    assert waiting.settled(whole) == whole


def test_what_yrs_took_in_behind_a_gap_is_not_settled() -> None:
    """A struct in a root, with one of its client's missing before it."""
    groundwork = bytes.fromhex("01010700040101740161 00".replace(" ", ""))
    behind = bytes.fromhex("01010702040101740163 00".replace(" ", ""))
    doc = document(groundwork, behind)
    full = doc.get_update()
    assert full != groundwork, "yrs keeps it apart now; settled() may go"
    assert waiting.settled(full) == groundwork


def test_a_state_that_cannot_be_read_is_malformed() -> None:
    with pytest.raises(crdt.MalformedUpdate):
        waiting.settled(b"no state")
