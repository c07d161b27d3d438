"""Contents and their digests: what counts, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from docstore import crdt
from docstore.errors import DocumentTooDeep
from docstore.history import content
from docstore.history.content import Content, Plain, Run, SharedArray, SharedMap, SharedText
from tests.unit.docstore.history import stories

EXAMPLES = settings(max_examples=60, deadline=None)


def of(**roots: Any) -> Content:
    return content.read(Doc(roots).get_update())


def entry(value: Any) -> content.Node:
    stems = of(stems=Map({"k": value}))["stems"]
    assert isinstance(stems, SharedMap)
    return stems.entries["k"]


def test_shared_types_and_plain_values_stay_apart() -> None:
    assert entry({"a": 1}) == Plain({"a": 1})
    assert entry(Map({"a": 1})) == SharedMap({"a": Plain(1)})
    assert entry([1]) == Plain([1])
    assert entry(Array([1])) == SharedArray([Plain(1)])
    assert entry("t") == Plain("t")
    assert entry(Text("t")) == SharedText((Run("t", {}),))
    empty: list[Any] = [{}, Map({}), [], Array([]), "", Text("")]
    assert len({content.node_digest(entry(one)) for one in empty}) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (0, False), (1, "1"), (None, False), (b"x", "x"), ([1], [True]), (0.5, "0.5")],
)
def test_values_that_look_alike_are_not_the_same(one: Any, other: Any) -> None:
    assert Plain(one) != Plain(other)
    assert content.node_digest(Plain(one)) != content.node_digest(Plain(other))


def test_numbers_have_one_form_each() -> None:
    assert entry(3.0) == entry(3) == Plain(3)
    assert entry(-0.0) == Plain(0)
    assert entry(float("nan")) == entry(float("nan")) != entry(None)
    assert entry(float("inf")) != entry(float("-inf"))
    assert entry(2**60 + 1) == Plain(2**60 + 1)
    assert entry(1e300) == Plain(1e300)
    assert content.node_digest(entry(2.0**70)) == content.node_digest(Plain(2.0**70))


def test_formatting_and_what_is_embedded_count() -> None:
    doc: Doc[Any] = Doc({"notes": Text("hello")})
    plain = content.read_doc(doc)
    doc["notes"].format(1, 3, {"bold": True})
    bold = content.read_doc(doc)
    doc["notes"].insert_embed(0, {"image": "x"})
    embedded = content.read_doc(doc)
    assert plain["notes"] == SharedText((Run("hello", {}),))
    assert bold["notes"] == SharedText(
        (Run("h", {}), Run("el", {"bold": Plain(True)}), Run("lo", {}))
    )
    assert len({content.digest(one) for one in (plain, bold, embedded)}) == 3
    doc["notes"].format(2, 4, {"bold": None})
    del doc["notes"][0:1]
    assert content.read_doc(doc) == plain


def test_it_does_not_matter_who_wrote_it_and_in_which_order() -> None:
    one: Doc[Any] = Doc({"stems": Map({"b": {"y": 1, "x": 2}, "a": 1}), "notes": Text("ab")})
    two: Doc[Any] = Doc({"notes": Text("b"), "stems": Map({"a": 1, "b": {"x": 2, "y": 1}})})
    two["notes"].insert(0, "a")
    assert content.read_doc(one) == content.read_doc(two)
    assert content.digest(content.read_doc(one)) == content.digest(content.read_doc(two))


def test_a_root_that_was_only_looked_at_is_not_there() -> None:
    doc: Doc[Any] = Doc({"stems": Map({"a": 1})})
    before = content.digest(content.read_doc(doc))
    for name, kind in (("chat", Array), ("notes", Text), ("events", Map), ("page", XmlFragment)):
        doc.get(name, type=kind)
    assert content.digest(content.read_doc(doc)) == before
    doc["chat"].append(1)
    del doc["chat"][0]
    assert content.digest(content.read(doc.get_update())) == before


def test_a_text_of_nothing_but_an_image_is_a_text() -> None:
    doc: Doc[Any] = Doc({"notes": Text(), "theirs": Text()})
    doc["notes"].insert_embed(0, {"image": "x"})
    doc["theirs"].insert_embed(0, {"image": "x"})
    found = content.read(doc.get_update())
    assert found["notes"] == found["theirs"] == SharedText((Run(Plain({"image": "x"}), {}),))


def test_digests_tell_which_entries_differ() -> None:
    one = content.digests(of(stems=Map({"a": 1, "b": 2}), chat=Array(["x"])))
    two = content.digests(of(stems=Map({"a": 1, "b": 3}), chat=Array(["x"])))
    assert one["chat"] == two["chat"]
    assert one["stems"]["a"] == two["stems"]["a"]
    assert one["stems"]["b"] != two["stems"]["b"]
    assert content.digest_of(one) != content.digest_of(two)


def test_a_root_of_another_type_has_another_digest() -> None:
    an_array = of(theirs=Array([1]))
    a_map = of(theirs=Map({"": Array([1])}))
    assert content.digest(an_array) != content.digest(a_map)


def test_the_digest_of_a_known_content_stays() -> None:
    found: Content = {"stems": SharedMap({"a": Plain({"x": [1, 0.5, None, True, b"b", "s"]})})}
    assert content.digest(found).hex() == KNOWN, "stored hashes would no longer match"


KNOWN = "4698bd1aec6823cce370b5f547bba9edcf81d188a92740cfeff188de7ade27ee"


@EXAMPLES
@given(stories.contents, stories.contents)
def test_equal_contents_have_equal_digests_and_others_have_not(
    one: Content, other: Content
) -> None:
    assert (one == other) == (content.digest(one) == content.digest(other))
    copy = content.read(stories.state_of(one))
    assert content.digest(copy) == content.digest(one)


@EXAMPLES
@given(stories.contents)
def test_it_is_the_same_after_others_had_it(wanted: Content) -> None:
    state = stories.state_of(wanted)
    assert content.read(stories.applied(stories.applied(b"\x00\x00", state))) == wanted


def test_json_is_what_people_see_of_a_document() -> None:
    inner: Doc[Any] = Doc()
    doc: Doc[Any] = Doc(
        {
            "stems": Map({"a": Map({"n": 3, "b": b"raw", "x": float("nan")})}),
            "chat": Array([{"i": 1e20}, [1], None] * 500),
            "notes": Text("words"),
            "page": XmlFragment([XmlElement("p", {"class": "c"}, [XmlText("hi")]), XmlText("t")]),
            "inner": Map({"d": inner}),
        }
    )
    doc["notes"].format(0, 2, {"bold": True})
    state = doc.get_update()
    assert content.to_json(content.read(state)) == crdt.to_json(state)


def test_long_arrays_are_as_exact_as_short_ones() -> None:
    parts: list[Any] = [1, 2.5, None, {"k": [1, 2]}, b"\x01\x02", [1, 2], float("inf"), "s"]
    short, long = (of(chat=Array(parts * times))["chat"] for times in (2, 200))
    assert isinstance(short, SharedArray)
    assert isinstance(long, SharedArray)
    assert long.elements == short.elements[:8] * 200


def test_what_is_nested_too_deep_is_refused() -> None:
    value: list[Any] = []
    for _ in range(250):
        value = [value]
    with pytest.raises(DocumentTooDeep):
        of(chat=Array([value]))
