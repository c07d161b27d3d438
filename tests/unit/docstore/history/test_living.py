"""A content that is kept in step is the one that reading everything gives."""

from __future__ import annotations

from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docstore import crdt
from docstore.history import content, diff, living, reach
from tests.unit.docstore import test_letters
from tests.unit.docstore.history import stories


def check(document: living.Living) -> None:
    state = document.state()
    read = content.read(state)
    assert document.known.content == read
    assert document.known.sha256 == content.digest(read)


@settings(max_examples=40)
@given(st.lists(st.one_of(stories.contents, stories.odd_contents), min_size=2, max_size=3))
def test_from_any_content_to_any_other(wanted: list[content.Content]) -> None:
    """Every shared type, within every other; what is there stays, is changed, or goes."""
    state = stories.state_of(wanted[0])
    document = living.Living(living.opened(state))
    check(document)
    for client, each in enumerate(wanted[1:], 20):
        update = reach.reach_content(document.state(), each, client_id=client)
        if update is not None:
            assert document.apply(update).content == each
        check(document)


@settings(max_examples=40)
@given(stories.contents, st.lists(stories.contents, min_size=2, max_size=3))
def test_edits_made_at_the_same_time(first: content.Content, then: list[content.Content]) -> None:
    """Each knows only the first content; an update may come in two pieces, or twice."""
    state = stories.state_of(first)
    document = living.Living(living.opened(state))
    updates = [
        reach.reach_content(state, each, client_id=client) for client, each in enumerate(then, 20)
    ]
    for update in updates:
        if update is not None:
            document.apply(update)
            check(document)
            before = document.known
            document.apply(update)
            assert document.known == before


@settings(max_examples=40)
@given(stories.contents, stories.contents)
def test_what_is_not_touched_is_the_same(first: content.Content, second: content.Content) -> None:
    document = living.Living(living.opened(stories.state_of(first)))
    before = document.known.content
    update = reach.reach_content(document.state(), second, client_id=20)
    if update is None:
        return
    after = document.apply(update).content
    touched = document.touched
    assert diff.diff(before, after, touched) == diff.diff(before, after)
    for name in before.keys() | after.keys():
        if name not in touched:
            assert before[name] is after[name]


def test_only_what_was_touched_is_read() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    stems = doc.get("stems", type=pycrdt.Map)
    for key in ("a", "b", "c"):
        stems[key] = pycrdt.Map({"name": key, "effects": pycrdt.Array([pycrdt.Map({"on": True})])})
    document = living.Living(living.opened(doc.get_update()))
    before = document.known.content["stems"]
    assert isinstance(before, content.SharedMap)

    def touched() -> living.Touched:
        before = document.known.content
        after = document.apply(doc.get_update(document.state_vector)).content
        check(document)
        assert diff.diff(before, after, document.touched) == diff.diff(before, after)
        return document.touched

    stems["b"]["effects"][0]["on"] = False
    assert touched() == {"stems": {"b"}}
    after = document.known.content["stems"]
    assert isinstance(after, content.SharedMap)
    assert after.entries["a"] is before.entries["a"]
    del stems["c"]
    stems["d"] = 1
    assert touched() == {"stems": {"c", "d"}}
    doc.get("chat", type=pycrdt.Array).append("hello")
    assert touched() == {"chat": None}
    doc.get("chat", type=pycrdt.Array).append("again")
    assert touched() == {"chat": None}
    for key in list(stems):
        del stems[key]
    touched()
    assert "stems" not in document.known.content
    assert touched() == {}


def test_many_changes_in_one_update() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    stems = doc.get("stems", type=pycrdt.Map)
    with doc.transaction():
        for number in range(3_000):
            stems[str(number)] = pycrdt.Map({"pan": 0.0})
    document = living.Living(living.opened(doc.get_update()))
    with doc.transaction():
        for number in range(3_000):
            stems[str(number)]["pan"] = 1.0
    document.apply(doc.get_update(document.state_vector))
    assert document.touched == {"stems": None}
    check(document)


def test_a_root_that_becomes_another_type() -> None:
    """By who wrote to it last and how: entries by key, then elements beside them."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("theirs", type=pycrdt.Map)["a"] = 1
    document = living.Living(living.opened(doc.get_update()))
    other: pycrdt.Doc[Any] = pycrdt.Doc()
    other.get("theirs", type=pycrdt.Array).extend([1, 2])
    document.apply(other.get_update())
    check(document)
    assert isinstance(document.known.content["theirs"], content.SharedText | content.SharedArray)
    other.get("theirs", type=pycrdt.Array).clear()
    document.apply(other.get_update())
    check(document)
    assert isinstance(document.known.content["theirs"], content.SharedMap)


def test_what_cannot_be_applied_is_told() -> None:
    document = living.Living(living.opened(b"\0\0"))
    with pytest.raises(crdt.MalformedUpdate):
        document.apply(b"\x01\x01")


def test_letters_in_an_array() -> None:
    """On which yrs would not stop; they are read in a copy."""
    document = living.Living(living.opened(b"\0\0"))
    document.apply(test_letters.hostile("aé🎹"))
    check(document)
    assert document.touched == {"stems": None}
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("stems", type=pycrdt.Map)["other"] = 1
    document.apply(doc.get_update())
    check(document)
    stems = document.known.content["stems"]
    assert isinstance(stems, content.SharedMap)
    assert set(stems.entries) == {"k", "other"}
