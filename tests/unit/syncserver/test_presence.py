"""Presence, stories about one rule each: an ordinary day, and whose id it is."""

from __future__ import annotations

import pytest

from syncserver import presence
from tests.unit.syncserver.presence_talk import (
    ANN,
    BOB,
    GRACE,
    TTL,
    Fields,
    ids,
    room,
    say,
    seen,
    two_people,
)

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


def test_who_is_shut_out_is_gone_at_once_and_may_come_back_later() -> None:
    here = two_people()
    assert seen(here.expel(1, 10)) == [(7, 6, None)]
    assert ids(here.states(10)) == [8]
    assert here.due(20) == []
    # What was under way has no effect, and the id is kept for its account.
    assert say(here, 1, 10, (7, 9, {"x": 1})).relay == []
    here.join(3, BOB, 11)
    assert say(here, 3, 11, (7, 9, {"x": 666})).relay == []
    here.join(4, ANN, 12)
    assert (7, 6, None) in seen(say(here, 4, 12, (7, 5, {"x": 1})).reply)
    assert ids(say(here, 4, 12, (7, 7, {"x": 1})).relay) == [7]


def test_shutting_out_takes_nobody_elses_grace_and_nobody_twice() -> None:
    here = two_people()
    here.leave(2, 10)
    assert ids(here.expel(1, 10)) == [7]
    assert here.expel(1, 10) == here.expel(99, 10) == []
    assert ids(here.states(10.9)) == [8]
    assert ids(here.due(11)) == [8]


def test_who_is_shut_out_does_not_take_the_id_of_a_live_socket_along() -> None:
    here, _ = with_an_observer()
    assert here.expel(2, 2) == []
    assert ids(here.states(2)) == [7]


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
