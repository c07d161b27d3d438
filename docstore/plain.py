"""A Yjs document as plain JSON: what a person sees who asks for the content over REST.

* numbers: `3`, not `3.0`; what JSON has no number for (NaN, infinity) is null, like undefined
* bytes: text in base64; texts and XML: text; a document within: `{"guid": …}`
* keys in order, so that the same content is the same JSON

An update does not say of which type a root is, so roots that are not ours are known by what is in
them. Recursion is ours and bounded: yrs's own overflows the stack on a hostile document.
Pure; knows nothing of updates and databases.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from pycrdt import Array, Map, Text, XmlFragment
from pycrdt import _pycrdt as yrs  # pyright: ignore[reportPrivateUsage] (the types of what a document holds)

from docstore import letters
from docstore.errors import DocumentTooDeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from pycrdt import Doc

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

DEEPEST: Final = 200
"""Levels of containers in an answer; deeper ones are refused, as most JSON parsers would."""

ROOTS: Final = {
    "project": "map",
    "description": "text",
    "notes": "text",
    "stems": "map",
    "segments": "map",
    "events": "map",
    "tempoMap": "map",
    "pattern": "map",
    "markers": "map",
    "comments": "map",
    "assets": "map",
    "boxes": "map",
    "chat": "array",
}
"""The types of our roots and openDAW's (docs/protocol), which decide when a root is empty."""

_WRITTEN_OUT: Final = 1e21
"""From here on JavaScript, too, writes whole numbers with an exponent."""

_LONG: Final = 1000
"""Elements of an array above which asking for each by its index gets slow: each search begins at
the array's start."""


class _Transaction(Protocol):
    """What yrs takes to read; opaque."""


class _Sequence(Protocol):
    def len(self, txn: _Transaction, /) -> int: ...
    def get(self, txn: _Transaction, index: int, /) -> object: ...
    def to_json(self, txn: _Transaction, /) -> str: ...


class _Mapping(Protocol):
    def len(self, txn: _Transaction, /) -> int: ...
    def keys(self, txn: _Transaction, /) -> list[str]: ...
    def get(self, txn: _Transaction, key: str, /) -> object: ...


class _Characters(Protocol):
    def get_string(self, txn: _Transaction, /) -> str: ...
    def diff(self, txn: _Transaction, /) -> list[tuple[object, object]]: ...


class _Nodes(Protocol):
    def get_string(self, txn: _Transaction, /) -> str: ...
    def children(self, txn: _Transaction, /) -> list[object]: ...


def roots(doc: Doc[Any], *, shallow: bool = False, wary: bool = False) -> dict[str, Json]:
    """Every root of a document and what is in it. Raises DocumentTooDeep.

    shallow: the caller knows that few shared types are nested, however long the document is; long
    arrays are then read at once.
    wary: there may be letters in arrays, on which yrs would read without end; raises
    letters.Suspicious where that cannot be told from what is there.
    """
    with doc.transaction() as transaction:
        inner = cast("_Transaction", transaction._txn)  # pyright: ignore[reportPrivateUsage] (the public wrappers take four times as long)
        reader = _Reader(inner, shallow=shallow, wary=wary)
        return {name: _root(doc, name, reader) for name in sorted(doc.keys())}


def _root(doc: Doc[Any], name: str, reader: _Reader) -> Json:
    """A root as what its content says it is; as what we know it to be when it is empty.

    yrs lets one root be looked at as every type. Only one of these looks shows something, except
    that an array's look shows the characters of a text and the nodes of XML.
    """
    mapping = cast("_Mapping", doc.get(name, type=Map).integrated)
    sequence = cast("_Sequence", doc.get(name, type=Array).integrated)
    text = cast("_Characters", doc.get(name, type=Text).integrated)
    xml = cast("_Nodes", doc.get(name, type=XmlFragment).integrated)
    known = ROOTS.get(name)
    length = sequence.len(reader.txn)
    keys = mapping.len(reader.txn)
    if keys and (not length or known == "map"):
        return reader.mapping(mapping, 1)
    if not length:
        return _EMPTY[known]()
    if characters := text.get_string(reader.txn):
        return characters
    if xml.children(reader.txn):
        return reader.xml(xml, 1)
    return reader.sequence(sequence, 1, flat=not text.diff(reader.txn))


def _nothing() -> Json:
    return None


