"""The y-websocket dialect: bytes of one WebSocket message <-> events and replies.

Source of the format: y-protocols' sync.js and awareness.js and y-websocket 3.1, as written down byte by byte
in docs/protocol.md; message 102 is y-sweet's sync status. Pure: knows bytes, not sockets, rooms or clocks.
"""

from __future__ import annotations

from typing import Final

from syncserver.wire import events, lib0

SYNC: Final = 0
AWARENESS: Final = 1
AUTH: Final = 2
QUERY_AWARENESS: Final = 3
SYNC_STATUS: Final = 102

_SYNC_KINDS: Final = (events.STEP1, events.STEP2, events.UPDATE)
_PERMISSION_DENIED: Final = 0

MOST_GLUED: Final = 1000
"""y-protocols messages in one WebSocket message; no client sends more than a few. All are heard in one turn."""

KEEPALIVE: Final = b"\x01\x01\x00"
"""An awareness update with nobody in it: y-websocket drops a socket on which nothing arrives for 30 s."""


def read(message: bytes) -> events.Events:
    """Every event of one WebSocket message, in order; several y-protocols messages may be glued together.

    Never raises: bytes that cannot be read end the sequence with one MALFORMED event.
    """
    # Nearly every message on a busy server is one short update: 00 02 length body.
    if (
        len(message) > 3
        and message[0] == SYNC
        and message[1] < 3
        and message[2] < 0x80
        and len(message) == message[2] + 3
    ):
        return ((_SYNC_KINDS[message[1]], message[3:]),)
    return _read_all(message)


def _read_all(message: bytes) -> events.Events:
    found: list[events.Event] = []
    position = 0
    end = len(message)
    if end == 0:
        return ((events.MALFORMED, b"empty message"),)
    while position < end:
        if len(found) == MOST_GLUED:
            return (*found, (events.MALFORMED, b"too many messages in one"))
        kind, position = lib0.read_var_uint(message, position)
        if position < 0:
            return (*found, (events.MALFORMED, b"unreadable message type"))
        if kind == SYNC:
            step, position = lib0.read_var_uint(message, position)
            if position < 0 or step > 2:
                return (*found, (events.MALFORMED, b"unknown sync message"))
            body, position = lib0.read_var_bytes(message, position)
            if position < 0:
                return (*found, (events.MALFORMED, b"truncated sync message"))
            found.append((_SYNC_KINDS[step], body))
        elif kind == AWARENESS:
            body, position = lib0.read_var_bytes(message, position)
            if position < 0:
                return (*found, (events.MALFORMED, b"truncated awareness message"))
            found.append((events.AWARENESS, body))
        elif kind == QUERY_AWARENESS:
            found.append((events.QUERY_AWARENESS, b""))
        elif kind == SYNC_STATUS:
            body, position = lib0.read_var_bytes(message, position)
            if position < 0:
                return (*found, (events.MALFORMED, b"truncated sync status"))
            found.append((events.SYNC_STATUS, body))
        else:
            # The length of an unknown message cannot be known, so the rest is skipped; y-websocket does the same.
            found.append((events.IGNORED, b""))
            break
    return found


def step1(state_vector: bytes) -> bytes:
    """Ask for everything that a document at this state vector lacks."""
    return b"\x00\x00" + lib0.var_bytes(state_vector)


def step2(update: bytes) -> bytes:
    """Answer a SyncStep1."""
    return b"\x00\x01" + lib0.var_bytes(update)


def update(delta: bytes) -> bytes:
    """A live edit."""
    return b"\x00\x02" + lib0.var_bytes(delta)


def awareness(payload: bytes) -> bytes:
    """Presence, as `wire.awareness` encodes it."""
    return b"\x01" + lib0.var_bytes(payload)


def sync_status(body: bytes) -> bytes:
    """The answer to message 102: the same bytes."""
    return b"\x66" + lib0.var_bytes(body)


def permission_denied(reason: str) -> bytes:
    """y-websocket prints the reason to the console and keeps the socket."""
    return bytes((AUTH, _PERMISSION_DENIED)) + lib0.var_bytes(reason.encode())
