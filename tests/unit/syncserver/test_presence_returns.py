"""Presence, stories about one rule each: coming back, clocks, bounds, identity."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from syncserver import presence
from syncserver.presence import PresenceUser
from syncserver.wire import awareness
from tests.unit.syncserver.presence_talk import (
    ANN,
    BOB,
    GRACE,
    Fields,
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
    assert here._entries[8].lent == {}
    # And again, however often ann's network fails meanwhile; a new clock is proof enough.
    for connection, clock in ((4, 8), (5, 9)):
        here.join(connection, ANN, 12)
        heard = say(here, connection, 12, (7, answer + connection, {"x": 1}))
        assert [state.clock for state in heard.reply] == [clock]
    assert seen(say(here, 2, 13, (8, 8, None)).relay) == [(8, 9, None)]


def test_who_drops_somebody_who_is_here_gets_them_again() -> None:
    here = two_people()
    assert seen(say(here, 1, 1, (8, 5, None)).reply)[0][:2] == (8, 6)
    assert say(here, 1, 1, (8, 4, None)).reply == []  # a newer one is on its way
    # Whatever it claims to know, it cannot know more than it was sent.
    assert seen(say(here, 1, 1, (8, 2**53 - 1, None)).reply)[0][:2] == (8, 7)


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


def test_a_tombstone_is_forgotten_in_time_and_in_number() -> None:
    here = two_people()
    here.leave(1, 0)
    here.due(GRACE)
    here.join(3, ANN, 0)
    late = GRACE + presence.TOMBSTONE_SECONDS
    assert say(here, 3, late, (7, 1, {})).reply == []
    here = room()
    here.join(1, ANN, 0)
    for n in range(presence.TOMBSTONES + 1):
        say(here, 1, 0, (n, 1, {}))
        say(here, 1, 0, (n, 2, None))
    here.join(2, ANN, 0)
    assert say(here, 2, 0, (0, 1, {})).reply == []
    here.join(3, ANN, 0)
    assert say(here, 3, 0, (1, 1, {})).reply != []


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


def test_a_lost_id_is_kept_for_its_account_for_a_while_and_a_given_up_one_is_not() -> None:
    here = two_people()
    here.leave(1, 0)
    here.due(GRACE)
    assert say(here, 2, 2, (7, 50, {})).relay == []
    assert ids(say(here, 2, GRACE + presence.RESERVED_SECONDS, (7, 50, {})).relay) == [7]
    here = two_people()
    say(here, 1, 1, (7, 6, None))
    here.join(3, None, 1)  # signed out, and back as a guest
    assert (7, 6, None) in seen(say(here, 3, 1, (7, 6, {})).reply)
    assert ids(say(here, 3, 1, (7, 7, {})).relay) == [7]


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


@pytest.mark.parametrize("clock", [presence.CLOCK_LIMIT + presence.CLOCK_STEP + 100, 2**53 - 1])
@pytest.mark.parametrize("fields", [None, {}])
def test_an_absurd_clock_is_refused(clock: int, fields: Fields | None) -> None:
    here = two_people()
    assert say(here, 1, 1, (7, clock, fields)) == presence.Received([], [], ignored=1, refused=1)
    if fields is not None:
        assert say(here, 1, 1, (70, clock, fields)).refused == 1
        again = room(forgetful_until=5.0)
        again.join(1, ANN, 0)
        assert say(again, 1, 0, (7, clock, fields)).refused == 1


def test_an_id_whose_clock_was_driven_up_is_not_locked() -> None:
    here = room()
    here.join(1, None, 0)
    say(here, 1, 0, (7, 5, {}))
    here.leave(1, 0)
    here.join(2, None, 0.5)
    say(here, 2, 0.5, (7, presence.CLOCK_LIMIT, {}))  # somebody else, without a name either
    here.leave(2, 1)
    here.due(2)
    here.join(3, None, 3)
    reply = seen(say(here, 3, 3, (7, 5, {})).reply)
    assert reply == [(7, presence.CLOCK_LIMIT + 1, None)]
    clock = presence.CLOCK_LIMIT + 2
    assert ids(say(here, 3, 3, (7, clock, {"x": 1})).relay) == [7]
    # No number of steps leads to a clock that a client cannot read.
    for _ in range(3):
        entry = here._entries[7]
        entry.clock = entry.sent = 2**52 - 1
        assert say(here, 3, 4, (7, 2**52 + 1, {})).refused == 1


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


# -- identity ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("announced", "signed_in", "anonymous"),
    [
        ({}, {"user": {"id": "1", "name": "ann"}}, {}),
        ({"user": None}, {"user": {"id": "1", "name": "ann"}}, {"user": None}),
        ({"user": "bob"}, {"user": {"id": "1", "name": "ann"}}, {"user": {"guest": True}}),
        (
            {"user": {"name": "bob", "color": "#f80", "panel": [1]}, "x": 1.5},
            {"user": {"name": "ann", "color": "#f80", "panel": [1], "id": "1"}, "x": 1.5},
            {"user": {"name": "bob", "color": "#f80", "panel": [1], "guest": True}, "x": 1.5},
        ),
        (
            {"user": {"id": "2", "guest": False}},
            {"user": {"id": "1", "name": "ann"}},
            {"user": {"guest": True}},
        ),
    ],
)
def test_identity_comes_from_the_connection(
    announced: Fields, signed_in: Fields, anonymous: Fields
) -> None:
    here = room()
    here.join(1, ANN, 0)
    here.join(2, None, 0)
    assert seen(say(here, 1, 0, (1, 1, announced)).relay) == [(1, 1, signed_in)]
    assert seen(say(here, 2, 0, (2, 1, announced)).relay) == [(2, 1, anonymous)]
    # The same words again: kept, not stamped again.
    assert seen(say(here, 1, 0, (1, 2, announced)).relay) == [(1, 2, signed_in)]


def test_a_second_user_of_the_same_name_in_the_json_does_not_get_through() -> None:
    here = room()
    here.join(1, ANN, 0)
    raw = b'{"user":{"id":"1"},"\\u0075ser":{"id":"2","\\u0069d":"3"}}'
    payload = b"\x01\x07\x01" + bytes((len(raw),)) + raw
    (state,) = here.receive(1, payload, 0).relay
    assert state.json == '{"user":{"id":"1","name":"ann"}}'


def test_a_changed_name_is_stamped_though_the_state_is_the_same() -> None:
    here = two_people()
    here.leave(1, 1)
    here.join(3, PresenceUser("1", "ann marie"), 1)
    heard = say(here, 3, 1, (7, 5, {"x": 1}))
    assert seen(heard.relay)[0][2] == {"x": 1, "user": {"id": "1", "name": "ann marie"}}
    assert 7 in ids(heard.reply)  # asked for a higher clock: others have 5 with the old name


def test_an_empty_state_is_no_ghost() -> None:
    here = room()
    here.join(1, None, 0)
    assert seen(say(here, 1, 0, (7, 0, {})).relay) == [(7, 0, {})]
    assert here.join(2, None, 0) == []
    here.join(3, BOB, 0)
    assert say(here, 3, 0, (7, 0, None)).reply == []
