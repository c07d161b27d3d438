"""syncserver.meter: a bucket that fills with time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncserver.meter import Meter


def test_twenty_seconds_worth_may_be_said_at_once() -> None:
    assert Meter(50, 0.0).full == 1000


def test_what_was_spent_comes_back_with_time_and_never_more_than_fits() -> None:
    meter = Meter(50, 0.0)
    assert meter.refilled(-10, 1.0) == 40
    assert meter.refilled(40, 1000.0) == 1000


def test_who_has_nothing_left_waits_until_the_debt_is_paid_and_a_little_more() -> None:
    meter = Meter(50, 0.0)
    assert meter.wait(0) == 0
    wait = meter.wait(-100)
    assert wait == pytest.approx(2.1)
    assert meter.refilled(-100, wait) == 5


def test_without_a_limit_nobody_waits() -> None:
    meter = Meter(0, 0.0)
    assert meter.wait(meter.full) == 0
    assert meter.wait(meter.refilled(-1, 0.0)) == 0


@given(st.integers(1, 10_000), st.lists(st.floats(0, 0.5), max_size=60))
def test_asking_often_neither_gives_nor_takes(rate: int, pauses: list[float]) -> None:
    meter, now, left = Meter(rate, 0.0), 0.0, -rate * 100
    for pause in pauses:
        now += pause
        left = meter.refilled(left, now)
    assert left == pytest.approx(-rate * 100 + now * rate, abs=1.5)
