"""syncserver.attendance: who is here with what, and whose time has come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from auth.credentials import Guest, Identity, Kind
from auth.permissions import Role
from syncserver.attendance import Attendance, Place

if TYPE_CHECKING:
    from auth.permissions import Access
    from syncserver.connection import Code

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SONG, ADA, SESSION, KEY, LINK = (UUID(int=number) for number in range(1, 6))


class Somebody:
    """Implements `attendance.Visitor`."""

    def __init__(
        self,
        who: Identity | Guest | None = None,
        *,
        link: Guest | None = None,
        until: datetime | None = None,
    ) -> None:
        self.who = who
        self.link = link
        self.until = until
        self.project_id = SONG
        self.document_id = 7

    def judged(self, access: Access, *, protected: bool) -> None:
        raise NotImplementedError

    def end(self, code: Code, reason: str) -> None:
        raise NotImplementedError


def account(kind: Kind = Kind.SESSION, credential: UUID = SESSION) -> Identity:
    return Identity(ADA, "ada", kind, credential, None)


def link(ends: datetime | None) -> Guest:
    return Guest(LINK, SONG, Role.VIEWER, ends)


def test_everybody_is_found_by_what_they_came_with() -> None:
    present = Attendance()
    signed_in, program, nobody = Somebody(account()), Somebody(account(Kind.KEY, KEY)), Somebody()
    for one in (signed_in, program, nobody):
        present.add(one)
    assert set(present.of(Place.PROJECT, SONG)) == {signed_in, program, nobody}
    assert set(present.of(Place.USER, ADA)) == {signed_in, program}
    assert present.of(Kind.SESSION, SESSION) == [signed_in]
    assert present.of(Kind.KEY, KEY) == [program]
    assert present.ids(Kind.SESSION) == [SESSION]
    assert present.of(Kind.SESSION, KEY) == []


def test_who_has_left_is_not_found_and_leaves_nothing_behind() -> None:
    present = Attendance()
    one, other = Somebody(account(), until=NOON), Somebody(account())
    present.add(one)
    present.add(other)
    present.remove(one)
    present.remove(one)
    assert present.of(Kind.SESSION, SESSION) == [other]
    assert present.due(NOON) == []
    present.remove(other)
    assert present.ids(Place.PROJECT) == present.ids(Kind.SESSION) == present.ids(Place.USER) == []


def test_time_ends_each_when_it_is_over_and_not_before() -> None:
    present = Attendance()
    soon, later, never = Somebody(until=NOON), Somebody(until=NOON + MINUTE), Somebody()
    for one in (later, never, soon):
        present.add(one)
    assert present.due(NOON - MINUTE) == []
    assert present.due(NOON) == [soon]
    present.remove(soon)
    assert present.due(NOON) == []
    assert present.due(NOON + MINUTE) == [later]


def test_a_time_that_was_moved_counts() -> None:
    present = Attendance()
    one = Somebody(until=NOON)
    present.add(one)
    one.until = NOON + MINUTE
    assert present.due(NOON) == []
    assert present.due(NOON + MINUTE) == [one]


def test_the_end_of_a_link_that_was_brought_besides_counts_too() -> None:
    present = Attendance()
    one = Somebody(account(), link=link(NOON), until=NOON + MINUTE)
    present.add(one)
    assert present.due(NOON) == [one]
    one.link = None
    assert present.due(NOON) == []
    assert present.due(NOON + MINUTE) == [one]


def test_who_may_stay_longer_than_their_time_is_told_of_again_at_its_new_end() -> None:
    present = Attendance()
    one, other = Somebody(account(), until=NOON), Somebody(account(), until=NOON + 3 * MINUTE)
    for each in (one, other):
        present.add(each)
    assert present.due(NOON) == [one]
    present.postpone(one, NOON + MINUTE)
    assert present.due(NOON) == []
    assert present.due(NOON + MINUTE) == [one]
    present.remove(one)
    assert present.due(NOON + 3 * MINUTE) == [other]
