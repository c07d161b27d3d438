"""Merges of real documents: what is no conflict is as both wanted it, what is one can be chosen."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docstore.history import content
from docstore.history.content import SharedArray, SharedMap, SharedText
from docstore.history.directory import at
from docstore.history.merge import conflicts, settled, stands
from docstore.history.reach import reach_content
from tests.unit.docstore.history import contents

EMPTY = b"\x00\x00"


class Sides(NamedTuple):
    base: Any
    ours: Any
    theirs: Any
    merged: Any
    live: bytes


@st.composite
def sides(draw: st.DrawFn) -> Sides:
    """Two who begin with the same document and change it, not knowing of each other."""
    found = _as_expected(draw(contents.contents))
    base = _towards(EMPTY, found, 1)
    ours = _towards(base, _as_expected(draw(contents.variants(found))), 2)
    theirs = _towards(base, _as_expected(draw(contents.variants(found))), 3)
    live = contents.together(ours, theirs)
    return Sides(*(content.read(each) for each in (base, ours, theirs, live)), live)  # pyright: ignore[reportCallIssue]


def _as_expected(found: Any) -> Any:
    """Roots of the types they are known to have: of others a document does not always tell."""
    types = {"chat": SharedArray, "description": SharedText}
    return {
        root: node for root, node in found.items() if isinstance(node, types.get(root, SharedMap))
    }


def _towards(state: bytes, wanted: Any, client: int) -> bytes:
    update = reach_content(state, wanted, client_id=client)
    return state if update is None else contents.together(state, update)


slow = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


@slow
@given(sides())
def test_what_only_one_side_changed_is_as_that_side_wants_it(found: Sides) -> None:
    in_conflict = {each.path for each in conflicts(*found[:3])}

    def compare(path: Any, base: Any, ours: Any, theirs: Any, merged: Any) -> None:
        if path in in_conflict:
            return
        if theirs == base or ours == base:
            assert merged == (ours if theirs == base else theirs), path
            return
        shared = [each for each in (base, ours, theirs) if each is not None]
        if len(path) == 1:
            # A root that is not there is an empty one.
            shared = shared or [SharedMap({})]
        elif len(shared) < 3:
            assert ours == theirs
            return
        if all(isinstance(each, SharedMap) for each in shared):
            nodes: list[dict[str, Any]] = [
                each.entries if each is not None else {} for each in (base, ours, theirs, merged)
            ]
            for key in {key for node in nodes for key in node}:
                compare((*path, key), *(node.get(key) for node in nodes))
        elif all(isinstance(each, SharedArray) for each in shared):
            added = [element for side in (ours, theirs) if side for element in side.elements]
            assert all(element in merged.elements for element in added)
        else:
            assert ours == theirs
            assert merged == ours or isinstance(ours, SharedText)

    for root in {root for side in found[:4] for root in side}:
        compare((root,), *(side.get(root) for side in found[:4]))


@slow
@given(sides(), st.sampled_from(["ours", "theirs"]))
def test_the_chosen_side_stands_everywhere_and_the_document_gets_there(
    found: Sides, side: Any
) -> None:
    every = conflicts(*found[:3])
    wanted = settled(found.merged, every, side)
    for each in every:
        assert stands(each, wanted) == side
        assert at(wanted, each.path) == (each.ours if side == "ours" else each.theirs)
    reached = _towards(found.live, wanted, 9)
    assert content.read(reached) == wanted


@slow
@given(sides())
def test_the_sides_can_be_exchanged(found: Sides) -> None:
    there, back = (
        conflicts(found.base, *pair)
        for pair in ((found.ours, found.theirs), (found.theirs, found.ours))
    )
    assert {(each.path, each.kind) for each in there} == {(each.path, each.kind) for each in back}
    for each in there:
        if each.kind != "dangling":
            assert each.ours != each.theirs
            assert each.base not in (each.ours, each.theirs)


@slow
@given(contents.contents, contents.contents)
def test_who_changed_nothing_has_no_conflict(base: Any, other: Any) -> None:
    assert conflicts(base, base, other) == []
    assert conflicts(base, other, base) == []
    assert conflicts(base, other, other) == []
