"""openDAW's project file, from a document and into one."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any, cast

import pytest
from pycrdt import Array, Doc, Map

from docstore.bundles import opendaw
from docstore.bundles.errors import BundleDamaged, BundleUnknown, BundleUnwritable
from docstore.history import content

KEY = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "00000000-0000-0000-0000-000000000001"

TABLE: dict[str, dict[str, Any]] = json.loads(
    (Path(opendaw.__file__).parent / "opendaw_boxes.json").read_text()
)


def filled(field: Any, number: int) -> Any:
    """Something that a field can hold, other than what it does at first."""
    if field is None:
        return None
    if field == "p":
        return None if number % 3 == 0 else f"{OTHER}/{number}" if number % 3 == 1 else OTHER
    if isinstance(field, dict):
        inner = cast("dict[str, Any]", field)
        return Map({k: filled(f, int(k)) for k, f in inner.items() if f != "h"})
    if field[0] == "a":
        return Map({str(at): filled(f, at) for at, f in enumerate(field[1])})
    return {"b": not field[1], "i": number - 2, "f": number / 4, "s": f"№ {number} 𝄞"}[field[0]]


def document(*boxes: tuple[str, str, dict[str, Any]]) -> content.Content:
    doc: Doc[Any] = Doc()
    root = doc.get("boxes", type=Map)
    for key, name, fields in boxes:
        root[key] = Map({"name": name, "fields": Map(fields)})
    return content.read(doc.get_update())


def fields_of(name: str) -> dict[str, Any]:
    return {k: filled(f, int(k)) for k, f in TABLE[name].items() if f != "h"}


def json_of(found: content.Content) -> Any:
    return content.to_json(found)


def read(data: bytes) -> content.Content:
    return content.read(opendaw.read(data, client_id=7))


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_kind_of_box_comes_back_as_it_was(name: str) -> None:
    before = document((KEY, name, fields_of(name)), (OTHER, "RootBox", fields_of("RootBox")))
    assert read(opendaw.write(before)) == before


def test_the_bytes_are_those_that_opendaw_writes() -> None:
    name = "AudioSignalsmithBox"  # its first field is only pointed at, its second a float
    box = (
        struct.pack(">ii", 0, len(name))
        + name.encode("utf-16-be")
        + bytes.fromhex(KEY.replace("-", ""))
        + b"FLDS\0\2"
        + b"\0\1\0\0\0\0"
        + b"\0\2\0\0\0\4\x3f\xc0\0\0"
    )
    chunk = struct.pack(">ii", 1, len(box)) + box
    wanted = b"OPEN" + struct.pack(">ii", 2, len(chunk)) + chunk
    assert opendaw.write(document((KEY, name, {"2": 1.5}))) == wanted


def test_what_a_document_lacks_is_as_in_a_new_box() -> None:
    said = json_of(read(opendaw.write(document((KEY, "AudioRegionBox", {"15": "x"})))))
    fields = said["boxes"][KEY]["fields"]
    assert (fields["15"], fields["4"], fields["18"]["3"]) == ("x", "musical", 0.75)


@pytest.mark.parametrize(
    ("value", "kept"),
    [(True, 0), ("3", 0), (2.5, 0), (2**31, 0), (float("nan"), 0), (-(2**31), -(2**31)), (None, 0)],
)
def test_what_opendaw_would_not_take_is_not_written(value: object, kept: int) -> None:
    said = json_of(read(opendaw.write(document((KEY, "AudioRegionBox", {"10": value})))))
    assert said["boxes"][KEY]["fields"]["10"] == kept


def test_numbers_too_large_for_a_float_are_infinite_there_as_in_javascript() -> None:
    before = document((KEY, "AudioRegionBox", {"11": 1e300, "12": -1e300}))
    said = read(opendaw.write(before))["boxes"]
    assert isinstance(said, content.SharedMap)
    box = said.entries[KEY]
    assert isinstance(box, content.SharedMap)
    fields = box.entries["fields"]
    assert isinstance(fields, content.SharedMap)
    assert fields.entries["11"] == content.Plain(float("inf"))
    assert fields.entries["12"] == content.Plain(float("-inf"))


@pytest.mark.parametrize(
    ("key", "name", "fields"),
    [
        (KEY, "FluxCapacitorBox", {}),
        ("drums", "RootBox", {}),
        ("{" + KEY + "}", "RootBox", {}),
        (KEY, "AudioRegionBox", {"1": "nowhere"}),
        (KEY, "AudioRegionBox", {"1": f"{OTHER}/x"}),
        (KEY, "AudioRegionBox", {"1": f"{OTHER}/99999"}),
        (KEY, "AudioRegionBox", {"1": f"{OTHER}/{'1/' * 200}1"}),
        (KEY, "AudioRegionBox", {"1": f"{OTHER}/٣"}),
    ],
)
def test_what_cannot_be_written_is_refused(key: str, name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(BundleUnwritable):
        opendaw.write(document((key, name, fields)))


def test_a_document_without_boxes_is_none_of_opendaws() -> None:
    doc: Doc[Any] = Doc()
    doc.get("boxes", type=Array).append(1)
    for odd in ({}, content.read(doc.get_update())):
        with pytest.raises(BundleUnwritable):
            opendaw.write(odd)
    odd_box: content.Content = {
        "boxes": content.SharedMap({KEY: content.Plain({"name": "RootBox"})})
    }
    with pytest.raises(BundleUnwritable):
        opendaw.write(odd_box)


def test_every_file_that_ends_early_or_lies_is_refused() -> None:
    data = opendaw.write(document((KEY, "AudioRegionBox", fields_of("AudioRegionBox"))))
    for end in range(len(data)):
        with pytest.raises((BundleDamaged, BundleUnknown)):
            opendaw.read(data[:end], client_id=7)
    for at in range(len(data) - 4):
        wrong = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
        # Some lies are only other numbers; none is more than these two can say.
        with contextlib.suppress(BundleDamaged, BundleUnknown):
            opendaw.read(wrong, client_id=7)


def test_an_old_tail_is_left_alone() -> None:
    data = opendaw.write(document((KEY, "RootBox", fields_of("RootBox"))))
    assert read(data + b"\0" * 80) == read(data)


def test_two_boxes_of_one_id_are_refused() -> None:
    data = opendaw.write(document((KEY, "RootBox", {})))
    box = data[16:]
    chunk = struct.pack(">i", 2) + box + box
    with pytest.raises(BundleDamaged):
        opendaw.read(struct.pack(">iii", 0x4F50454E, 2, len(chunk)) + chunk, client_id=7)


def test_half_a_character_is_replaced() -> None:
    data = opendaw.write(document((KEY, "AudioRegionBox", {"15": "ab"})))
    broken = data.replace("ab".encode("utf-16-be"), b"\xd8\x00\x00b")
    said = json_of(read(broken))
    assert said["boxes"][KEY]["fields"]["15"] == "?b"
