"""Whose an id is after its owner has gone, and what is lent to those who dropped somebody."""

from __future__ import annotations

from syncserver import ownership
from tests.unit.syncserver.presence_talk import ANN, GRACE, ids, room, say, seen, two_people


def test_a_tombstone_is_forgotten_in_time_and_in_number() -> None:
    here = two_people()
    here.leave(1, 0)
    here.due(GRACE)
    here.join(3, ANN, 0)
    late = GRACE + ownership.TOMBSTONE_SECONDS
    assert say(here, 3, late, (7, 1, {})).reply == []
    here = room()
    here.join(1, ANN, 0)
    for n in range(ownership.TOMBSTONES + 1):
        say(here, 1, 0, (n, 1, {}))
        say(here, 1, 0, (n, 2, None))
    here.join(2, ANN, 0)
    assert say(here, 2, 0, (0, 1, {})).reply == []
    here.join(3, ANN, 0)
    assert say(here, 3, 0, (1, 1, {})).reply != []


def test_a_lost_id_is_kept_for_its_account_for_a_while_and_a_given_up_one_is_not() -> None:
    here = two_people()
    here.leave(1, 0)
    here.due(GRACE)
    assert say(here, 2, 2, (7, 50, {})).relay == []
    assert ids(say(here, 2, GRACE + ownership.RESERVED_SECONDS, (7, 50, {})).relay) == [7]
    here = two_people()
    say(here, 1, 1, (7, 6, None))
    here.join(3, None, 1)  # signed out, and back as a guest
    assert (7, 6, None) in seen(say(here, 3, 1, (7, 6, {})).reply)
    assert ids(say(here, 3, 1, (7, 7, {})).relay) == [7]


def test_who_drops_somebody_who_is_here_gets_them_again() -> None:
    here = two_people()
    assert seen(say(here, 1, 1, (8, 5, None)).reply)[0][:2] == (8, 6)
    assert say(here, 1, 1, (8, 4, None)).reply == []  # a newer one is on its way
    # Whatever it claims to know, it cannot know more than it was sent.
    assert seen(say(here, 1, 1, (8, 2**53 - 1, None)).reply)[0][:2] == (8, 7)
