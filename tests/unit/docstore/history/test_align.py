"""Differences between sequences: correct always, least where that is affordable."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.history import align

short = st.lists(st.integers(0, 4), max_size=12)


def result(have: list[int], want: list[int]) -> list[int]:
    found: list[int] = []
    at = 0
    for change in align.changes(have, want):
        found += have[at : change.start] + want[change.begin : change.end]
        at = change.stop
    return found + have[at:]


def longest_common(have: list[int], want: list[int]) -> int:
    row = [0] * (len(want) + 1)
    for one in have:
        above = row[:]
        for j, other in enumerate(want):
            row[j + 1] = above[j] + 1 if one == other else max(above[j + 1], row[j])
    return row[-1]


@given(short, short)
def test_the_changes_make_one_of_the_other_and_keep_as_much_as_can_be(
    have: list[int], want: list[int]
) -> None:
    assert result(have, want) == want
    replaced = sum(change.stop - change.start for change in align.changes(have, want))
    assert len(have) - replaced == longest_common(have, want)


@pytest.mark.parametrize("most", [0, 3])
def test_they_do_so_too_where_much_differs(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align, "_MOST_EDITS", most)
    random = Random(5)
    for kinds in (2, 10, 50) * 300:
        have, want = ([random.randrange(kinds) for _ in range(random.randrange(14))] for _ in "ab")
        assert result(have, want) == want


def test_long_sequences_in_another_order_are_no_trap() -> None:
    have = list(range(20_000))
    want = have[:]
    Random(5).shuffle(want)
    assert result(have, want) == want
