"""Who knows a document from before a squash is recognised, whatever they say first."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from docstore import retired
from docstore.numbers import encode_state_vector

OLD = frozenset({7, 8})


def begun(client: int) -> Doc[Any]:
    doc: Doc[Any] = Doc(client_id=client)
    doc.get("m", type=Map)["bpm"] = 120
    doc.get("t", type=Text).insert(0, "abc")
    return doc


def heir(client: int) -> Doc[Any]:
    """A document of client 7, with another client going on."""
    doc: Doc[Any] = Doc(client_id=client)
    doc.apply_update(begun(7).get_update())
    return doc


def test_who_wrote_then_writes_no_more() -> None:
    assert retired.is_in(begun(7).get_update(), OLD)
    assert not retired.is_in(begun(9).get_update(), OLD)


def test_who_builds_upon_them_is_recognised() -> None:
    doc = heir(9)
    before = doc.get_state()
    doc.get("m", type=Map)["bpm"] = 121
    assert retired.is_in(doc.get_update(before), OLD)
    doc = heir(9)
    doc.get("t", type=Text).insert(1, "x")
    assert retired.is_in(doc.get_update(before), OLD)
    assert not retired.is_in(doc.get_update(before), frozenset({8}))


def test_who_deletes_what_they_wrote_is_recognised() -> None:
    doc = heir(9)
    before = doc.get_state()
    del doc.get("m", type=Map)["bpm"]
    update = doc.get_update(before)
    assert update[:1] == b"\x00"  # nothing but a deletion
    assert retired.is_in(update, OLD)


@pytest.mark.parametrize("update", [b"", b"\xff" * 20, b"\x01\x01\x07"])
def test_what_cannot_be_read_is_for_others_to_refuse(update: bytes) -> None:
    assert not retired.is_in(update, OLD)
    assert not retired.is_known(update, OLD)


def test_a_state_vector_tells_what_somebody_has() -> None:
    assert retired.is_known(heir(9).get_state(), OLD)
    assert not retired.is_known(begun(9).get_state(), OLD)
    assert not retired.is_known(b"\x00", OLD)
    assert retired.is_known(encode_state_vector({1: 5, 8: 1}), OLD)
