"""Awareness updates of y-protocols: who is where, as (client id, clock, JSON) entries.

Wire form: the number of entries, then for each the client id, the clock and a string holding a
JSON object, or `null` for a client that left. Promise: what `decode` lets through every peer's
`JSON.parse` takes as well, so nobody's client throws over what we relay. Knows nothing of rooms,
users or time.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from syncserver.wire import lib0

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DEPTH = 200
"""Deepest nesting of a state. JavaScript compares and prints states by recursion; a state of some
thousand brackets would throw in every client of the room."""


class State(NamedTuple):
    """What one client says of itself; `json` is None once it has left."""

    client_id: int
    clock: int
    json: str | None


class Malformed(NamedTuple):
    """Bytes that are no awareness update. `reason` is a short ASCII phrase for logs and closes."""

    reason: str


class Decoded(NamedTuple):
    """The entries of one update in wire order, and how many were left out."""

    states: list[State]
    oversize: int
    """Larger than one state may be."""
    unread: int = 0
    """Announced beyond as many as were to be read."""


_TRUNCATED = Malformed("awareness update is truncated")
_NOT_UTF8 = Malformed("awareness state is not UTF-8")
_NOT_JSON = Malformed("awareness state is not a JSON object")
_TOO_DEEP = Malformed("awareness state is nested too deeply")

# Values stay unparsed (Raw): their syntax is checked all the same, at half the price.
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def decode(
    payload: bytes, *, max_states: int, max_state_bytes: int, max_read: int | None = None
) -> Decoded | Malformed:
    """Read an awareness update; any bytes are answered, none raise.

    All or nothing: one bad entry makes the whole update Malformed. A state longer than
    `max_state_bytes` of JSON is the exception, left out unread and counted, because an honest
    client with a large state should stay invisible rather than be shut out. Another is an update
    of more than `max_read` entries: those behind are neither read nor checked, but counted as the
    update announces them, so that it costs no more than one that keeps to the limit.

    Of two entries about one client the last wins. y-protocols would apply them in turn and end
    there; refusing them would punish clients, who send back in one message what we relayed in
    one, for our batching.
    """
    count, pos = lib0.read_var_uint(payload, 0)
    if count > max_states:
        return Malformed("awareness update has too many states")
    states: dict[int, State] = {}
    oversize = 0
    read = count if max_read is None else min(count, max_read)
    for _ in range(read):
        client_id, pos = lib0.read_var_uint(payload, pos)
        clock, pos = lib0.read_var_uint(payload, pos)
        raw, pos = lib0.read_var_bytes(payload, pos)
        if pos < 0:
            return _TRUNCATED
        if len(raw) > max_state_bytes:
            oversize += 1
            continue
        text = _read_state(raw)
        if isinstance(text, Malformed):
            return text
        states[client_id] = State(client_id, clock, text)
    if pos < 0:
        return _TRUNCATED
    if read == count and pos != len(payload):
        return Malformed("awareness update has trailing bytes")
    return Decoded(list(states.values()), oversize, count - read)


def encode(states: Iterable[State]) -> bytes:
    """The states as one awareness update. Numbers out of lib0's range raise ValueError."""
    number = lib0.write_var_uint
    parts: list[bytes] = [b""]
    for client_id, clock, text in states:
        parts.append(number(client_id))
        parts.append(number(clock))
        parts.append(lib0.var_bytes(b"null" if text is None else text.encode()))
    parts[0] = number(len(parts) // 3)
    return b"".join(parts)


def _read_state(raw: bytes) -> str | Malformed | None:
    """The JSON text of one state; None for null."""
    try:
        text = raw.decode()
        fields = _OBJECT.decode(raw)
    except UnicodeDecodeError:
        return _NOT_UTF8
    except msgspec.DecodeError:
        return _read_half_characters(raw.decode())
    except RecursionError:
        return _TOO_DEEP
    if fields is None:
        return None
    # The cheap tests first: most states are too short, or have too few brackets, to be too deep.
    if len(raw) > 2 * MAX_DEPTH and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _deep(text):
        return _TOO_DEEP
    return text


def _read_half_characters(text: str) -> str | Malformed:
    """Second try for half an emoji, which JavaScript writes as \\ud83d and msgspec refuses.

    A name cut by `slice(0, 12)` is enough to make one. The halves become U+FFFD, so that
    everything behind this point holds text that UTF-8 can carry.
    """
    if "\\u" not in text:
        return _NOT_JSON
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
        if not isinstance(value, dict):
            return _NOT_JSON
        plain = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return _NOT_JSON
    except RecursionError:
        return _TOO_DEEP
    clean = plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _TOO_DEEP if _deep(clean) else clean


def _no_constant(name: str) -> object:
    """Python's parser would take NaN and Infinity; JavaScript's does not."""
    raise ValueError(f"{name} is not JSON")


def _deep(text: str) -> bool:
    """Whether JSON that has parsed is nested more than MAX_DEPTH levels."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "{[" else -1
        if depth > MAX_DEPTH:
            return True
    return False
