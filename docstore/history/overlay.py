"""One content with some places of another in it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from docstore.history.content import SharedArray, SharedMap

if TYPE_CHECKING:
    from collections.abc import Collection

    from docstore.history.content import Content, Node, Path

_Tree: TypeAlias = "dict[str | int, _Tree | None]"
"""What to take, by the parts of its path; None for all from there on."""


def overlay(under: Content, over: Content, paths: Collection[Path]) -> Content:
    """The one content, with what the other has, or has not, at these paths.

    Where a path goes on below something that is neither a map nor an array on both sides, all of
    that is taken. What holds a path and is there only in the other is made with that alone in it.
    """
    return _entries(under, over, _tree(paths))


def _tree(paths: Collection[Path]) -> _Tree:
    tree: _Tree = {}
    for path in sorted(paths, key=len):
        inner: _Tree | None = tree
        for part in path[:-1]:
            if inner is None:
                break
            inner = inner.setdefault(part, {})
        if inner is not None and path:
            inner[path[-1]] = None
    return tree


def _entries(under: dict[str, Node], over: dict[str, Node], tree: _Tree) -> dict[str, Node]:
    found = dict(under)
    for part, inner in tree.items():
        if not isinstance(part, str):
            continue
        taken = _taken(under.get(part), over.get(part), inner)
        if taken is None:
            found.pop(part, None)
        else:
            found[part] = taken
    return found


def _elements(under: list[Node], over: list[Node], tree: _Tree) -> list[Node]:
    places = sorted(part for part in tree if isinstance(part, int) and part >= 0)
    found: list[Node | None] = list(under)
    for at in places:
        mine = under[at] if at < len(under) else None
        theirs = over[at] if at < len(over) else None
        taken = _taken(mine, theirs, tree[at])
        if at < len(under):
            found[at] = taken
        else:
            found.append(taken)
    return [node for node in found if node is not None]


def _taken(under: Node | None, over: Node | None, tree: _Tree | None) -> Node | None:
    """What is to be at a place of which `tree` is taken."""
    if tree is None:
        return over
    match under, over:
        case (SharedMap(mine), SharedMap(theirs)):
            return SharedMap(_entries(mine, theirs, tree))
        case (SharedArray(mine), SharedArray(theirs)):
            return SharedArray(_elements(mine, theirs, tree))
        case (SharedMap(mine), None):
            return SharedMap(_entries(mine, {}, tree))
        case (SharedArray(mine), None):
            return SharedArray(_elements(mine, [], tree))
        case (None, SharedMap(theirs)):
            made = _entries({}, theirs, tree)
            return SharedMap(made) if made else None
        case (None, SharedArray(theirs)):
            elements = _elements([], theirs, tree)
            return SharedArray(elements) if elements else None
        case _:
            return over
