"""Awareness updates: the known bytes, what every JSON.parse takes, and that no bytes raise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncserver.wire import awareness, lib0
from syncserver.wire.awareness import Decoded, Malformed, State

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates included: JavaScript writes them as an escape.
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
states = st.builds(
    State,
    st.integers(0, lib0.MAX_SAFE_INTEGER),
    st.integers(0, lib0.MAX_SAFE_INTEGER),
    st.none() | st.dictionaries(st.text(), json_values, max_size=3).map(json.dumps),
)


def decode(payload: bytes, *, max_states: int = 100, max_state_bytes: int = 5000) -> object:
    return awareness.decode(payload, max_states=max_states, max_state_bytes=max_state_bytes)


def entry(raw: bytes) -> bytes:
    """An update with this one state of client 1."""
    return b"\x01\x01\x01" + lib0.var_bytes(raw)


def test_the_bytes_of_a_stock_client_are_read_and_written() -> None:
    payload = bytes.fromhex("02ac020508") + b'{"a": 1}' + bytes.fromhex("070004") + b"null"
    found = [State(300, 5, '{"a": 1}'), State(7, 0, None)]
    assert decode(payload) == Decoded(found, 0)
    assert awareness.encode(found) == payload


def test_an_update_with_nobody_in_it_is_fine() -> None:
    assert decode(b"\x00") == Decoded([], 0)
    assert awareness.encode([]) == b"\x00"


@given(st.lists(states, max_size=5, unique_by=lambda state: state.client_id))
def test_what_is_encoded_comes_back(sent: list[State]) -> None:
    found = decode(awareness.encode(sent), max_state_bytes=10**6)
    assert isinstance(found, Decoded)
    assert [state[:2] for state in found.states] == [state[:2] for state in sent]
    for before, after in zip(sent, found.states, strict=True):
        if before.json is None or after.json is None:
            assert before.json is after.json
        elif "\\ud" not in before.json:
            assert before.json == after.json


@given(st.binary(max_size=60) | st.binary(max_size=60).map(entry))
def test_no_bytes_raise_and_whatever_passes_is_an_object_in_utf8(payload: bytes) -> None:
    found = decode(payload)
    if isinstance(found, Malformed):
        assert found.reason.isascii()
        return
    assert isinstance(found, Decoded)
    for state in found.states:
        assert state.json is None or isinstance(json.loads(state.json.encode()), dict)


@given(st.lists(states, min_size=1, max_size=3), st.data())
def test_a_damaged_update_does_not_raise(sent: list[State], data: st.DataObject) -> None:
    payload = bytearray(awareness.encode(sent))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] = data.draw(st.integers(0, 255))
    assert isinstance(decode(bytes(payload)), Decoded | Malformed)
    assert isinstance(decode(bytes(payload[:at])), Decoded | Malformed)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nul",
        b"1",
        b'"text"',
        b"[]",
        b"true",
        b"{} {}",
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":.5}',
        b'{"a":1.}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":"\x01"}',
        rb'{"a":"\x"}',
        rb'{"a":"\u12"}',
        rb'{"a":"\ud83d","b":NaN}',
        rb'{"a":"\ud83d","b":1e999}',
        rb'["\ud83d"]',
        rb'"\ud83d"',
        b"{'a':1}",
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":["\xed\xa0\x80"]}',
        b'{"\xc0\x80":1}',
    ],
)
def test_what_json_parse_refuses_or_is_no_object_is_malformed(raw: bytes) -> None:
    assert isinstance(decode(entry(raw)), Malformed)


@pytest.mark.parametrize(
    "raw", ["{}", ' {"a": 1e400} ', '{"ü":"\u2028"}', '{"a":-0}', '{"a":9e99}']
)
def test_what_json_parse_takes_is_passed_on_as_it_is(raw: str) -> None:
    assert decode(entry(raw.encode())) == Decoded([State(1, 1, raw)], 0)


def test_null_may_have_space_around_it() -> None:
    assert decode(entry(b" null\n")) == Decoded([State(1, 1, None)], 0)


def test_half_an_emoji_becomes_a_replacement_character() -> None:
    raw = rb'{"user":{"name":"Zo\u00eb \ud83d","pair":"\ud83d\ude00"},"n":1}'
    text = '{"user":{"name":"Zoë \ufffd","pair":"😀"},"n":1}'
    assert decode(entry(raw)) == Decoded([State(1, 1, text)], 0)


def test_a_state_nested_too_deeply_is_malformed() -> None:
    def nested(levels: int, text: str = "1") -> bytes:
        return entry(('{"a":' * levels + text + "}" * levels).encode())

    most = awareness.MAX_DEPTH
    assert isinstance(decode(nested(most)), Decoded)
    assert isinstance(decode(nested(most, '"[[[{{{\\"[["')), Decoded)
    assert isinstance(decode(nested(most + 1)), Malformed)
    assert isinstance(decode(nested(most + 1, r'"\ud83d"')), Malformed)
    assert isinstance(decode(nested(100_000), max_state_bytes=10**6), Malformed)
    halves = r'{"half":"\ud83d","a":' + "[" * 100_000 + "]" * 100_000 + "}"
    assert isinstance(decode(entry(halves.encode()), max_state_bytes=10**6), Malformed)


def test_a_broad_state_is_not_a_deep_one() -> None:
    raw = json.dumps({"ranges": [[n, n + 1] for n in range(300)]}).encode()
    assert isinstance(decode(entry(raw)), Decoded)


def test_bytes_after_the_last_state_are_malformed() -> None:
    assert decode(b"\x00\x00") == Malformed("awareness update has trailing bytes")


def test_more_states_than_promised_or_allowed_are_malformed() -> None:
    three = awareness.encode([State(n, 1, "{}") for n in range(3)])
    assert isinstance(decode(three, max_states=3), Decoded)
    assert isinstance(decode(three, max_states=2), Malformed)
    assert isinstance(decode(b"\x04" + three[1:]), Malformed)
    assert isinstance(decode(b""), Malformed)


def test_a_state_over_the_size_limit_is_left_out_and_counted() -> None:
    payload = awareness.encode([State(1, 1, '{"a":"bcd"}'), State(2, 1, "{}")])
    assert decode(payload, max_state_bytes=11) == Decoded(
        [State(1, 1, '{"a":"bcd"}'), State(2, 1, "{}")], 0
    )
    assert decode(payload, max_state_bytes=10) == Decoded([State(2, 1, "{}")], 1)


def test_states_behind_as_many_as_are_wanted_are_counted_and_not_read() -> None:
    payload = b"\x03" + b"\x01\x01\x02{}" + b"\x02\x01\x02{}" + b"no state"
    found = [State(1, 1, "{}"), State(2, 1, "{}")]
    read = awareness.decode(payload, max_states=100, max_state_bytes=5000, max_read=2)
    assert read == Decoded(found, oversize=0, unread=1)
    for enough in (3, None):
        read = awareness.decode(payload, max_states=100, max_state_bytes=5000, max_read=enough)
        assert isinstance(read, Malformed)


def test_of_two_states_of_one_client_the_last_wins() -> None:
    payload = awareness.encode([State(1, 1, "{}"), State(2, 1, "{}"), State(1, 2, None)])
    assert decode(payload) == Decoded([State(1, 2, None), State(2, 1, "{}")], 0)
