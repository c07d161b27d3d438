"""syncserver.recent: whom the last changes concern."""

from __future__ import annotations

from uuid import UUID

from syncserver.recent import REMEMBERED, Recent

ONE, TWO = UUID(int=1), UUID(int=2)


def some(count: int) -> list[UUID]:
    return [UUID(int=1000 + number) for number in range(count)]


def test_who_is_named_is_concerned_and_nobody_else() -> None:
    recent = Recent()
    recent.note([ONE])
    assert recent.concerned(0, {ONE, TWO})
    assert not recent.concerned(0, {TWO})
    assert not recent.concerned(recent.heard, {ONE})


def test_a_change_of_everything_concerns_everybody() -> None:
    recent = Recent()
    recent.note(None)
    assert recent.concerned(0, {ONE})
    assert not recent.concerned(1, {ONE})


def test_one_change_of_many_sessions_concerns_only_those() -> None:
    recent = Recent()
    recent.note([*some(5 * REMEMBERED), ONE])
    assert recent.heard == 1
    assert recent.concerned(0, {ONE})
    assert not recent.concerned(0, {TWO})


def test_who_missed_more_than_is_remembered_is_concerned() -> None:
    recent = Recent()
    for each in some(REMEMBERED):
        recent.note([each])
    assert not recent.concerned(0, {ONE})
    recent.note([TWO])
    assert recent.concerned(0, {ONE})
    assert not recent.concerned(1, {ONE})
