"""How many connections those may hold who hold one for long."""

from __future__ import annotations

import pytest

from docstore.history import writers


@pytest.mark.parametrize(
    ("connections", "writing", "folding"), [(1, 1, 1), (4, 1, 1), (8, 2, 2), (10, 3, 2), (99, 4, 2)]
)
def test_they_take_a_third_and_compactions_a_quarter(
    connections: int, writing: int, folding: int
) -> None:
    assert writers.at_once(connections) == writing
    assert writers.folding_at_once(connections) == folding


@pytest.mark.parametrize("connections", range(4, 100))
def test_whatever_they_borrow_one_is_left_for_everybody_else(connections: int) -> None:
    taken = 2 * writers.at_once(connections) + writers.folding_at_once(connections)
    assert taken < connections
