"""syncserver.budget: a bound that never starves anybody."""

from __future__ import annotations

from syncserver.budget import Budget


def test_what_does_not_fit_waits_until_something_is_given_back() -> None:
    budget = Budget(100)
    assert budget.take(60)
    assert not budget.take(60)
    assert budget.take(40)
    budget.give_back(60)
    assert budget.take(60)


def test_something_larger_than_the_whole_budget_goes_alone() -> None:
    budget = Budget(100)
    assert budget.take(1000)
    assert not budget.take(1)
    budget.give_back(1000)
    assert budget.take(1)
