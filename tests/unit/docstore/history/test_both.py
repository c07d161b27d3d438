"""Two states read beside each other: the same as each by itself, and the same diff."""

from __future__ import annotations

from typing import Any

import pycrdt
from hypothesis import given, settings
from hypothesis import strategies as st

from docstore.history import both, content, diff, reach
from tests.unit.docstore.history import stories


def check(before: bytes, after: bytes) -> both.Both:
    found = both.read(before, after)
    assert found.before == content.read(before)
    assert found.after == content.read(after)
    assert diff.diff(*found) == diff.diff(found.before, found.after)
    return found


@settings(max_examples=40)
@given(st.lists(stories.contents, min_size=3, max_size=3))
def test_any_two_states(wanted: list[content.Content]) -> None:
    """One that came of the other, either way round, and two that came of a third."""
    first = stories.state_of(wanted[0])
    second, third = (
        stories.applied(first, reach.reach_content(first, each, client_id=client))
        for client, each in enumerate(wanted[1:], 20)
    )
    check(first, second)
    check(second, first)
    check(second, third)
    check(third, third)


def test_only_what_was_touched_is_looked_at() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    stems = doc.get("stems", type=pycrdt.Map)
    for key in ("a", "b", "c"):
        stems[key] = pycrdt.Map({"name": key})
    before = doc.get_update()
    stems["b"]["name"] = "Bass"
    after = doc.get_update()
    assert check(before, after).within == {"stems": {"b"}}
    assert check(after, before).within == {"stems": {"b"}}
    # Only a deletion: the state vectors are the same.
    del stems["c"]
    assert check(after, doc.get_update()).within == {"stems": {"c"}}
    assert check(doc.get_update(), after).within is None


def test_two_branches() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("stems", type=pycrdt.Map)["a"] = 1
    states: list[bytes] = []
    for key in ("b", "c"):
        branch: pycrdt.Doc[Any] = pycrdt.Doc()
        branch.apply_update(doc.get_update())
        branch.get("stems", type=pycrdt.Map)[key] = 2
        states.append(branch.get_update())
    assert check(states[0], states[1]).within is None
