"""Graphs of commits: against plain definitions on random graphs, and pictures by example."""

from __future__ import annotations

import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from docstore.history import dag


def name(number: int) -> UUID:
    return UUID(int=number)


@st.composite
def graphs(draw: st.DrawFn) -> dict[UUID, tuple[UUID, ...]]:
    """Commits with up to two older ones as parents; now and then one that was pruned."""
    graph: dict[UUID, tuple[UUID, ...]] = {}
    for number in range(1, draw(st.integers(1, 25))):
        older = st.integers(max(0, number - 6), number - 1)
        parents = draw(st.lists(older, max_size=2, unique=True))
        graph[name(number)] = tuple(map(name, parents))
    return graph


def descends(graph: dag.Graph, newer: UUID, older: UUID) -> bool:
    return newer in graph and (
        newer == older or any(descends(graph, parent, older) for parent in graph[newer])
    )


@given(graphs())
def test_ancestors_are_what_can_be_reached(graph: dict[UUID, tuple[UUID, ...]]) -> None:
    for head in graph:
        found = dag.ancestors(graph, [head])
        assert found == {older for older in graph if descends(graph, head, older)}
        assert all(dag.is_ancestor(graph, older, head) == (older in found) for older in graph)
    assert dag.ancestors(graph, graph) == set(graph)


@given(graphs(), st.data())
def test_merge_bases_are_the_common_ancestors_that_no_other_descends_from(
    graph: dict[UUID, tuple[UUID, ...]], data: st.DataObject
) -> None:
    if not graph:
        return
    one, other = (data.draw(st.sampled_from(sorted(graph))) for _ in range(2))
    common = {
        commit
        for commit in graph
        if descends(graph, one, commit) and descends(graph, other, commit)
    }
    best = {
        commit
        for commit in common
        if not any(descends(graph, newer, commit) for newer in common - {commit})
    }
    assert dag.merge_bases(graph, one, other) == best
    assert dag.merge_bases(graph, other, one) == best


@given(graphs(), st.integers(0, 30))
def test_no_commit_is_told_before_one_that_descends_from_it(
    graph: dict[UUID, tuple[UUID, ...]], limit: int
) -> None:
    ordered = dag.topological(graph, graph)
    assert sorted(ordered) == sorted(graph)
    for index, commit in enumerate(ordered):
        assert not any(descends(graph, later, commit) for later in ordered[index + 1 :])
    assert dag.topological(graph, graph, limit) == ordered[:limit]


@given(graphs())
def test_every_line_of_a_picture_leads_from_a_child_to_its_parent(
    graph: dict[UUID, tuple[UUID, ...]],
) -> None:
    open_to: dict[int, UUID] = {}
    for line in dag.lanes(graph, dag.topological(graph, graph)):
        ending = {column for column, goal in open_to.items() if goal == line.commit}
        assert ending <= {line.column, *line.joining}
        for column in ending:
            del open_to[column]
        assert set(line.passing) == set(open_to)
        assert line.column not in open_to
        parents = [parent for parent in graph[line.commit] if parent in graph]
        assert len(line.parents) == len(set(parents))
        for column, parent in zip(line.parents, parents, strict=True):
            assert open_to.setdefault(column, parent) == parent
    assert not open_to


def test_lines_that_merged_each_other_have_two_bases_of_which_the_younger_is_taken() -> None:
    graph = {
        name(1): (),
        name(2): (name(1),),
        name(3): (name(1),),
        name(4): (name(2), name(3)),
        name(5): (name(3), name(2)),
    }
    assert dag.merge_bases(graph, name(4), name(5)) == {name(2), name(3)}
    assert dag.merge_bases(graph, name(5), name(4)) == {name(2), name(3)}


def test_unknown_commits_have_no_history() -> None:
    graph = {name(2): (name(1),)}
    assert dag.ancestors(graph, [name(1), name(9)]) == set()
    assert dag.merge_bases(graph, name(2), name(9)) == set()
    assert not dag.is_ancestor(graph, name(1), name(2))
    assert dag.topological(graph, [name(2), name(9)]) == [name(2)]


def test_a_picture_of_a_branch_that_was_merged() -> None:
    # 1 - 2 - 4 - 5, and 3 from 1 merged into 5.
    graph = {
        name(1): (),
        name(2): (name(1),),
        name(3): (name(1),),
        name(4): (name(2),),
        name(5): (name(4), name(3)),
    }
    assert dag.lanes(graph, dag.topological(graph, [name(5)])) == [
        dag.Line(name(5), 0, (), (0, 1), ()),
        dag.Line(name(4), 0, (), (0,), (1,)),
        dag.Line(name(3), 1, (), (1,), (0,)),
        dag.Line(name(2), 0, (), (1,), (1,)),
        dag.Line(name(1), 1, (), (), ()),
    ]


def test_long_histories_take_no_time_and_no_stack() -> None:
    graph = {name(1): ()} | {
        name(number): (name(number - 1), name(max(1, number - 7))) for number in range(2, 10_001)
    }
    started = time.process_time()
    assert len(dag.topological(graph, [name(10_000)], 50)) == 50
    assert dag.merge_bases(graph, name(10_000), name(9_000)) == {name(9_000)}
    assert dag.is_ancestor(graph, name(1), name(10_000))
    assert time.process_time() - started < 2
