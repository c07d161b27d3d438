"""Presence: stories about one rule each, then a room full of stock clients on a bad network.

`Stock` behaves as y-protocols 1.0.6 and y-websocket 3.1 do, written from their observed behaviour:
which entries it takes, that it sends back what it took, what it drops and when it renews.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import TypeAlias

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from syncserver import presence
from syncserver.presence import PresenceUser
from syncserver.wire import awareness
from syncserver.wire.awareness import State

GRACE = 1.0
TTL = 30.0
ANN = PresenceUser("1", "ann")
BOB = PresenceUser("2", "bob")

Fields: TypeAlias = Mapping[str, object]


def room(**changes: float) -> presence.Presence:
    return presence.Presence(
        grace=GRACE,
        ttl=TTL,
        max_states_per_connection=int(changes.pop("ids", 4)),
        max_state_bytes=int(changes.pop("size", 1000)),
        **changes,
    )


def said(client_id: int, clock: int, fields: Fields | None) -> State:
    return State(client_id, clock, None if fields is None else json.dumps(fields))


def say(
    here: presence.Presence, connection: int, now: float, *entries: tuple[int, int, Fields | None]
) -> presence.Received:
    payload = awareness.encode([said(*entry) for entry in entries])
    return here.receive(connection, payload, now)


def seen(states: list[State]) -> list[tuple[int, int, Fields | None]]:
    return [(s.client_id, s.clock, None if s.json is None else json.loads(s.json)) for s in states]


def ids(states: list[State]) -> list[int]:
    return [state.client_id for state in states]


def two_people() -> presence.Presence:
    """Ann is id 7 on connection 1, bob is id 8 on connection 2; both introduced at time 0."""
    here = room()
    here.join(1, ANN, 0)
    here.join(2, BOB, 0)
    say(here, 1, 0, (7, 5, {"x": 1}))
    say(here, 2, 0, (8, 5, {"x": 2}))
    return here


# -- the ordinary day ----------------------------------------------------------------------------


def test_a_state_is_relayed_with_its_clock_and_shown_to_the_next_who_comes() -> None:
    here = room()
    assert here.join(1, ANN, 0) == []
    heard = say(here, 1, 0, (7, 5, {"x": 1}))
    stamped = (7, 5, {"x": 1, "user": {"id": "1", "name": "ann"}})
    assert seen(heard.relay) == [stamped]
    assert heard == presence.Received(heard.relay, [])
    assert seen(here.join(2, BOB, 0)) == [stamped]
    assert seen(here.states(0)) == [stamped]


def test_a_renewal_is_relayed_though_nothing_changed() -> None:
    here = two_people()
    assert seen(say(here, 1, 15, (7, 6, {"x": 1})).relay)[0][:2] == (7, 6)
    assert ids(here.states(TTL)) == [7]
    assert ids(here.due(TTL)) == [8]


def test_what_was_heard_before_is_ignored() -> None:
    here = two_people()
    heard = say(here, 1, 1, (7, 5, {"x": 9}))
    assert heard == presence.Received([], [], ignored=1)


def test_who_says_goodbye_is_gone_at_once() -> None:
    here = two_people()
    # y-websocket's disconnect() sends null with the clock that everybody has.
    heard = say(here, 1, 1, (7, 5, None))
    assert seen(heard.relay) == [(7, 5, None)]
    assert ids(here.states(1)) == [8]
    here.leave(1, 1)
    assert here.due(1 + GRACE) == []


def test_who_hides_may_show_up_again() -> None:
    here = two_people()
    assert seen(say(here, 1, 1, (7, 6, None)).relay) == [(7, 6, None)]
    assert seen(say(here, 1, 2, (7, 7, {})).relay)[0][:2] == (7, 7)


def test_an_old_goodbye_is_ignored() -> None:
    here = two_people()
    say(here, 1, 1, (7, 6, {"x": 2}))
    assert say(here, 1, 1, (7, 5, None)).relay == []
    assert ids(here.states(1)) == [7, 8]


def test_a_socket_that_died_is_forgiven_for_the_grace_and_no_longer() -> None:
    here = two_people()
    here.leave(1, 10)
    assert ids(here.states(10.9)) == [7, 8]
    assert here.next_due() == 10 + GRACE
    assert here.due(10.9) == []
    assert seen(here.due(11)) == [(7, 6, None)]
    assert ids(here.states(11)) == [8]
    assert here.due(11) == []
    here.leave(2, TTL - 0.5)
    assert ids(here.due(TTL)) == [8]  # the grace prolongs nothing


def test_a_client_that_falls_silent_is_removed_after_its_time_to_live() -> None:
    here = two_people()
    say(here, 2, 20, (8, 6, {"x": 2}))
    assert ids(here.states(TTL)) == [8]
    assert seen(here.due(TTL)) == [(7, 6, None)]
    # Its socket is still open, so it may come back.
    assert ids(say(here, 1, 31, (7, 7, {"x": 1})).relay) == [7]


def test_the_next_moment_to_look_is_never_late() -> None:
    here = room()
    assert here.next_due() is None
    here.join(1, ANN, 0)
    say(here, 1, 0, (7, 1, {}))
    assert here.next_due() == TTL
    say(here, 1, 15, (7, 2, {}))
    assert here.due(TTL) == []
    assert here.next_due() == 15 + TTL
    here.leave(1, 20)
    assert here.next_due() == 20 + GRACE
    here.due(20 + GRACE)
    assert here.next_due() is None


def test_leaving_twice_or_without_having_come_is_nothing() -> None:
    here = two_people()
    here.leave(1, 1)
    here.leave(1, 5)
    here.leave(99, 5)
    assert ids(here.due(2)) == [7]


def test_words_of_a_connection_that_has_left_have_no_effect() -> None:
    here = two_people()
    here.leave(1, 1)
    assert say(here, 1, 1, (7, 9, {})) == presence.Received([], [], ignored=1)


def test_a_connection_joins_once() -> None:
    here = two_people()
    with pytest.raises(ValueError, match="here already"):
        here.join(1, ANN, 0)


# -- whose id it is ------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", [4, 5, 6, 1000])
@pytest.mark.parametrize("fields", [None, {"x": 666}])
def test_nobody_else_can_change_or_remove_a_state(clock: int, fields: Fields | None) -> None:
    here = two_people()
    assert say(here, 2, 1, (7, clock, fields)).relay == []
    here.join(3, BOB, 1)
    assert say(here, 3, 1, (7, clock, fields)).relay == []  # nor by introducing itself with it
    here.leave(1, 2)
    assert say(here, 2, 2, (7, clock, fields)).relay == []  # nor during the grace
    assert seen(here.states(2))[0][2] == {"x": 1, "user": {"id": "1", "name": "ann"}}


def test_a_quick_reconnect_is_not_seen_by_anybody() -> None:
    here = two_people()
    here.leave(1, 10)
    here.join(3, ANN, 10.5)
    heard = say(here, 3, 10.5, (7, 5, {"x": 1}))
    assert seen(heard.relay)[0][:2] == (7, 5)
    assert here.due(20) == []


def test_a_reconnect_while_the_old_socket_is_half_dead_takes_the_id_along() -> None:
    here = two_people()
    here.join(3, ANN, 10)
    assert ids(say(here, 3, 10, (7, 5, {"x": 1})).relay) == [7]
    assert say(here, 1, 10, (7, 5, {"x": 1})).relay == []  # was under way
    here.leave(1, 20)
    assert here.due(21) == []
    here.leave(3, 22)
    assert ids(here.due(23)) == [7]


def test_who_comes_back_may_move_before_it_has_answered() -> None:
    here = two_people()
    here.join(3, ANN, 10)
    (question,) = say(here, 3, 10, (7, 5, {"x": 1})).reply
    assert ids(say(here, 3, 10, (7, 6, {"x": 2})).relay) == [7]
    heard = say(here, 3, 10, (7, question.clock + 1, {"x": 2}))
    assert (ids(heard.relay), ids(heard.reply)) == ([7], [8])
    # From now on there is no way back to the old socket.
    here.leave(3, 11)
    assert ids(here.due(12)) == [7]


def test_anonymous_clients_take_their_ids_along_too() -> None:
    here = room()
    here.join(1, None, 0)
    say(here, 1, 0, (7, 5, {"x": 1}))
    here.join(2, None, 1)
    assert ids(say(here, 2, 1, (7, 5, {"x": 1})).relay) == [7]
    here.leave(1, 2)
    assert here.due(4) == []


def test_an_echo_takes_nothing() -> None:
    """The greeting comes back as a second message, or as a first one with more than one entry."""
    here = two_people()
    greeted = seen(here.join(3, ANN, 1))
    assert ids(say(here, 3, 1, (9, 1, {})).relay) == [9]
    assert say(here, 3, 1, *greeted).relay == []
    here.join(4, ANN, 1)
    assert say(here, 4, 1, *greeted).relay == []
    here.leave(3, 2)
    here.leave(4, 2)
    assert ids(here.due(3)) == [9]


def with_an_observer() -> tuple[presence.Presence, int]:
    """Ann is id 7 on connection 1; on 2 she looks on, and her first word there is an echo."""
    here = room()
    here.join(1, ANN, 0)
    say(here, 1, 0, (7, 5, {"x": 1}))
    greeted = seen(here.join(2, ANN, 1))
    heard = say(here, 2, 1, *greeted)
    ((client_id, clock, nobody),) = seen(heard.reply)
    assert (client_id, nobody) == (7, None)
    return here, clock


def test_an_observer_whose_first_word_is_an_echo_gives_the_id_back_when_asked() -> None:
    here, asked = with_an_observer()
    # It takes the question for the news that 7 is gone, and passes that on.
    heard = say(here, 2, 1, (7, asked, None))
    assert heard.relay == []
    # What it dropped on our word, it gets again, at a clock that it takes.
    assert seen(heard.reply)[0] == (7, asked + 1, {"x": 1, "user": {"id": "1", "name": "ann"}})
    here.leave(2, 2)
    assert here.due(4) == []
    # The owner is asked past all that, so that everybody goes on seeing it.
    assert (7, asked + 1, None) in seen(say(here, 1, 5, (7, 6, {"x": 2})).reply)


def test_the_owner_takes_its_id_back_from_an_observer() -> None:
    here, asked = with_an_observer()
    heard = say(here, 1, 2, (7, 6, {"x": 2}))
    assert ids(heard.relay) == [7]
    assert seen(heard.reply) == [(7, asked, None)]  # the observer may know that clock
    here.leave(2, 3)
    assert here.due(5) == []


def test_the_owner_leaves_though_an_observer_has_its_id() -> None:
    here, asked = with_an_observer()
    assert seen(say(here, 1, 2, (7, 5, None)).relay) == [(7, asked, None)]


def test_an_observer_leaves_before_it_has_answered() -> None:
    here, asked = with_an_observer()
    here.leave(2, 2)
    assert here.due(4) == []
    assert seen(say(here, 1, 4, (7, 6, {})).reply) == [(7, asked, None)]
    here.leave(1, 5)
    assert ids(here.due(6)) == [7]


def test_an_observer_of_somebody_whose_socket_died_keeps_no_ghost() -> None:
    here, asked = with_an_observer()
    here.leave(1, 2)
    say(here, 2, 2, (7, asked, None))
    assert seen(here.due(3)) == [(7, asked + 2, None)]


def test_an_observer_answers_after_the_client_itself_has_come_back() -> None:
    here, asked = with_an_observer()
    here.leave(1, 2)
    here.join(3, ANN, 2)
    heard = say(here, 3, 2, (7, 5, {"x": 1}))
    assert ids(heard.relay) == [7]
    (question,) = seen(heard.reply)
    assert question[1] > asked
    assert say(here, 2, 2, (7, asked, None)).relay == []
    # The client's answer is news to the observer too.
    assert ids(say(here, 3, 2, (7, question[1] + 1, {})).relay) == [7]
    here.leave(2, 3)
    assert here.due(5) == []


def test_tabs_on_one_socket_and_a_tab_that_gets_its_own() -> None:
    here = two_people()
    assert ids(say(here, 1, 1, (71, 3, {"tab": 2})).relay) == [71]
    here.join(3, ANN, 2)
    assert ids(say(here, 3, 2, (71, 3, {"tab": 2})).relay) == [71]
    # What the first tab still passes on is not news, and its end is not the other's.
    assert say(here, 1, 3, (71, 4, {"tab": 2})).relay == []
    here.leave(1, 4)
    assert ids(here.due(5)) == [7]


def test_a_tab_without_a_socket_is_not_asked_through_another() -> None:
    """The other tab would take the question for the news that it is gone."""
    here = two_people()
    say(here, 1, 1, (71, 3, {"tab": 2}))
    assert seen(say(here, 2, 1, (71, 3, None)).reply)[0][:2] == (71, 4)
    heard = say(here, 1, 2, (71, 4, {"tab": 2}))
    assert (ids(heard.relay), heard.reply) == ([71], [])


def test_a_tab_whose_socket_died_goes_on_through_another_tab() -> None:
    here = two_people()
    here.join(3, ANN, 1)
    say(here, 3, 1, (71, 3, {}))
    here.leave(3, 2)
    assert say(here, 1, 2.5, (71, 3, {})).relay == []  # may be an echo
    assert say(here, 2, 2.5, (71, 3, None)).reply != []
    assert say(here, 1, 2.5, (71, 4, {})).relay == []  # still, for 4 has been lent meanwhile
    assert ids(say(here, 1, 2.5, (71, 5, {})).relay) == [71]
    assert here.due(5) == []


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


# -- a bad network -------------------------------------------------------------------------------


class Stock:
    """One y-websocket client with its y-protocols Awareness."""

    def __init__(self, client_id: int, user: PresenceUser | None) -> None:
        self.id = client_id
        self.user = user
        self.clock = 0
        self.state: Fields | None = {}
        self.renewed = 0.0
        self.known: dict[int, int] = {}
        self.others: dict[int, Fields] = {}
        self.touched: dict[int, float] = {}
        self.connection: int | None = None
        self.onlooker = False
        self.announced = False
        self.inbox: deque[bytes] = deque()
        self.outbox: deque[bytes] = deque()
        self.said: list[object] = []

    def open(self, connection: int) -> None:
        self.connection, self.inbox, self.outbox = connection, deque(), deque()
        self.onlooker = self.onlooker or self.state is None
        self.announced = False
        if self.state is not None:
            self._send([self.id])

    def drop(self) -> None:
        """The socket is gone: so are the others, but not their clocks."""
        self.onlooker = self.onlooker or not self.announced
        self.connection = None
        self.others.clear()

    def disconnect(self) -> None:
        self.outbox.append(awareness.encode([State(self.id, self.clock, None)]))
        self.drop()

    def set(self, fields: Fields | None, now: float) -> None:
        self.state = fields
        self.clock += 1
        self.renewed = now
        if fields is not None:
            self.said.append(fields.get("n"))
        self._send([self.id])

    def tick(self, now: float) -> None:
        if self.state is not None and now - self.renewed >= 15:
            self.set(self.state, now)
        late = [other for other in self.others if now - self.touched[other] >= 30]
        for other in late:
            del self.others[other]
        if late:
            self._send(late)

    def take(self, payload: bytes, now: float) -> None:
        found = awareness.decode(payload, max_states=10_000, max_state_bytes=10_000)
        assert isinstance(found, awareness.Decoded)
        changed: list[int] = []
        for client_id, clock, text in found.states:
            mine = client_id == self.id
            known = self.clock if mine else self.known.get(client_id, 0)
            here = self.state is not None if mine else client_id in self.others
            if not (known < clock or (known == clock and text is None and here)):
                continue
            if mine:
                if text is not None:
                    self.state = json.loads(text)
                self.clock = clock + (text is None and self.state is not None)
                self.renewed = now
            else:
                self.known[client_id] = clock
                self.touched[client_id] = now
                if text is None:
                    self.others.pop(client_id, None)
                else:
                    self.others[client_id] = json.loads(text)
            changed.append(client_id)
        if changed:
            self._send(changed)

    def _send(self, changed: list[int]) -> None:
        if self.connection is None:
            return
        entries = [
            said(self.id, self.clock, self.state)
            if client_id == self.id
            else said(client_id, self.known[client_id], self.others.get(client_id))
            for client_id in changed
        ]
        self.outbox.append(awareness.encode(entries))


USERS = (ANN, ANN, BOB, None, None)
who = st.integers(0, len(USERS) - 1)
MALLORY = PresenceUser("666", "mallory")


class BadNetwork(RuleBasedStateMachine):
    """Stock clients come, go, die and return while an evil one meddles.

    After everything has arrived, everybody sees everybody, now. After everything has come to rest,
    nobody else is seen either. All along, nobody was changed or removed by somebody else.
    """

    @initialize()
    def begin(self) -> None:
        self.now = 100.0
        self.here = room(ids=8)
        self.clients = [Stock(10 + n, user) for n, user in enumerate(USERS)]
        self.count = 0
        self.numbers = 0
        # Sockets that the server takes for open though their clients have lost them.
        self.half_dead: list[tuple[int, Stock, deque[bytes]]] = []
        self.heard: dict[int, tuple[int, float]] = {}
        self.mallory: int | None = None

    # -- what clients and networks do

    @rule(n=who)
    def connect(self, n: int) -> None:
        client = self.clients[n]
        if client.connection is None:
            self.count += 1
            client.open(self.count)
            greeting = self.here.join(self.count, client.user, self.now)
            if greeting:
                client.inbox.append(awareness.encode(greeting))

    @rule(n=who)
    def move(self, n: int) -> None:
        self.numbers += 1
        self.clients[n].set({"n": self.numbers, "user": {"name": "x"}}, self.now)

    @rule(n=who)
    def hide(self, n: int) -> None:
        if self.clients[n].state is not None:
            self.clients[n].set(None, self.now)

    @rule(n=who)
    def lose(self, n: int) -> None:
        """The client notices, the server does not."""
        client = self.clients[n]
        if client.connection is not None:
            self.half_dead.append((client.connection, client, client.outbox))
            client.drop()

    @rule(n=who, first=st.booleans())
    def close(self, n: int, *, first: bool) -> None:
        """In order, with a goodbye; the end of the socket may be noticed before the goodbye."""
        client = self.clients[n]
        if client.connection is not None:
            connection, outbox = client.connection, client.outbox
            client.disconnect()
            if first:
                outbox.clear()
            self.half_dead.append((connection, client, outbox))
            self.notice(lost=False)

    @precondition(lambda self: self.half_dead)
    @rule(lost=st.booleans())
    def notice(self, *, lost: bool) -> None:
        """The server learns of a dead socket; what was under way arrives before, or never."""
        connection, client, outbox = self.half_dead.pop()
        while outbox and not lost:
            self.deliver(connection, client, outbox.popleft())
        self.here.leave(connection, self.now)
        self.heard.pop(connection, None)

    @precondition(lambda self: self.half_dead)
    @rule()
    def old_words_arrive(self) -> None:
        connection, client, outbox = self.half_dead[0]
        if outbox:
            self.deliver(connection, client, outbox.popleft())

    @rule(n=who)
    def one_goes_out(self, n: int) -> None:
        client = self.clients[n]
        if client.connection is not None and client.outbox:
            self.deliver(client.connection, client, client.outbox.popleft())

    @rule(n=who)
    def one_comes_in(self, n: int) -> None:
        client = self.clients[n]
        if client.connection is not None and client.inbox:
            client.take(client.inbox.popleft(), self.now)

    @rule()
    def everything_arrives(self) -> None:
        for _ in range(10_000):
            busy = [c for c in self.clients if c.connection is not None and (c.inbox or c.outbox)]
            if not busy:
                break
            for client in busy:
                if client.connection is not None and client.outbox:
                    self.deliver(client.connection, client, client.outbox.popleft())
                elif client.inbox:
                    client.take(client.inbox.popleft(), self.now)
        else:
            raise AssertionError("the clients and the server do not stop talking")

    @rule(seconds=st.sampled_from([0.3, 1.1, 3.0, 14.0]))
    def time_passes(self, seconds: float) -> None:
        """In steps of at most 3 s, as clients look at the clock; the network is faster than that."""
        while seconds > 0:
            self.everything_arrives()
            self.now += min(seconds, 3.0)
            seconds -= 3.0
            for state in self.here.due(self.now):
                self.check_removal(state)
                self.broadcast([state])
            for client in self.clients:
                client.tick(self.now)

    @rule(n=who, new=st.booleans(), clock=st.sampled_from([0, 1, 1000, 2**53]), null=st.booleans())
    def meddle(self, n: int, clock: int, *, new: bool, null: bool) -> None:
        """Somebody else speaks of a client, as its first word or later."""
        victim = self.clients[n]
        if victim.id not in self.here._entries:
            return
        if self.mallory is None or new:
            if self.mallory is not None:
                self.here.leave(self.mallory, self.now)
            self.count += 1
            self.mallory = self.count
            self.here.join(self.mallory, MALLORY, self.now)
        clock = min(victim.clock + clock, 2**53 - 1)
        fields = None if null else {"evil": True}
        heard = say(self.here, self.mallory, self.now, (victim.id, clock, fields))
        assert heard.relay == []

    # -- the server's side

    def deliver(self, connection: int, sender: Stock, payload: bytes) -> None:
        heard = self.here.receive(connection, payload, self.now)
        assert heard.malformed is None
        for state in heard.relay:
            self.check_relayed(sender, state)
        entry = self.here._entries.get(sender.id)
        if entry is None or entry.connection != connection:
            self.heard.pop(connection, None)
        elif sender.id in ids(heard.relay):
            self.heard[connection] = (sender.id, self.now)
            sender.announced = sender.announced or connection == sender.connection
        if heard.reply and sender.connection == connection:
            sender.inbox.append(awareness.encode(heard.reply))
        self.broadcast(heard.relay)

    def broadcast(self, states: list[State]) -> None:
        if states:
            for client in self.clients:
                if client.connection is not None:
                    client.inbox.append(awareness.encode(states))

    def check_relayed(self, sender: Stock, state: State) -> None:
        owner = self.clients[state.client_id - 10]
        assert owner.user == sender.user
        if state.json is None:
            assert owner is sender
            return
        fields = json.loads(state.json)
        assert fields.get("n") in [None, *owner.said]
        if owner.user is not None:
            assert fields["user"]["id"] == owner.user.id
            assert fields["user"]["name"] == owner.user.name
        elif "user" in fields:
            assert fields["user"] == {"name": "x", "guest": True}

    def check_removal(self, state: State) -> None:
        """Nobody is removed who was heard of late on a socket that is open."""
        client = self.clients[state.client_id - 10]
        if client.connection in self.heard:
            spoken_for, at = self.heard[client.connection]
            assert spoken_for != client.id or at + TTL <= self.now

    # -- what must hold

    def waits(self, client: Stock) -> bool:
        """Whoever comes back without saying who it is waits until its former self is gone."""
        entry = self.here._entries.get(client.id)
        return client.onlooker and (entry is None or entry.connection != client.connection)

    def visible(self) -> dict[int, object]:
        return {
            client.id: client.state.get("n")
            for client in self.clients
            # Clock 0 is what no stock client takes, and the empty state is nobody.
            if client.connection is not None
            and client.clock > 0
            and (client.state or (client.user and client.state is not None))
        }

    @rule()
    def everybody_sees_everybody_at_once(self) -> None:
        self.everything_arrives()
        for client in self.clients:
            # Whoever comes back without saying who it is waits for the others' renewals.
            if client.connection is None or client.onlooker or client.state is None:
                continue
            sees = {other: fields.get("n") for other, fields in client.others.items()}
            waiting = {other.id for other in self.clients if other is client or self.waits(other)}
            wanted = {k: v for k, v in self.visible().items() if k not in waiting}
            assert {k: sees.get(k, "nobody") for k in wanted} == wanted

    def teardown(self) -> None:
        while self.half_dead:
            self.notice(lost=True)
        for _ in range(5):
            self.time_passes(14.0)
        self.everything_arrives()
        visible = self.visible()
        assert {
            s.client_id: json.loads(s.json or "").get("n") for s in self.here.states(self.now)
        } == visible
        for client in self.clients:
            if client.connection is not None:
                sees = {k: fields.get("n") for k, fields in client.others.items() if fields}
                assert sees == {k: v for k, v in visible.items() if k != client.id}


def test_on_a_bad_network_everybody_is_seen_and_no_ghosts_remain() -> None:
    run_state_machine_as_test(
        BadNetwork,
        settings=hypothesis.settings(max_examples=100, stateful_step_count=40, deadline=None),
    )
