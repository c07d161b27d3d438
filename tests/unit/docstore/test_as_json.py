"""Documents become JSON somewhere else, in bounded time."""

from __future__ import annotations

import msgspec
import pytest
from pycrdt import Array, Doc, Map

from docstore.errors import DocumentTooDeep, DocumentUnreadable, TooCostly
from docstore.history import work

ENDLESS = bytes.fromhex(
    "0408f607000801056f74686572017809010004677569647604086175746f4c6f6164790a73686f756c644c6f61647908"
    "656e636f64696e677d010267637809010004677569647604026763780a73686f756c644c6f61647908656e636f64696e"
    "677d01086175746f4c6f616479070100000003c1ef0702050201c1f60705050403000307ef07000601047465787404"
    "626f6c64047472756584ef0700017581ef07010181ef07020186ef070304626f6c64046e756c6cc4e80700ef070205"
    "68656c6c6f0101036d61700104e807000401047465787401762101036d6170046b65793201000103010002616207"
    "050000010400f6070302c3b68405010178890501046775696476040a73686f756c644c6f616479086175746f4c6f6164"
    "7908656e636f64696e677d01026763788505020322612200010101036d61700104050200010502e807010102ef070202"
    "020a01f60701040a"
)
"""A state in which yrs looks for the second element of a list in a circle. Found by chance.

There are letters of two bytes in the list: `docstore/letters.py`.
"""

ELEMENTS = 200_000


async def test_a_document_becomes_json() -> None:
    doc: Doc[Array[object]] = Doc({"a": Array([1, 2.5, "x"])})
    assert await work.as_json(doc.get_update()) == b'{"a":[1,2.5,"x"]}'


async def test_a_document_that_yrs_reads_in_a_circle_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "SECONDS", 10.0)
    told = msgspec.json.decode(await work.as_json(ENDLESS))
    assert told[""] == ["YWI=", ["ö", {"guid": "guid"}, "x", "a"], *[{"guid": "guid"}] * 2]
    assert (told["text"], told["other"]) == ("vhellou", [True])


async def test_a_document_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    doc: Doc[Map[object]] = Doc({"m": Map({"k": [1.5] * ELEMENTS})})
    assert await work.as_json(b"\x00\x00") == b"{}"  # the process is there
    monkeypatch.setattr(work, "SECONDS", 0.001)
    with pytest.raises(TooCostly):
        await work.as_json(doc.get_update())
    # And the next one is none the worse for it.
    monkeypatch.setattr(work, "SECONDS", 60.0)
    assert await work.as_json(b"\x00\x00") == b"{}"


async def test_what_goes_wrong_in_the_process_is_known_here() -> None:
    doc: Doc[Array[object]] = Doc({"a": Array()})
    inner: Array[object] = doc["a"]
    for _ in range(600):
        following: Array[object] = Array()
        inner.append(following)
        inner = following
    with pytest.raises(DocumentTooDeep):
        await work.as_json(doc.get_update())
    with pytest.raises(DocumentUnreadable):
        await work.as_json(b"no update")