_EMPTY: Final[dict[str | None, Callable[[], Json]]] = {
    "map": lambda: dict[str, Json](),
    "array": lambda: list[Json](),
    "text": str,
    None: _nothing,
}


class _Reader:
    """Reads shared types within one transaction."""

    def __init__(self, txn: _Transaction, *, shallow: bool, wary: bool) -> None:
        self.txn = txn
        self._shallow = shallow
        self._wary = wary

    def value(self, value: object, depth: int) -> Json:
        """Anything that yrs gives for a value or a shared type."""
        convert = _CONVERT.get(type(value))
        return convert(self, value, depth) if convert is not None else None

    def mapping(self, found: _Mapping, depth: int) -> Json:
        depth = _below(depth)
        txn = self.txn
        shown: dict[str, Json] = {}
        for key in sorted(found.keys(txn)):
            try:
                value = found.get(txn, key)
            except ValueError:
                continue  # formatting where a value should be: undefined to Yjs, left out in JSON
            shown[key] = self.value(value, depth)
        return shown

    def sequence(self, found: _Sequence, depth: int, *, flat: bool = False) -> Json:
        """An array; flat: a root's, with no shared types in it."""
        depth = _below(depth)
        txn = self.txn
        length = found.len(txn)
        wary = self._wary and not flat
        if length <= _LONG or not self._shallow:
            shown: list[Json] = []
            for at in range(length):
                element = found.get(txn, at)
                if wary and letters.may_be(element):
                    raise letters.Suspicious
                shown.append(self.value(element, depth))
            return shown
        if wary:
            raise letters.Suspicious  # to_json reads arrays within as well
        # Exact but for bytes, which look like a list of small numbers; those are asked for again.
        elements: list[object] = json.loads(found.to_json(txn))
        return [
            self.value(found.get(txn, at) if _may_hold_bytes(element) else element, depth)
            for at, element in enumerate(elements)
        ]

    def text(self, found: _Characters, _depth: int) -> Json:
        return found.get_string(self.txn)

    def xml(self, found: _Nodes, depth: int) -> Json:
        waiting: list[tuple[object, int]] = [(found, depth)]
        while waiting:
            node, depth = waiting.pop()
            if isinstance(node, yrs.XmlText):
                children = [part for part, _ in cast("_Characters", node).diff(self.txn)]
            elif isinstance(node, yrs.XmlElement | yrs.XmlFragment):
                children = cast("_Nodes", node).children(self.txn)
            else:
                continue
            waiting.extend((child, _below(depth)) for child in children)
        return found.get_string(self.txn)

    def plain_object(self, found: dict[str, object], depth: int) -> Json:
        depth = _below(depth)
        return {key: self.value(found[key], depth) for key in sorted(found)}

    def plain_list(self, found: list[object], depth: int) -> Json:
        depth = _below(depth)
        return [self.value(element, depth) for element in found]


def _below(depth: int) -> int:
    if depth > DEEPEST:
        raise DocumentTooDeep(limit=DEEPEST)
    return depth + 1


def _may_hold_bytes(element: object) -> bool:
    if isinstance(element, dict):
        return any(map(_may_hold_bytes, cast("dict[str, object]", element).values()))
    if isinstance(element, list):
        parts = cast("list[object]", element)
        return all(type(part) is int and 0 <= part <= 0xFF for part in parts) or any(
            map(_may_hold_bytes, parts)
        )
    return False


def _number(_reader: _Reader, value: float, _depth: int) -> Json:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < _WRITTEN_OUT else value


def _bytes(_reader: _Reader, value: bytes | bytearray, _depth: int) -> Json:
    return base64.b64encode(value).decode()


def _document(_reader: _Reader, value: yrs.Doc, _depth: int) -> Json:
    return {"guid": value.guid()}


def _as_it_is(_reader: _Reader, value: Json, _depth: int) -> Json:
    return value


_CONVERT: Final[dict[type, Callable[[_Reader, Any, int], Json]]] = {
    yrs.Map: _Reader.mapping,
    yrs.Array: _Reader.sequence,
    yrs.Text: _Reader.text,
    yrs.XmlText: _Reader.xml,
    yrs.XmlElement: _Reader.xml,
    yrs.XmlFragment: _Reader.xml,
    yrs.Doc: _document,
    dict: _Reader.plain_object,
    list: _Reader.plain_list,
    float: _number,
    bytes: _bytes,
    bytearray: _bytes,
    str: _as_it_is,
    int: _as_it_is,
    bool: _as_it_is,
}
