"""Conflicts are told in bounded answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from docstore.history.changes_json import LONGEST_VALUE, conflict_json
from docstore.history.content import Plain
from docstore.history.entities import entity_of
from docstore.history.merge import Conflict

if TYPE_CHECKING:
    from docstore.history.content import Value

PATH = ("project", "notes")


def told(value: Value) -> dict[str, object]:
    """A conflict of which one side says this, and the other is short."""
    return conflict_json(Conflict(PATH, entity_of(PATH), None, Plain(value), Plain(1), "value"))


@pytest.mark.parametrize("value", ["x" * (LONGEST_VALUE - 2), [1, 2, 3], {"a": "b"}, None, 1.5])
def test_a_short_side_is_told_whole(value: Value) -> None:
    shown = told(value)
    assert (shown["ours"], shown["theirs"]) == (value, 1)
    assert "base" not in shown
    assert "cut" not in shown


@pytest.mark.parametrize(
    ("value", "begin"),
    [
        ("x" * (LONGEST_VALUE + 1), "xxx"),
        ("\n" * LONGEST_VALUE, "\n\n"),
        (["abc"] * LONGEST_VALUE, '["abc","abc"'),
        ({"key": "y" * 9_000_000}, '{"key":"yyy'),
    ],
)
def test_of_a_long_one_the_beginning_is_told(value: Value, begin: str) -> None:
    shown = told(value)
    said = shown["ours"]
    assert isinstance(said, str)
    assert said.startswith(begin)
    assert said.endswith("…")
    assert len(said) <= LONGEST_VALUE
    assert (shown["cut"], shown["theirs"]) == (True, 1)
    assert len(msgspec.json.encode(shown)) < 3 * LONGEST_VALUE
