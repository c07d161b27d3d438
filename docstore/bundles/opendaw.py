"""openDAW's project file (`.od`) and the `boxes` map of its live documents, one from the other.

Pure: bytes and values. Big-endian: "OPEN", version 2, the length of the rest, the number of boxes,
then each box: its length, the order in which it was made, its class, its UUID, its fields. An
object's fields are "FLDS", their number, then each field's number, length and value; an array's
elements follow one another.

What is in a field is not in the file: `opendaw_boxes.json` says it, as `opendaw_boxes.mjs` wrote it
down. In a document a field that openDAW reads no more is null, and what others only point at is
left out. A value that openDAW would not take from a document is not written either: the field then
holds what it does in a new box.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from uuid import UUID

import pycrdt

from docstore import crdt
from docstore.bundles.errors import BundleDamaged, BundleUnknown, BundleUnwritable
from docstore.history.content import Content, Node, Plain, SharedMap, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

Field: TypeAlias = "str | list[Any] | dict[str, Any] | None"
"""As the table has it."""

Held: TypeAlias = "bool | int | float | str | dict[str, Held] | None"
"""What is in a field, as a document has it."""

ROOT: Final = "boxes"

_TABLE: Final[Mapping[str, dict[str, Field]]] = json.loads(
    (Path(__file__).parent / "opendaw_boxes.json").read_text()
)

_OPEN: Final = 0x4F50454E
_VERSION: Final = 2
_FIELDS: Final = 0x464C4453
_INT32: Final = range(-(2**31), 2**31)
_INT16: Final = range(-(2**15), 2**15)
_LARGEST_FLOAT: Final = 3.4028234663852886e38


# ---------------------------------------------------------------- writing


def write(content: Content) -> bytes:
    """A document's boxes as a project file. Raises BundleUnwritable, naming the box.

    The boxes are told to have been made in the order of their ids, since a document does not know.
    """
    root = content.get(ROOT)
    if not isinstance(root, SharedMap) or not root.entries:
        raise BundleUnwritable("The document has no boxes of openDAW's.")
    boxes: list[bytes] = []
    for key in sorted(root.entries):
        box = _box(len(boxes), key, root.entries[key])
        boxes.append(struct.pack(">i", len(box)) + box)
    chunk = struct.pack(">i", len(boxes)) + b"".join(boxes)
    return struct.pack(">iii", _OPEN, _VERSION, len(chunk)) + chunk


def _box(made: int, key: str, box: Node) -> bytes:
    match box:
        case SharedMap({"name": Plain(str(name)), "fields": SharedMap(fields)}):
            pass
        case _:
            raise BundleUnwritable("A box has no name, or no fields.", box=key)
    uuid, known = _uuid(key), _TABLE.get(name)
    if uuid is None:
        raise BundleUnwritable("A box is not named by a UUID.", box=key)
    if known is None:
        raise BundleUnwritable(f"What is in a {name} is not known here.", box=key)
    return struct.pack(">i", made) + _string(name) + uuid + _object(known, fields)


def _object(known: Mapping[str, Field], fields: Mapping[str, Node]) -> bytes:
    used = [(int(key), field) for key, field in known.items() if field is not None]
    written = [(key, _value(field, fields.get(str(key)))) for key, field in sorted(used)]
    parts = [struct.pack(">hi", key, len(value)) + value for key, value in written]
    return struct.pack(">ih", _FIELDS, len(parts)) + b"".join(parts)


def _value(field: Field, node: Node | None) -> bytes:
    value = node.value if isinstance(node, Plain) else None
    entries = node.entries if isinstance(node, SharedMap) else {}
    match field:
        case "h":
            return b""
        case "p":
            return _pointer(value)
        case list() if field[0] == "a":
            each: list[Field] = field[1]
            return b"".join(_value(one, entries.get(str(at))) for at, one in enumerate(each))
        case dict():
            return _object(field, entries)
        case [str(letter), first]:
            return _primitive(letter, value, first)
        case _:  # None within an array: openDAW writes those no more
            return b""


def _primitive(letter: str, value: Value, first: bool | float | str) -> bytes:
    match letter:
        case "b":
            return struct.pack(">?", value if isinstance(value, bool) else first)
        case "s":
            return _string(value if isinstance(value, str) else str(first))
        case "i":
            return struct.pack(">i", first if (whole := _whole(value)) is None else whole)
        case _:
            number = not isinstance(value, bool) and isinstance(value, int | float)
            return _float(float(cast("float", value) if number else first))


def _whole(value: Value) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value != int(value) or int(value) not in _INT32:
        return None
    return int(value)


def _float(value: float) -> bytes:
    """Rounded to 32 bits as JavaScript does it, where too much is infinite."""
    if math.isfinite(value) and abs(value) > _LARGEST_FLOAT:
        value = math.copysign(math.inf, value)
    return struct.pack(">f", value)


def _string(text: str) -> bytes:
    units = text.encode("utf-16-be", "surrogatepass")
    return struct.pack(">i", len(units) // 2) + units


def _pointer(value: Value) -> bytes:
    if not isinstance(value, str):
        return b"\x00"
    first, *keys = value.split("/")
    uuid = _uuid(first)
    # ASCII only: Python reads other digits as well.
    if uuid is None or len(keys) > 127 or not all(k.isascii() and k.isdigit() for k in keys):
        raise BundleUnwritable("A pointer points at what is no address.", address=value[:100])
    numbers = [int(key[:6]) for key in keys]
    if not all(number in _INT16 for number in numbers):
        raise BundleUnwritable("A pointer points at what is no address.", address=value[:100])
    return b"\x01" + uuid + struct.pack(f">b{len(numbers)}h", len(numbers), *numbers)


def _uuid(text: str) -> bytes | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    # Python reads other spellings, too.
    return found.bytes if str(found) == text.lower() else None


# ---------------------------------------------------------------- reading


def read(data: bytes, *, client_id: int) -> bytes:
    """A project file as the first update of a document that openDAW's clients can join.

    client_id: whose operations these are. Raises BundleUnknown, BundleDamaged.
    """
    boxes = _boxes(data)
    doc: crdt.Document = pycrdt.Doc(client_id=client_id)
    with crdt.guarded():
        root = doc.get(ROOT, type=pycrdt.Map)
        with doc.transaction():
            for key, name, fields in boxes:
                root[key] = pycrdt.Map({"name": name, "fields": _shared(fields)})
        return doc.get_update()


def _shared(fields: Mapping[str, Held]) -> pycrdt.Map[Any]:
    entries = {k: _shared(v) if isinstance(v, dict) else v for k, v in fields.items()}
    return pycrdt.Map(entries)


def _boxes(data: bytes) -> list[tuple[str, str, dict[str, Held]]]:
    """Every box: its key, its class, its fields; in the order in which they were made."""
    whole = _Reader(data)
    if len(data) < 12 or whole.int() != _OPEN:
        raise BundleUnknown("This is no project file of openDAW's.")
    if whole.int() != _VERSION:
        raise BundleUnknown("This project file of openDAW's has an old format, or a newer one.")
    chunk = whole.part(whole.int())
    found: list[tuple[int, str, str, dict[str, Held]]] = []
    for _ in range(chunk.int()):
        box = chunk.part(chunk.int())
        made, name, key = box.int(), box.string(), str(UUID(bytes=box.bytes(16)))
        known = _TABLE.get(name)
        if known is None:
            raise BundleUnknown(f"What is in a {name[:100]!a} is not known here.")
        found.append((made, key, name, box.fields(known)))
    if len({key for _, key, _, _ in found}) < len(found):
        raise BundleDamaged("Two boxes have the same id.", entry="project.od")
    return [(key, name, fields) for _, key, name, fields in sorted(found, key=lambda box: box[0])]


class _Reader:
    """Bytes that are read from their beginning, and no further than their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def bytes(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if size < 0 or self._at > len(self._data):
            raise BundleDamaged("It ends before it should.", entry="project.od")
        return self._data[start : self._at]

    def part(self, size: int) -> _Reader:
        return _Reader(self.bytes(size))

    def int(self) -> int:
        return int.from_bytes(self.bytes(4), signed=True)

    def short(self) -> int:
        return int.from_bytes(self.bytes(2), signed=True)

    def string(self) -> str:
        text = self.bytes(2 * self.int()).decode("utf-16-be", "surrogatepass")
        # Half a character is none in a document, where text is UTF-8.
        return text.encode("utf-8", "replace").decode()

    def fields(self, known: Mapping[str, Field]) -> dict[str, Held]:
        """An object's fields as a document has them; those that are not there as in a new box."""
        if self.int() != _FIELDS:
            raise BundleDamaged(
                "The fields of a box begin with something else.", entry="project.od"
            )
        there: dict[str, _Reader] = {}
        for _ in range(self.short()):
            key = self.short()
            there[str(key)] = self.part(self.int())
        return {
            key: _new(field) if (part := there.get(key)) is None else part.value(field)
            for key, field in known.items()
            if field != "h"
        }

    def value(self, field: Field) -> Held:
        match field:
            case None:
                return None
            case "p":
                return self.pointer()
            case list() if field[0] == "a":
                return {str(at): self.value(one) for at, one in enumerate(field[1])}
            case dict():
                return self.fields(field)
            case ["b", _]:
                return self.bytes(1) != b"\x00"
            case ["i", _]:
                return self.int()
            case ["f", _]:
                return struct.unpack(">f", self.bytes(4))[0]
            case _:
                return self.string()

    def pointer(self) -> str | None:
        if self.bytes(1) == b"\x00":
            return None
        uuid = UUID(bytes=self.bytes(16))
        count = int.from_bytes(self.bytes(1), signed=True)
        return "/".join([str(uuid), *(str(self.short()) for _ in range(count))])


def _new(field: Field) -> Held:
    """What a field holds in a new box, as a document has it."""
    match field:
        case None | "p":
            return None
        case list() if field[0] == "a":
            each: list[Field] = field[1]
            return {str(at): _new(one) for at, one in enumerate(each)}
        case dict():
            return {key: _new(one) for key, one in field.items() if one != "h"}
        case ["f", first]:
            return struct.unpack(">f", _float(float(first)))[0]
        case [_, first]:
            return first
        case _:
            raise AssertionError(f"the table has {field!r}")
