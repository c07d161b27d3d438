"""What a document says, without how it came to say it. Pure: bytes and values.

Two documents with the same content may have been written by different people in a different order.
Shared types (in which people edit together) and plain values (replaced whole) stay apart, because
a change has to be made differently in each.

Nothing here is to be changed once it was made, also where it is a dict or a list.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import msgspec
import pycrdt
from pycrdt import _pycrdt as yrs  # pyright: ignore[reportPrivateUsage] (the types of what a document holds)

from docstore import crdt, letters, plain
from docstore.errors import DocumentTooDeep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"
"""A plain value. Whole numbers are int (`3`, never `3.0`) up to 2^63; undefined is None."""

_Parts: TypeAlias = "list[tuple[object, dict[str, object] | None]]"

Path: TypeAlias = "tuple[str | int, ...]"
"""From the root's name on: keys of maps, positions in arrays."""

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode
"""Canonical bytes: every value has one encoding, keys are sorted, each kind of node has its tag."""

_DIRECT: Final = frozenset({str, int, bool, bytes, type(None)})


class Plain(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="plain"):
    """A plain value: number, text, bytes, list, object; replaced whole."""

    value: Value

    def __eq__(self, other: object) -> bool:
        """True is not 1 here, and not a number is itself."""
        if type(other) is not Plain:
            return False
        mine, theirs = self.value, other.value
        if type(mine) is not type(theirs):
            return False
        if type(mine) in _DIRECT:
            return mine == theirs
        return _encode(mine) == _encode(theirs)

    def __hash__(self) -> int:
        return hash(_encode(self.value))


class SharedMap(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="map"):
    """Entries by key."""

    entries: dict[str, Node]


class SharedArray(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="array"):
    """Elements in order."""

    elements: list[Node]


