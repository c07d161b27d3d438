"""WebSocket frames as the server sends them: encoded once, written to every socket of a room.

Source: RFC 6455 section 5.2. A server's frames are unmasked, so one encoding serves all clients, and frames may
be glued together into one write. Reading frames is picows' work; writing them is ours because a frame that
belongs to nobody in particular cannot be made by a socket.
"""

from __future__ import annotations

import struct
from typing import Final

BINARY: Final = 0x82
_MAX_REASON: Final = 123


def binary(payload: bytes) -> bytes:
    """One unfragmented binary frame."""
    size = len(payload)
    if size < 126:
        return bytes((BINARY, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", BINARY, 126, size) + payload
    return struct.pack("!BBQ", BINARY, 127, size) + payload


def reason(text: str) -> bytes:
    """A close reason as bytes; RFC 6455 leaves 123 of them, cut at a character's edge."""
    return text.encode()[:_MAX_REASON].decode(errors="ignore").encode()
