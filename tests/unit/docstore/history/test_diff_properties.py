"""A diff leads from the first content to the second, and names nothing that is the same."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from docstore.history.changes_json import diff_json
from docstore.history.content import SharedArray, SharedMap, to_json
from docstore.history.diff import diff
from docstore.history.directory import at
from docstore.history.merge import put
from docstore.history.render import diff_text
from tests.unit.docstore.history import contents

calm = settings(deadline=None)
"""A busy machine is no failure."""

pairs = st.one_of(
    st.tuples(contents.contents, contents.contents),
    contents.contents.flatmap(lambda found: st.tuples(st.just(found), contents.variants(found))),
)


def patched(before: Any, found: Any) -> Any:
    """By the rules that `changes_json.py` tells."""
    content = dict(before)
    gone: list[Any] = []
    for change in found.changes:
        path, last = change.entity.path, change.entity.path[-1]
        if not isinstance(last, int):
            if change.fields:
                for each in change.fields:
                    content = put(content, (*path, *each.path), each.after)
            else:
                content = put(content, path, change.after)
        elif change.kind == "removed":
            gone.append(change)
    for change in reversed(gone):
        del _elements(content, change)[change.entity.path[-1]]
    for change in found.changes:
        if isinstance(change.entity.path[-1], int) and change.kind == "added":
            _elements(content, change).insert(change.entity.path[-1], change.after)
    for change in found.changes:
        if isinstance(change.entity.path[-1], int) and change.kind not in {"added", "removed"}:
            elements = _elements(content, change)
            assert elements[change.entity.path[-1]] == change.before
            elements[change.entity.path[-1]] = change.after
    return contents.without_empty(content)


def _elements(content: Any, change: Any) -> list[Any]:
    root = change.entity.path[0]
    node = content.get(root)
    content[root] = SharedArray(list(node.elements) if node is not None else [])
    return content[root].elements


def patched_json(before: Any, found: Any) -> Any:
    """The same by a program that has only JSON."""
    document = copy.deepcopy(before)

    def change_at(path: list[Any], sides: Any) -> None:
        here: Any = document
        for key in path[:-1]:
            here = here[key] if isinstance(key, int) else here.setdefault(key, {})
        if "after" in sides:
            here[path[-1]] = sides["after"]
        else:
            here.pop(path[-1], None)

    for wanted in ("removed", "added", "changed"):
        changes = [
            change
            for change in found["changes"]
            if isinstance(change["entity"]["path"][-1], int)
            and (change["kind"] == wanted or (wanted == "changed" and change["kind"] == "moved"))
        ]
        for change in reversed(changes) if wanted == "removed" else changes:
            root, place = change["entity"]["path"]
            if wanted == "removed":
                del document[root][place]
            elif wanted == "added":
                document.setdefault(root, []).insert(place, change["after"])
    for change in found["changes"]:
        path = change["entity"]["path"]
        if isinstance(path[-1], int) and change["kind"] in {"added", "removed"}:
            continue
        for field in change.get("fields", ()):
            change_at([*path, *field["path"]], field)
        if "fields" not in change:
            change_at(path, change)
    return {root: value for root, value in document.items() if value not in ({}, [], "")}


@calm
@given(pairs)
def test_the_first_and_the_diff_make_the_second(pair: tuple[Any, Any]) -> None:
    before, after = pair
    assert patched(before, diff(before, after)) == after


@calm
@given(pairs)
def test_also_for_a_program_that_has_only_json(pair: tuple[Any, Any]) -> None:
    before, after = pair
    found = msgspec.json.decode(msgspec.json.encode(diff_json(diff(before, after))))
    first = msgspec.json.decode(msgspec.json.encode(to_json(before)))
    second = msgspec.json.decode(msgspec.json.encode(to_json(after)))
    assert patched_json(first, found) == {
        root: value for root, value in second.items() if value not in ({}, [], "")
    }


@calm
@given(pairs)
def test_every_entry_that_differs_is_named_and_no_other(pair: tuple[Any, Any]) -> None:
    before, after = pair
    changes = diff(before, after).changes
    for root in before.keys() | after.keys():
        was, now = before.get(root), after.get(root)
        named = [change for change in changes if change.entity.path[0] == root]
        assert bool(named) == (was != now)
        maps = [side for side in (was, now) if side is not None]
        if all(isinstance(side, SharedMap) for side in maps):
            keys = {key for side in maps for key in side.entries}
            differing = {key for key in keys if at(before, (root, key)) != at(after, (root, key))}
            whole = {str(each.entity.path[1]) for each in named if len(each.entity.path) > 1}
            assert whole == differing
    for change in changes:
        assert change.before != change.after
        assert all(each.before != each.after for each in change.fields)


@calm
@given(contents.contents)
def test_what_is_the_same_has_no_diff(found: Any) -> None:
    same = diff(found, copy.deepcopy(found))
    assert same.changes == ()
    assert same.counts == ()
    assert same.summary == "nothing changed"


@calm
@given(pairs)
def test_there_and_back_are_each_others_opposite(pair: tuple[Any, Any]) -> None:
    opposite = {"added": "removed", "removed": "added", "changed": "changed", "moved": "moved"}
    there, back = diff(*pair), diff(*reversed(pair))

    def by_entry(found: Any) -> list[Any]:
        return [each for each in found.changes if not isinstance(each.entity.path[-1], int)]

    assert {
        (opposite[each.kind], each.entity) for each in by_entry(there) if each.kind != "moved"
    } >= {(each.kind, each.entity) for each in by_entry(back) if each.kind in {"added", "removed"}}


@calm
@given(pairs)
def test_every_diff_can_be_read_and_steers_no_terminal(pair: tuple[Any, Any]) -> None:
    shown = diff_text(diff(*pair))
    assert "\u202e" not in shown
    assert "\x1b" not in shown
