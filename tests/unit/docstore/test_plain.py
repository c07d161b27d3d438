"""Documents as JSON: roots of every type, numbers, bytes, depth."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from docstore import crdt, plain
from docstore.errors import DocumentTooDeep
from tests.unit.docstore import writers

number = crdt.write_var_uint


def written(update: bytes) -> Any:
    """As it goes over the wire: strict JSON, read back."""
    found = crdt.to_json(update)
    text = msgspec.json.encode(found)
    assert json.loads(text) == json.loads(json.dumps(found, allow_nan=False))
    return json.loads(text)


def of(**roots: Any) -> Any:
    return written(Doc(roots).get_update())


def plain_value(value: bytes) -> Any:
    """One plain value, encoded by hand, in the array `a`."""
    return written(b"\x01\x01\x05\x00\x08\x01\x01a\x01" + value + b"\x00")["a"][0]


def test_roots_are_known_by_what_is_in_them() -> None:
    found = of(
        a_map=Map({"k": "v"}),
        an_array=Array(["x", {"y": 1}]),
        a_text=Text("words"),
        some_xml=XmlFragment([XmlElement("p", {"class": "c"}, [XmlText("hi")]), XmlText("tail")]),
    )
    assert found == {
        "a_map": {"k": "v"},
        "an_array": ["x", {"y": 1}],
        "a_text": "words",
        "some_xml": '<p class="c">hi</p>tail',
    }


def test_an_array_of_letters_is_not_a_text() -> None:
    assert of(letters=Array(["h", "e"]), word=Text("he")) == {"letters": ["h", "e"], "word": "he"}


def test_empty_roots_are_what_we_know_them_to_be_and_others_are_null() -> None:
    doc: Doc[Any] = Doc(
        {
            "boxes": Map({"k": 1}),
            "chat": Array([1]),
            "notes": Text("x"),
            "theirs": Map({"k": 1}),
            "list": Array([1]),
        }
    )
    del doc["boxes"]["k"]
    del doc["chat"][0]
    del doc["notes"][0:1]
    del doc["theirs"]["k"]
    del doc["list"][0]
    assert written(doc.get_update()) == {
        "boxes": {},
        "chat": [],
        "notes": "",
        "theirs": None,
        "list": None,
    }


def test_a_root_that_is_used_otherwise_than_we_know_is_shown_as_it_is() -> None:
    assert of(comments=Array([1]), chat=Map({"a": 1}), project=Text("t")) == {
        "comments": [1],
        "chat": {"a": 1},
        "project": "t",
    }


def test_an_empty_document_has_no_roots() -> None:
    assert crdt.to_json(crdt.NOTHING) == {}


def test_numbers_are_whole_where_they_are() -> None:
    found = of(m=Map({"a": 3, "b": 3.0, "c": 3.5, "d": -0.0, "e": 2**31, "f": -7}))["m"]
    assert json.dumps(found) == json.dumps(
        {"a": 3, "b": 3, "c": 3.5, "d": 0, "e": 2147483648, "f": -7}
    )


def test_large_numbers_keep_their_value() -> None:
    found = of(m=Map({"a": 2**53, "b": 2**60, "c": 1e300, "d": 1e20}))["m"]
    assert found == {"a": 2**53, "b": 2**60, "c": 1e300, "d": 10**20}
    assert isinstance(found["b"], int)
    assert isinstance(found["c"], float)
    assert plain_value(b"\x7a" + (2**60 + 1).to_bytes(8, "big")) == 2**60 + 1
    assert plain_value(b"\x7a" + (-5).to_bytes(8, "big", signed=True)) == -5


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), None])
def test_what_json_has_no_number_for_is_null(odd: float | None) -> None:
    assert of(m=Map({"k": odd}), a=Array([odd, [odd]])) == {"m": {"k": None}, "a": [None, [None]]}
    assert plain_value(b"\x7f") is None  # undefined


def test_bytes_are_base64_wherever_they_are() -> None:
    raw = bytes(range(256))
    text = base64.b64encode(raw).decode()
    found = of(m=Map({"b": raw, "in": [raw, {"x": raw}]}), a=Array([raw, {"y": raw}, [1, 2]]))
    assert found == {
        "m": {"b": text, "in": [text, {"x": text}]},
        "a": [text, {"y": text}, [1, 2]],
    }


def test_types_in_types_are_followed() -> None:
    found = of(
        m=Map(
            {
                "map": Map({"array": Array([Map({"deep": 1}), Text("t"), [1, {"p": 2.5}]])}),
                "xml": XmlFragment([XmlElement("b", contents=[XmlText("bold")])]),
                "text": Text("hello"),
            }
        )
    )
    assert found["m"] == {
        "map": {"array": [{"deep": 1}, "t", [1, {"p": 2.5}]]},
        "xml": "<b>bold</b>",
        "text": "hello",
    }


def test_a_formatted_text_with_things_in_it_is_its_words() -> None:
    doc: Doc[Any] = Doc({"t": Text("hello world")})
    doc["t"].format(0, 5, {"bold": True})
    doc["t"].insert_embed(5, {"image": "x"})
    assert written(doc.get_update()) == {"t": "hello world"}


def test_a_document_within_is_its_name() -> None:
    inner: Doc[Any] = Doc({"x": Text("y")})
    assert of(m=Map({"d": inner}), a=Array([inner])) == {
        "m": {"d": {"guid": inner.guid}},
        "a": [{"guid": inner.guid}],
    }


def test_the_same_content_is_the_same_json_whoever_wrote_first() -> None:
    one: Doc[Any] = Doc({"m": Map({"b": {"y": 1, "x": 2}, "a": 1})})
    two: Doc[Any] = Doc({"m": Map({"a": 1, "b": {"x": 2, "y": 1}})})
    assert json.dumps(crdt.to_json(one.get_update())) == json.dumps(crdt.to_json(two.get_update()))


def test_openDAWs_shape_comes_out_as_it_is_edited() -> None:
    box = {"name": "NoteRegionBox", "fields": Map({"1": "a26b/3", "10": 153600, "14": None})}
    message = {"id": "1", "name": "n", "color": "#fff", "text": "hi", "timestamp": 1795225887794}
    assert of(boxes=Map({"uuid": Map(box)}), chat=Array([message])) == {
        "boxes": {
            "uuid": {"name": "NoteRegionBox", "fields": {"1": "a26b/3", "10": 153600, "14": None}}
        },
        "chat": [message],
    }


@pytest.mark.parametrize("shallow", [True, False])
def test_long_arrays_are_as_exact_as_short_ones(shallow: bool) -> None:
    parts: list[Any] = [1, 2.5, "s", None, {"k": [1, 2, 300]}, b"\x01\x02", [1, 2], {"b": b"x"}, []]
    doc: Doc[Any] = Doc({"a": Array(parts * 200)})
    doc["a"].append(Map({"last": Text("x")}))
    expected = [
        1,
        2.5,
        "s",
        None,
        {"k": [1, 2, 300]},
        "AQI=",
        [1, 2],
        {"b": "eA=="},
        [],
    ] * 200 + [{"last": "x"}]
    assert plain.roots(doc, shallow=shallow) == {"a": expected}


def test_long_arrays_of_many_writers_do_not_take_the_square_of_their_length() -> None:
    one: Doc[Any] = Doc({"a": Array[Any]()})
    two: Doc[Any] = Doc({"a": Array[Any]()})
    for at in range(2_000):  # every element an item of its own
        one["a"].append({"i": at})
        two.apply_update(one.get_update(two.get_state()))
        two["a"].append("x")
        one.apply_update(two.get_update(one.get_state()))
    found = crdt.to_json(one.get_update())["a"]
    assert isinstance(found, list)
    assert found[:4] == [{"i": 0}, "x", {"i": 1}, "x"]
    assert len(found) == 4_000


def nested(kind: bytes, depth: int) -> bytes:
    """Shared types within one another: maps (each under a key), or arrays, or XML elements."""
    keyed = kind == b"\x01"
    structs = bytearray(b"\x01" + number(depth) + b"\x05\x00")
    for at in range(depth):
        structs.append(0x27 if keyed else 0x07)
        structs += b"\x01\x01r" if at == 0 else b"\x00\x05" + number(at - 1)
        structs += b"\x01k" if keyed else b""
        structs += kind
    return bytes(structs) + b"\x00"


KINDS = {"maps": b"\x01", "arrays": b"\x00", "XML elements": b"\x03\x01p"}


@pytest.mark.parametrize("depth", [300, 5_000, 60_000])
@pytest.mark.parametrize("kind", KINDS)
def test_types_nested_too_deep_are_an_error_and_not_the_end(kind: str, depth: int) -> None:
    with pytest.raises(DocumentTooDeep) as caught:
        crdt.to_json(nested(KINDS[kind], depth))
    assert caught.value.data == {"limit": 200}
    assert caught.value.code == "document_too_deep"


@pytest.mark.parametrize("kind", KINDS)
def test_types_nested_less_deep_are_shown(kind: str) -> None:
    assert crdt.to_json(nested(KINDS[kind], 150))["r"]


def test_values_nested_too_deep_are_an_error() -> None:
    update = b"\x01\x01\x05\x00\x08\x01\x01a\x01" + b"\x75\x01" * 3_000 + b"\x7e\x00"
    with pytest.raises(DocumentTooDeep):
        crdt.to_json(update)
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    with pytest.raises(DocumentTooDeep):
        plain.roots(doc)


@pytest.mark.parametrize("seed", range(10))
def test_whatever_people_write_becomes_json(seed: int) -> None:
    _, everything = writers.session(seed, writers=3, steps=80)
    assert isinstance(written(everything.get_update()), dict)
