"""Which values a place in a request may have, where those are few and named: for who gave another.

msgspec says only what was wrong. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_STEP: Final = re.compile(r"\.(\w+)|\[(?:\d+|\.\.\.)\]")
"""Of msgspec's paths: a member, an item of a list, a value of a map."""


def allowed(shape: object, path: str) -> list[str | int]:
    """What may stand at a path of msgspec's (`$.items[0].kind`) in a value of this type."""
    places: list[inspect.Type] = [inspect.type_info(shape)]
    for step in _STEP.finditer(path):
        places = [below for place in places for below in _below(place, step[1])]
    return [value for place in _alternatives(places) for value in _named(place)]


def _below(place: inspect.Type, member: str | None) -> Iterator[inspect.Type]:
    """What may stand one step further. member: None for an item, whichever it is."""
    for each in _alternatives([place]):
        match each:
            case inspect.StructType() if member is not None:
                yield from (field.type for field in each.fields if field.encode_name == member)
            case inspect.ListType() | inspect.VarTupleType() if member is None:
                yield each.item_type
            case inspect.DictType() if member is None:
                yield each.value_type
            case _:
                pass


def _alternatives(places: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    for each in places:
        match each:
            case inspect.UnionType():
                yield from _alternatives(each.types)
            case inspect.Metadata():
                yield from _alternatives([each.type])
            case _:
                yield each


def _named(place: inspect.Type) -> Iterator[str | int]:
    match place:
        case inspect.LiteralType():
            yield from (value for value in place.values if value is not None)
        case inspect.EnumType():
            yield from (member.value for member in place.cls)
        case _:
            pass
