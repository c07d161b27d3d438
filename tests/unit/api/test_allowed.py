"""Refusals of values that are not among those that there are: they name the right ones."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec
import pytest

from api import requests
from api.errors import ValidationFailed
from api.shapes.bundles import NewBundle
from api.shapes.history import DiffQuery


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Item(msgspec.Struct, rename="camel"):
    of_kind: Literal["a", "b"] | msgspec.UnsetType = msgspec.UNSET
    colour: Colour = Colour.RED


class Wanted(msgspec.Struct):
    item: Item | None = None
    several: list[Literal["x", 1]] = []
    by_name: dict[str, Literal["q"]] = {}
    steps: tuple[Item, ...] = ()


@pytest.mark.parametrize(
    ("content", "path", "said"),
    [
        (
            b'{"item": {"ofKind": "z"}}',
            "$.item.ofKind",
            "Invalid enum value 'z', expected one of `a`, `b`",
        ),
        (
            b'{"item": {"ofKind": "x - at y"}}',
            "$.item.ofKind",
            "Invalid enum value 'x - at y', expected one of `a`, `b`",
        ),
        (
            b'{"item": {"colour": "z"}}',
            "$.item.colour",
            "Invalid enum value 'z', expected one of `red`, `blue`",
        ),
        (
            b'{"several": ["x", 3]}',
            "$.several[1]",
            "Invalid enum value 3, expected one of `1`, `x`",
        ),
        (
            b'{"by_name": {"n": "z"}}',
            "$.by_name[...]",
            "Invalid enum value 'z', expected one of `q`",
        ),
        (
            b'{"steps": [{}, {"ofKind": "z"}]}',
            "$.steps[1].ofKind",
            "Invalid enum value 'z', expected one of `a`, `b`",
        ),
        (b'{"item": 3}', "$.item", "Expected `object | null`, got `int`"),
        (b"3", "$", "Expected `object`, got `int`"),
    ],
)
def test_the_right_values_are_named(content: bytes, path: str, said: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        requests.decoded(content, Wanted)
    assert refused.value.data["path"] == path
    assert str(refused.value) == said


def test_a_kind_of_bundle_that_is_none() -> None:
    with pytest.raises(ValidationFailed, match="`odb`, `zip`"):
        requests.decoded(b'{"kind": "rar"}', NewBundle)


def test_a_query_names_them_too() -> None:
    with pytest.raises(ValidationFailed, match="`json`, `text`") as refused:
        requests.parameters({"from": "live", "format": "rar"}, DiffQuery)
    assert refused.value.data["path"] == "$.format"
