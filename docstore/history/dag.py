"""The graph of commits: who descends from whom, in which order to tell it, where lines meet.

A graph is a mapping of commit to parents, the first parent first. A parent that the graph does not
know was pruned: the commit that names it is as good as a first one. Nothing here calls itself, so
a history of any length fits; everything takes time proportional to what can be reached.
Pure.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

Graph: TypeAlias = "Mapping[UUID, Sequence[UUID]]"


def ancestors(graph: Graph, heads: Iterable[UUID]) -> set[UUID]:
    """The heads that the graph knows, and all that they descend from."""
    found: set[UUID] = set()
    waiting = list(heads)
    while waiting:
        commit = waiting.pop()
        if commit not in found and commit in graph:
            found.add(commit)
            waiting.extend(graph[commit])
    return found


def is_ancestor(graph: Graph, older: UUID, newer: UUID) -> bool:
    """Whether `newer` is `older`, or descends from it. Nothing descends from an unknown commit."""
    seen: set[UUID] = set()
    waiting = [newer]
    while waiting:
        commit = waiting.pop()
        if commit in seen or commit not in graph:
            continue
        if commit == older:
            return True
        seen.add(commit)
        waiting.extend(graph[commit])
    return False


def merge_bases(graph: Graph, one: UUID, other: UUID) -> set[UUID]:
    """The best common ancestors of two commits: those that no other common ancestor descends from.

    Lines that merged each other crosswise have several; lines of nothing in common have none.
    """
    common = ancestors(graph, (one,)) & ancestors(graph, (other,))
    # Every ancestor of a common one is common too, so the best are those that are nobody's parent.
    return common - {parent for commit in common for parent in graph[commit]}


def topological(graph: Graph, heads: Iterable[UUID], limit: int | None = None) -> list[UUID]:
    """What the heads descend from, heads included, no commit before one that descends from it.

    Where that leaves a choice, greater ids (younger commits) come first.
    """
    reached = ancestors(graph, heads)
    children = dict.fromkeys(reached, 0)
    for commit in reached:
        for parent in set(graph[commit]):
            if parent in children:
                children[parent] += 1
    # A heap gives the smallest; an id's complement is small where the id is great.
    ready = [(~commit.int, commit) for commit, count in children.items() if not count]
    heapq.heapify(ready)
    ordered: list[UUID] = []
    while ready and (limit is None or len(ordered) < limit):
        commit = heapq.heappop(ready)[1]
        ordered.append(commit)
        for parent in set(graph[commit]):
            if parent in children:
                children[parent] -= 1
                if not children[parent]:
                    heapq.heappush(ready, (~parent.int, parent))
    return ordered


class Line(NamedTuple):
    """A commit's line in a picture of the graph, drawn from the youngest down."""

    commit: UUID
    column: int
    """Where it stands."""
    joining: tuple[int, ...]
    """Columns of other lines that come down to it and end here."""
    parents: tuple[int, ...]
    """Columns in which its parents are to be found, in their order; without the pruned ones."""
    passing: tuple[int, ...]
    """Columns of lines that go by."""


def lanes(graph: Graph, ordered: Iterable[UUID]) -> list[Line]:
    """The columns of a picture of commits, in the order of `topological`.

    A line keeps its column as long as it lasts. A first parent stands below its child, unless
    another line already leads to it; an ended line's column is used again.
    """
    lines: list[Line] = []
    open_to: list[UUID | None] = []  # by column: the commit that the line leads to
    for commit in ordered:
        here = [column for column, goal in enumerate(open_to) if goal == commit]
        column = here[0] if here else _free(open_to)
        for ended in here:
            open_to[ended] = None
        passing = tuple(at for at, goal in enumerate(open_to) if goal is not None)
        open_to[column] = commit  # kept, so that no second parent is put here before the first
        parents: list[int] = []
        for parent in dict.fromkeys(graph[commit]):
            if parent not in graph:
                continue
            if parent in open_to:
                parents.append(open_to.index(parent))
                continue
            below = column if open_to[column] == commit else _free(open_to)
            open_to[below] = parent
            parents.append(below)
        if open_to[column] == commit:
            open_to[column] = None
        lines.append(Line(commit, column, tuple(here[1:]), tuple(parents), passing))
    return lines


def _free(columns: list[UUID | None]) -> int:
    """The first free column, made if there is none."""
    if None in columns:
        return columns.index(None)
    columns.append(None)
    return len(columns) - 1
