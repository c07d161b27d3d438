"""What one client says of itself: clocks that are out of reach, and identity from the connection."""

from __future__ import annotations

import pytest

from syncserver import announcement, presence
from syncserver.announcement import PresenceUser
from tests.unit.syncserver.presence_talk import ANN, BOB, Fields, ids, room, say, seen, two_people


@pytest.mark.parametrize(
    "clock", [announcement.CLOCK_LIMIT + announcement.CLOCK_STEP + 100, 2**53 - 1]
)
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
    say(here, 2, 0.5, (7, announcement.CLOCK_LIMIT, {}))  # somebody else, without a name either
    here.leave(2, 1)
    here.due(2)
    here.join(3, None, 3)
    reply = seen(say(here, 3, 3, (7, 5, {})).reply)
    assert reply == [(7, announcement.CLOCK_LIMIT + 1, None)]
    clock = announcement.CLOCK_LIMIT + 2
    assert ids(say(here, 3, 3, (7, clock, {"x": 1})).relay) == [7]
    # No number of steps leads to a clock that a client cannot read.
    for _ in range(3):
        entry = here._owners.entries[7]
        entry.clock = entry.sent = 2**52 - 1
        assert say(here, 3, 4, (7, 2**52 + 1, {})).refused == 1


@pytest.mark.parametrize(
    ("announced", "signed_in", "anonymous"),
    [
        ({}, {"user": {"id": "1", "name": "ann"}}, {}),
        ({"cursor": 1}, {"cursor": 1, "user": {"id": "1", "name": "ann"}}, {"cursor": 1}),
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
