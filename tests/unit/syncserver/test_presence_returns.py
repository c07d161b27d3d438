"""Presence, stories about one rule each: coming back, clocks, bounds."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from syncserver import presence
from syncserver.wire import awareness, lib0
from tests.unit.syncserver.presence_talk import (
    ANN,
    BOB,
    GRACE,
    ids,
    room,
    said,
    say,
    seen,
    two_people,
)

# -- coming back ---------------------------------------------------------------------------------


def test_who_was_removed_is_asked_to_announce_itself_again() -> None:
    here = two_people()
    here.leave(1, 10)
    assert seen(here.due(11)) == [(7, 6, None)]
    here.join(3, ANN, 12)
    heard = say(here, 3, 12, (7, 5, {"x": 1}))
    assert heard.relay == []  # nobody would take it at this clock
    assert (7, 6, None) in seen(heard.reply)
    heard = say(here, 3, 12, (7, 7, {"x": 1}))
    assert ids(heard.relay) == [7]
    assert seen(heard.reply)[0][:2] == (8, 6)  # and that is how it sees bob at once
    assert say(here, 3, 13, (7, 8, {"x": 1})).reply == []


def test_who_comes_back_gets_the_others_at_a_clock_that_it_takes() -> None:
    """It dropped bob's state with its socket, and would not take it again at clock 5."""
    here = two_people()
    here.leave(1, 10)
    here.join(3, ANN, 10)
    (asked,) = seen(say(here, 3, 10, (7, 5, {"x": 1})).reply)
    answer = asked[1] + 1
    assert seen(say(here, 3, 10, (7, answer, {"x": 1})).reply)[0][:2] == (8, 6)
    # When bob arrives at that clock himself, he is asked to go past it.
    assert seen(say(here, 2, 11, (8, 6, {"x": 3})).reply) == [(8, 6, None)]
    assert say(here, 2, 11, (8, 7, {"x": 3})).reply == []
    assert here._owners.entries[8].lent == {}
    # And again, however often ann's network fails meanwhile; a new clock is proof enough.
    for connection, clock in ((4, 8), (5, 9)):
        here.join(connection, ANN, 12)
        heard = say(here, connection, 12, (7, answer + connection, {"x": 1}))
        assert [state.clock for state in heard.reply] == [clock]
    assert seen(say(here, 2, 13, (8, 8, None)).relay) == [(8, 9, None)]


def test_nobody_is_sent_its_own_state_over_what_it_says_of_itself() -> None:
    here = two_people()
    here.join(3, ANN, 1)
    say(here, 3, 1, (7, 6, {"x": 1}))
    assert say(here, 1, 1, (7, 6, None)) == presence.Received([], [], ignored=1)


def test_an_echo_of_somebody_who_is_gone_brings_nobody_back() -> None:
    here = two_people()
    echo = seen(here.states(0))
    here.leave(1, 10)
    here.due(11)
    assert say(here, 2, 11, *echo).relay == []
    assert say(here, 2, 11, (7, 6, None)).relay == []
    assert ids(here.states(11)) == [8]
    here.join(3, ANN, 12)
    say(here, 3, 12, (9, 1, {}))
    heard = say(here, 3, 12, *echo)
    assert heard.relay == []
    assert seen(heard.reply) == [(7, 6, None)]  # which it has heard, or it is that client


def test_after_a_restart_everybody_is_asked_to_announce_themselves_again() -> None:
    here = room(forgetful_until=5.0)
    here.join(1, ANN, 0)
    here.join(2, BOB, 0)
    heard = say(here, 1, 0, (7, 5, {"x": 1}))
    assert ids(heard.relay) == [7]
    for connection, client_id in ((1, 7), (2, 8)):
        heard = say(here, 2, 1, (8, 5, {"x": 2})) if connection == 2 else heard
        ((asked, clock, nobody),) = seen(heard.reply)
        assert (asked, nobody) == (client_id, None)
        assert clock > 5
        say(here, connection, 2, (client_id, clock + 1, {"x": 1}))
    here.join(3, ANN, 6)
    assert say(here, 3, 6, (9, 5, {})).reply == []


def test_somebody_who_signs_in_on_a_new_socket_is_here_after_the_grace() -> None:
    here = room()
    here.join(1, None, 0)
    say(here, 1, 0, (7, 5, {}))
    here.leave(1, 1)
    here.join(2, ANN, 1)
    assert say(here, 2, 1, (7, 5, {})).relay == []
    assert seen(here.due(2)) == [(7, 6, None)]
    assert ids(say(here, 2, 2, (7, 7, {})).relay) == [7]  # its answer to the null


def test_who_hid_and_lost_its_socket_may_show_up_again_before_that_is_noticed() -> None:
    here = two_people()
    greeted = seen(here.join(3, ANN, 1))
    say(here, 3, 1, *greeted)  # no state of its own, so its first words are echoes
    assert say(here, 3, 2, (7, 5, {"x": 1})).relay == []
    assert ids(say(here, 3, 2, (7, 7, {"x": 1})).relay) == [7]
    here.leave(1, 3)
    assert here.due(5) == []


def test_who_hid_while_its_socket_was_dead_may_say_so_on_the_next() -> None:
    here = two_people()
    greeted = seen(here.join(3, ANN, 1))
    say(here, 3, 1, *greeted)
    # Not its last word from before, which may be an echo, nor is it sent its own state over it.
    assert say(here, 3, 2, (7, 5, None)) == presence.Received([], [], ignored=1)
    assert seen(say(here, 3, 2, (7, 7, None)).relay) == [(7, 7, None)]


