"""syncserver.contained: one failure, and everybody else all the same."""

from __future__ import annotations

import asyncio

import pytest

from syncserver.contained import contained, each


class PanicException(BaseException):
    """What a panic in a Rust library looks like."""


@pytest.mark.parametrize("problem", [ValueError, KeyError, PanicException])
def test_who_fails_keeps_nobody_behind_them_from_their_turn(problem: type[BaseException]) -> None:
    done: list[int] = []

    def do(number: int) -> None:
        if number % 2:
            raise problem
        done.append(number)

    assert each("test", range(5), do) == [1, 3]
    assert done == [0, 2, 4]


@pytest.mark.parametrize("end", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_what_is_to_end_ends(end: type[BaseException]) -> None:
    with pytest.raises(end), contained("test"):
        raise end