class Run(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A piece of a text that is formatted alike, or a thing embedded in it."""

    insert: str | Node
    """Characters; or what is embedded: a plain value, or a shared type."""
    attributes: dict[str, Plain]
    """Its formatting."""


class SharedText(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="text"):
    """Characters, their formatting, and what is embedded."""

    runs: tuple[Run, ...]
    """Neighbours differ in their formatting, unless one of them is embedded."""


class SharedXmlFragment(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="fragment"):
    """A list of XML nodes."""

    children: list[Node]


class SharedXmlElement(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="element"):
    """An XML element."""

    tag: str
    attributes: dict[str, Node]
    children: list[Node]


class SharedXmlText(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="xmltext"):
    """Text among XML nodes."""

    runs: tuple[Run, ...]
    attributes: dict[str, Node]


class Subdocument(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="document"):
    """A document within the document, known by its name only."""

    guid: str


Node: TypeAlias = "Plain | SharedMap | SharedArray | SharedText | SharedXmlFragment | SharedXmlElement | SharedXmlText | Subdocument"

Content: TypeAlias = "dict[str, Node]"
"""Every root that is not empty, by its name."""


# ---------------------------------------------------------------- reading

DEEPEST: Final = 100
"""Levels of types and values within each other. Less than `docstore/plain.py` shows: to compare, to
encode and to write takes five calls for each level, and Python has a thousand for everything."""

_LEAST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
"""Whole numbers from the one until before the other are int. yrs writes the other as 2.0**63."""

_LONG: Final = 1000
"""Elements of an array above which asking for each by its index gets slow: each search begins at
the array's start."""


def read(state: bytes) -> Content:
    """The content of a full state of ours.

    Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep.
    """
    doc: crdt.Document = pycrdt.Doc()
    crdt.apply_all(doc, (state,))
    return read_doc(doc)


def read_doc(doc: crdt.Document) -> Content:
    """The content of a document. Raises PoisonUpdate, DocumentTooDeep.

    Roots that hold nothing do not count: to look at a root makes it, and says nothing.
    """
    return readable(doc)[1]


def readable(doc: crdt.Document) -> tuple[crdt.Document, Content]:
    """The document and its content; a copy of it where yrs could not read it (`docstore/letters.py`).

    What is written into that copy fits the document. Raises PoisonUpdate, DocumentTooDeep.
    """
    with crdt.guarded():
        try:
            return doc, _read(doc, wary=True)
        except letters.Suspicious:
            mended = letters.mended(doc.get_update())
            if mended is not None:
                doc = pycrdt.Doc(client_id=doc.client_id)
                doc.apply_update(mended)
            return doc, _read(doc, wary=False)


def _read(doc: crdt.Document, *, wary: bool) -> Content:
    with doc.transaction() as transaction:
        inner = transaction._txn  # pyright: ignore[reportPrivateUsage] (the public wrappers take four times as long)
        reader = Reader(inner, wary=wary)
        found: Content = {}
        for name in doc._doc.roots(cast("Any", inner)):  # pyright: ignore[reportPrivateUsage]
            node = reader.root(doc._doc, name)  # pyright: ignore[reportPrivateUsage]
            if node is not None:
                found[name] = node
        return found


class Reader:
    """Reads shared types within one transaction.

    wary: there may be letters in arrays, on which yrs would read without end; raises
    letters.Suspicious where that cannot be told from what is there.
    """

    def __init__(self, txn: Any, *, wary: bool = True) -> None:  # noqa: ANN401 (yrs's own, as all that follow)
        self.txn = txn
        self._wary = wary

    def root(self, doc: yrs.Doc, name: str) -> Node | None:
        """A root as what its content says it is, by the rules of `docstore/plain.py`.

        yrs lets one root be looked at as every type. A look as text shows characters, embedded
        values and shared types; only what it leaves out makes an array of it.
        """
        txn = self.txn
        sequence = doc.get_or_insert_array(txn, name)
        mapping = doc.get_or_insert_map(txn, name)
        length = sequence.len(txn)
        known = plain.ROOTS.get(name)
        if _is_map(mapping.len(txn), length, known):
            node = self.mapping(mapping, 1)
            return node if node.entries else None
        if not length:
            return None
        text = doc.get_or_insert_text(txn, name)
        parts = text.diff(txn)
        if any(type(part) not in _SHARED for part, _ in parts):
            return self.text(text, 1)
        if known == "text" and len(parts) == length:
            return self.text(text, 1)
        fragment = doc.get_or_insert_xml_fragment(txn, name)
        if fragment.children(txn):
            return self.fragment(fragment, 1)
        return self.long_array(sequence, length) if not parts else self.array(sequence, 1)

    def entries(self, doc: yrs.Doc, name: str, keys: Iterable[str]) -> dict[str, Node] | None:
        """Some entries of a root, those that are there; None: the root is no map."""
        txn = self.txn
        mapping = doc.get_or_insert_map(txn, name)
        length = doc.get_or_insert_array(txn, name).len(txn)
        if not _is_map(mapping.len(txn), length, plain.ROOTS.get(name)):
            return None
        there = [key for key in keys if mapping.has(txn, key)]
        return self.mapping(mapping, 1, there).entries

    def node(self, found: object, depth: int) -> Node:
        """Anything that yrs gives for a value or a shared type."""
        shared = _SHARED.get(type(found))
        return Plain(_value(found, depth)) if shared is None else shared(self, found, depth)

    def mapping(
        self,
        found: Any,  # noqa: ANN401
        depth: int,
        keys: Iterable[str] | None = None,
    ) -> SharedMap:
        """A map's entries; keys: only these, all of which it has."""
        depth = below(depth)
        txn, node, get = self.txn, self.node, found.get
        entries: dict[str, Node] = {}
        for key in found.keys(txn) if keys is None else keys:
            try:
                value = get(txn, key)
            except ValueError:
                continue  # formatting where a value should be: undefined to Yjs
            entries[key] = node(value, depth)
        return SharedMap(entries)

    def array(self, found: Any, depth: int) -> SharedArray:  # noqa: ANN401
        """An array's elements, one by one."""
        depth = below(depth)
        txn, node, get, wary = self.txn, self.node, found.get, self._wary
        elements: list[Node] = []
        for at in range(found.len(txn)):
            element = get(txn, at)
            if wary and letters.may_be(element):
                raise letters.Suspicious
            elements.append(node(element, depth))
        return SharedArray(elements)

    def long_array(self, found: Any, length: int) -> SharedArray:  # noqa: ANN401
        """An array of plain values: read at once, where that loses nothing."""
        if length <= _LONG:
            return self.array(found, 1)
        elements: list[object] = json.loads(found.to_json(self.txn))
        if len(elements) != length:
            return self.array(found, 1)
        return SharedArray(
            [
                Plain(_value(element, 2))
                if _is_exact(element)
                else self.node(found.get(self.txn, at), 2)
                for at, element in enumerate(elements)
            ]
        )

    def text(self, found: Any, depth: int) -> SharedText:  # noqa: ANN401
        """A text."""
        return SharedText(self.runs(found, depth))

    def xml_text(self, found: Any, depth: int) -> SharedXmlText:  # noqa: ANN401
        """A text among XML nodes."""
        return SharedXmlText(self.runs(found, depth), self._attributes(found, depth))

    def fragment(self, found: Any, depth: int) -> SharedXmlFragment:  # noqa: ANN401
        """A list of XML nodes."""
        return SharedXmlFragment(self._children(found, depth))

    def element(self, found: Any, depth: int) -> SharedXmlElement:  # noqa: ANN401
        """An XML element, and all in it."""
        attributes = self._attributes(found, depth)
        return SharedXmlElement(found.tag() or "", attributes, self._children(found, depth))

    def document(self, found: yrs.Doc, _depth: int) -> Subdocument:
        """A document within."""
        return Subdocument(found.guid())

    def _children(self, found: Any, depth: int) -> list[Node]:  # noqa: ANN401
        depth = below(depth)
        return [self.node(child, depth) for child in found.children(self.txn)]

    def _attributes(self, found: Any, depth: int) -> dict[str, Node]:  # noqa: ANN401
        depth = below(depth)
        return {key: self.node(value, depth) for key, value in found.attributes(self.txn)}

    def runs(self, found: Any, depth: int) -> tuple[Run, ...]:  # noqa: ANN401
        """What is in a text of either kind."""
        depth = below(depth)
        return joined(
            # A text that is embedded as a value is characters here: yrs shows no difference.
            Run(part if isinstance(part, str) else self.node(part, depth), _formats(formats, depth))
            for part, formats in cast("_Parts", found.diff(self.txn))
        )


_SHARED: Final[dict[type, Callable[[Reader, Any, int], Node]]] = {
    yrs.Map: Reader.mapping,
    yrs.Array: Reader.array,
    yrs.Text: Reader.text,
    yrs.XmlText: Reader.xml_text,
    yrs.XmlElement: Reader.element,
    yrs.XmlFragment: Reader.fragment,
    yrs.Doc: Reader.document,
}


def _is_map(entries: int, length: int, known: str | None) -> bool:
    """Whether a root is a map, given what it holds by key, in order, and what its name says."""
    return bool(entries) and (not length or known == "map")


def joined(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Runs of characters that are formatted alike, made one; empty ones left out."""
    whole: list[Run] = []
    for run in runs:
        if run.insert == "":
            continue
        if type(run.insert) is str and whole:
            last = whole[-1]
            if type(last.insert) is str and last.attributes == run.attributes:
                whole[-1] = Run(last.insert + run.insert, last.attributes)
                continue
        whole.append(run)
    return tuple(whole)


def _formats(found: dict[str, object] | None, depth: int) -> dict[str, Plain]:
    """What is formatted; null means that it is not."""
    if found is None:
        return {}
    return {key: Plain(_value(one, depth)) for key, one in found.items() if one is not None}


def _value(found: object, depth: int) -> Value:
    kind = type(found)
    if kind is str or kind is bool or found is None:
        return cast("Value", found)
    if kind is float or kind is int:
        return _number(cast("float", found))
    if kind is dict:
        depth = below(depth)
        parts = cast("dict[str, object]", found)
        return {key: _value(part, depth) for key, part in parts.items()}
    if kind is list:
        depth = below(depth)
        return [_value(part, depth) for part in cast("list[object]", found)]
    if isinstance(found, bytes | bytearray):
        return bytes(found)
    return None


def _number(found: float) -> int | float:
    if _LEAST <= found < _LARGEST and found == (whole := int(found)):
        return whole
    return math.nan if found != found else float(found)


def below(depth: int) -> int:
    """One level deeper. Raises DocumentTooDeep."""
    if depth > DEEPEST:
        raise DocumentTooDeep(limit=DEEPEST)
    return depth + 1


def _is_exact(element: object) -> bool:
    """Whether nothing else looks like this in JSON: null and lists of small numbers are not."""
    if isinstance(element, dict):
        return all(map(_is_exact, cast("dict[str, object]", element).values()))
    if isinstance(element, list):
        parts = cast("list[object]", element)
        return all(map(_is_exact, parts)) and not all(
            type(part) is int and 0 <= part <= 0xFF for part in parts
        )
    return element is not None


# ---------------------------------------------------------------- digests

_WRITTEN_OUT: Final = 1e21
"""From here on JSON keeps whole numbers with an exponent, as JavaScript does."""

_VERSION: Final = b"syncsphere content 1\n"
"""Before everything that is hashed: another way to encode gives other digests."""


def digest(content: Content) -> bytes:
    """SHA-256 of a content: equal for equal contents, whoever wrote them and in which order."""
    return digest_of(digests(content))


def digest_of(entries: dict[str, dict[str, bytes]]) -> bytes:
    """The same, from the digests of the entries."""
    return hashlib.sha256(_VERSION + _encode(entries)).digest()


def digests(content: Content) -> dict[str, dict[str, bytes]]:
    """A digest for each entry of each root that is a map; other roots are one entry, named ""."""
    return {
        name: {key: node_digest(entry) for key, entry in node.entries.items()}
        if type(node) is SharedMap
        else {"": hashlib.sha256(b"root" + _encode(node)).digest()}
        for name, node in content.items()
    }


def node_digest(node: Node) -> bytes:
    """The digest of one node."""
    return hashlib.sha256(_encode(node)).digest()


# ---------------------------------------------------------------- JSON


def to_json(content: Content) -> dict[str, plain.Json]:
    """As plain JSON, as `docstore/plain.py` shows documents, but for roots that are empty."""
    return {name: json_of(content[name]) for name in sorted(content)}


def json_of(node: Node) -> plain.Json:
    """One node as plain JSON."""
    match node:
        case Plain(value):
            return _json_value(value)
        case SharedMap(entries):
            return {key: json_of(entries[key]) for key in sorted(entries)}
        case SharedArray(elements):
            return [json_of(element) for element in elements]
        case SharedText(runs):
            return "".join(run.insert for run in runs if isinstance(run.insert, str))
        case Subdocument(guid):
            return {"guid": guid}
        case _:
            return _markup(node)


def _json_value(value: Value) -> plain.Json:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < _WRITTEN_OUT else value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [_json_value(part) for part in value]
    if isinstance(value, dict):
        return {key: _json_value(value[key]) for key in sorted(value)}
    return value


def _markup(node: str | Node) -> str:
    """XML as yrs writes it: nothing is escaped; for reading, not for parsing."""
    match node:
        case str():
            return node
        case SharedXmlFragment(children):
            return "".join(map(_markup, children))
        case SharedXmlElement(tag, attributes, children):
            named = "".join(f' {key}="{_shown(attributes[key])}"' for key in sorted(attributes))
            return f"<{tag}{named}>{''.join(map(_markup, children))}</{tag}>"
        case SharedXmlText(runs):
            return "".join(map(_formatted, runs))
        case _:
            return _shown(node)


def _formatted(run: Run) -> str:
    text = _markup(run.insert)
    for key in sorted(run.attributes, reverse=True):
        text = f"<{key}>{text}</{key}>"
    return text


def _shown(node: Node) -> str:
    found = json_of(node)
    return found if isinstance(found, str) else json.dumps(found)