def test_who_had_nothing_to_introduce_itself_with_is_known_by_its_first_state() -> None:
    here = two_people()
    here.join(3, ANN, 0)
    say(here, 3, 0, (8, 5, {"echo": 1}), (7, 5, {"echo": 1}))
    assert ids(say(here, 3, 1, (9, 5, {})).relay) == [9]
    assert seen(say(here, 3, 1, (9, 4, {})).reply) == [(9, 5, None)]


# -- clocks --------------------------------------------------------------------------------------


def test_a_client_whose_clock_was_set_back_is_told_the_clock_to_pass() -> None:
    here = two_people()
    assert seen(say(here, 1, 1, (7, 1, {"x": 1})).reply) == [(7, 5, None)]
    here.join(3, ANN, 2)
    heard = say(here, 3, 2, (7, 0, {"x": 3}))
    assert heard.relay == []
    (clock,) = [state.clock for state in heard.reply if state.client_id == 7]
    assert ids(say(here, 3, 3, (7, clock + 1, {"x": 3})).relay) == [7]


# -- bounds --------------------------------------------------------------------------------------


def test_nothing_of_a_malformed_message_is_used() -> None:
    here = two_people()
    good = awareness.encode([said(7, 9, {})])
    heard = here.receive(1, b"\x02" + good[1:] + b"\x01\x01\x01{", 1)
    assert heard == presence.Received([], [], "awareness state is not a JSON object")
    assert seen(here.states(1))[0][1] == 5


def test_ids_beyond_the_limit_of_a_connection_are_refused_and_the_others_not() -> None:
    here = room(ids=2)
    here.join(1, ANN, 0)
    heard = say(here, 1, 0, *[(n, 1, {"n": n}) for n in range(3)])
    assert ids(heard.relay) == [0, 1]
    assert (heard.ignored, heard.refused) == (1, 1)
    assert ids(say(here, 1, 1, (0, 2, {})).relay) == [0]
    say(here, 1, 1, (0, 2, None))
    assert ids(say(here, 1, 1, (2, 1, {})).relay) == [2]


def flood(good: int) -> bytes:
    """A message that announces 10,000 tiny states of different clients, the first of them 100.

    After so many of them comes what is none: whoever reads further finds the message malformed.
    """
    states = awareness.encode([said(100 + n, 1, {}) for n in range(good)])
    return lib0.write_var_uint(10_000) + states[1:] + b"\xff" * 50_000


def test_a_flood_of_tiny_states_is_refused_before_it_is_read() -> None:
    here = room(ids=2)
    here.join(1, ANN, 0)
    heard = here.receive(1, flood(good=2), 0)
    assert heard.malformed is None
    assert ids(heard.relay) == [100, 101]
    assert (heard.ignored, heard.refused) == (9_998, 9_998)
    # The connection stays, and so does what it may own.
    assert ids(say(here, 1, 1, (100, 2, {}), (101, 2, {})).relay) == [100, 101]


def test_of_a_flood_no_more_is_read_than_an_honest_client_could_say() -> None:
    here = room(ids=4)
    here.join(1, ANN, 0)
    assert here.receive(1, flood(good=3), 0).malformed is not None
    assert here.receive(1, flood(good=4), 0).malformed is None
    # Its four ids are known by now, so they may be echoed too.
    assert here.receive(1, flood(good=7), 0).malformed is not None
    assert here.receive(1, flood(good=8), 0).malformed is None


def test_an_echo_of_more_people_than_one_connection_may_own_is_read_to_its_end() -> None:
    here = room(ids=2)
    for n in range(20):
        here.join(n, ANN, 0)
        say(here, n, 0, (n, 1, {"n": n}))
    for n in range(10):
        here.leave(n, 1)
    gone = seen(here.due(1 + GRACE))
    greeted = seen(here.join(99, BOB, 2))
    say(here, 99, 2, (99, 1, {"n": 99}))
    # The answer to a null of its own comes last in the message that sends back all the rest.
    heard = say(here, 99, 2, *greeted, *gone, (99, 2, {"n": 99}))
    assert ids(heard.relay) == [99]
    assert heard.refused == 0


def test_a_flood_as_the_first_word_introduces_nobody() -> None:
    here = room(ids=1, forgetful_until=5.0)
    here.join(1, ANN, 0)
    heard = here.receive(1, flood(good=1), 0)
    assert (ids(heard.relay), heard.reply) == ([100], [])
    here.join(2, BOB, 0)
    assert ids(say(here, 2, 0, (200, 1, {})).reply) == [200]  # as who introduces itself is asked


def test_a_state_that_is_too_large_is_refused_and_the_others_not() -> None:
    here = room(size=20)
    here.join(1, ANN, 0)
    heard = say(here, 1, 0, (1, 1, {"x": "y" * 20}), (2, 1, {}))
    assert ids(heard.relay) == [2]
    assert (heard.ignored, heard.refused) == (1, 1)


def test_a_first_word_that_is_too_large_is_still_the_first() -> None:
    here = room(size=20)
    here.join(1, ANN, 0)
    say(here, 1, 0, (7, 5, {}))
    here.join(2, ANN, 0)
    say(here, 2, 0, (9, 1, {"x": "y" * 20}))
    assert say(here, 2, 0, (7, 5, {})).relay == []


@hypothesis.given(st.binary(max_size=50), st.integers(1, 4), st.floats(0, 100))
def test_any_bytes_of_anybody_are_answered(payload: bytes, connection: int, now: float) -> None:
    here = two_people()
    here.receive(connection, payload, now)
    awareness.encode(here.due(now) + here.states(now))
