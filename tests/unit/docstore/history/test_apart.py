"""How far two lines are apart is what counting their ancestors says, without counting them all."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.history import dag
from docstore.history.apart import Apart, Counting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def graph(**parents: str) -> dict[UUID, list[UUID]]:
    """Commits called by letters, with their parents' letters."""
    return {at(name): [at(each) for each in of] for name, of in parents.items()}


def at(letter: str) -> UUID:
    return UUID(int=ord(letter))


def apart(known: Mapping[UUID, list[UUID]], one: UUID | None, main: UUID | None) -> Apart:
    counting = Counting(main, [one])
    counting.tell((commit, known[commit]) for commit in sorted(known, reverse=True))
    return counting.result()[0]


FORKED = graph(a="", b="a", c="b", d="b", e="d")


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [
        ("c", "e", (1, 2)),
        ("e", "c", (2, 1)),
        ("c", "c", (0, 0)),
        ("b", "e", (0, 2)),
        ("e", "a", (3, 0)),
    ],
)
def test_commits_on_either_side_are_counted(one: str, other: str, far: tuple[int, int]) -> None:
    assert apart(FORKED, at(one), at(other)) == far


def test_a_line_without_a_commit_is_behind_by_all_of_the_other() -> None:
    assert apart(FORKED, None, at("e")) == (0, 4)
    assert apart(FORKED, at("e"), None) == (4, 0)
    assert apart(FORKED, None, None) == (0, 0)


def test_a_merged_line_is_ahead_of_nothing() -> None:
    merged = graph(a="", b="a", c="a", d="bc")
    assert apart(merged, at("c"), at("d")) == (0, 2)


def test_what_was_pruned_does_not_count() -> None:
    pruned = graph(c="b", d="c", e="b")
    assert apart(pruned, at("d"), at("e")) == (2, 1)


def test_what_all_have_is_not_asked_for() -> None:
    side, top = UUID(int=20_000), UUID(int=10_000)
    counting = Counting(top, [side, top, UUID(int=9_995)])
    told = 0

    def commits() -> Iterator[tuple[UUID, list[UUID]]]:
        nonlocal told
        yield side, [UUID(int=9_990)]
        for number in range(10_000, 0, -1):
            told += 1
            yield UUID(int=number), [UUID(int=number - 1)]

    counting.tell(commits())
    assert counting.done
    assert counting.result() == [(1, 10), (0, 0), (0, 5)]
    assert told <= 11


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[UUID, list[UUID]], Sequence[UUID]]:
    """Commits whose parents are older, some of them pruned, and two heads."""
    size = draw(st.integers(1, 30))
    made: dict[UUID, list[UUID]] = {UUID(int=1): []}
    for number in range(2, size + 1):
        older = st.integers(1, number - 1)
        parents = draw(st.lists(older, max_size=3, unique=True))
        made[UUID(int=number)] = [UUID(int=each) for each in parents]
    for gone in draw(st.sets(st.integers(1, size), max_size=3)):
        if gone != size:
            del made[UUID(int=gone)]
    heads = st.sampled_from(sorted(made))
    return made, draw(st.lists(heads, min_size=2, max_size=5))


@given(histories())
def test_the_counts_are_those_of_all_ancestors(
    history: tuple[dict[UUID, list[UUID]], Sequence[UUID]],
) -> None:
    known, (main, *heads) = history
    counting = Counting(main, heads)
    for commit in sorted(known, reverse=True):  # one by one, as pages come
        counting.tell([(commit, known[commit])])
    for head, counts in zip(heads, counting.result(), strict=True):
        mine, theirs = dag.ancestors(known, [head]), dag.ancestors(known, [main])
        assert counts == (len(mine - theirs), len(theirs - mine))
