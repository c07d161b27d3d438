"""Errors carry a code, a sentence and data."""

from __future__ import annotations

from base import errors
from base.errors import AppError


class _DoorClosed(AppError):
    """The door is closed; knock.

    This part is for developers.
    """

    code = "door_closed"


class _DoorLocked(_DoorClosed):
    code = "door_locked"
    message = "Locked."


def test_the_sentence_is_the_first_line_of_the_docstring() -> None:
    assert str(_DoorClosed()) == _DoorClosed().message == "The door is closed; knock."


def test_a_given_sentence_and_a_set_one_win() -> None:
    assert str(_DoorClosed("Gone.")) == "Gone."
    assert str(_DoorLocked()) == "Locked."


def test_data_is_what_a_program_needs() -> None:
    assert _DoorClosed(door=3).data == {"door": 3}
    assert _DoorClosed().data == {}


def test_every_error_is_found_once_parents_first() -> None:
    found = list(errors.every_error())
    assert len(found) == len(set(found))
    assert found.index(_DoorClosed) < found.index(_DoorLocked)
    assert AppError not in found
