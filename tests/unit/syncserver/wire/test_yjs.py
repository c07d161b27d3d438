"""syncserver.wire.yjs: the y-websocket dialect, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncserver.wire import events, yjs


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("00000100", (events.STEP1, b"\x00")),
        ("0001020000", (events.STEP2, b"\x00\x00")),
        ("0002020000", (events.UPDATE, b"\x00\x00")),
        ("000200", (events.UPDATE, b"")),
        ("01020100", (events.AWARENESS, b"\x01\x00")),
        ("03", (events.QUERY_AWARENESS, b"")),
        ("660107", (events.SYNC_STATUS, b"\x07")),
        ("0200026e6f", (events.IGNORED, b"")),
        ("7f", (events.IGNORED, b"")),
    ],
)
def test_messages_as_they_stand_on_the_wire(message: str, expected: events.Event) -> None:
    assert list(yjs.read(bytes.fromhex(message))) == [expected]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "00",
        "0003",
        "0000",
        "000002ff",
        "00ff",
        "0002ffffffffffffffffff7f00",
        "0105",
        "66",
        "80",
        "000280",
    ],
)
def test_what_cannot_be_read_is_malformed_and_not_an_exception(message: str) -> None:
    kind, reason = list(yjs.read(bytes.fromhex(message)))[-1]
    assert kind == events.MALFORMED
    assert reason.isascii()


def test_several_messages_in_one_frame() -> None:
    glued = yjs.step1(b"\x00") + yjs.awareness(b"\x00") + yjs.update(bytes(300))
    assert [kind for kind, _ in yjs.read(glued)] == [events.STEP1, events.AWARENESS, events.UPDATE]


def test_a_short_update_with_something_glued_behind_it() -> None:
    found = list(yjs.read(yjs.update(b"ab") + yjs.update(b"cd")))
    assert found == [(events.UPDATE, b"ab"), (events.UPDATE, b"cd")]


def test_a_length_in_more_bytes_than_needed_reads_the_same() -> None:
    assert list(yjs.read(b"\x00\x02\x82\x00ab")) == [(events.UPDATE, b"ab")]


def test_a_denial_is_utf8_with_a_length_in_bytes() -> None:
    assert yjs.permission_denied("Größe") == b"\x02\x00\x07" + "Größe".encode()


@given(st.binary(max_size=200))
def test_any_bytes_give_events(message: bytes) -> None:
    assert all(isinstance(body, bytes) for _, body in yjs.read(message))


@given(
    st.sampled_from(["step1", "step2", "update", "awareness", "sync_status"]),
    st.binary(max_size=70_000),
)
def test_what_is_written_reads_back(kind: str, body: bytes) -> None:
    expected = getattr(events, kind.upper())
    assert list(yjs.read(getattr(yjs, kind)(body))) == [(expected, body)]
