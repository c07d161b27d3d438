"""WebSocket frames, the client's side: masked frames out, a splitter for what comes in.

Pure bytes. Server frames are unmasked and these servers do not fragment.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BINARY, CLOSE, PING, PONG = 0x82, 0x88, 0x89, 0x8A
MASK = b"\x5a\xc3\x17\x9e"


def masked(payload: bytes, opcode: int = BINARY) -> bytes:
    """One frame from a client. The key is constant: nothing here needs protecting from itself."""
    size = len(payload)
    pad = MASK * (size // 4 + 1)
    body = (int.from_bytes(payload, "little") ^ int.from_bytes(pad[:size], "little")).to_bytes(
        size, "little"
    )
    if size < 126:
        return bytes((opcode, 0x80 | size)) + MASK + body
    if size < 65536:
        return bytes((opcode, 0xFE)) + size.to_bytes(2, "big") + MASK + body
    return bytes((opcode, 0xFF)) + size.to_bytes(8, "big") + MASK + body


def upgrade_request(host: str, path: str) -> bytes:
    """The HTTP request that opens a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Splitter:
    """Cuts a byte stream into frames, whatever the size of the pieces it arrives in."""

    __slots__ = ("_have", "_need", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 2

    def join(self, data: bytes) -> bytes | None:
        """What is left from before plus `data`; None while no frame can be complete."""
        if not self._parts:
            return data
        self._parts.append(data)
        self._have += len(data)
        if self._have < self._need:
            return None
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole

    def keep(self, data: bytes, at: int) -> None:
        """Remember the incomplete frame that starts at `at`."""
        rest = data[at:]
        head = header(rest, 0)
        self._parts.append(rest)
        self._have = len(rest)
        self._need = head[1] if head is not None else len(rest) + 1

    def frames(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """First byte and payload of every complete frame. For the paths where time is no matter."""
        whole = self.join(data)
        at = 0
        while whole is not None and at < len(whole):
            head = header(whole, at)
            if head is None or head[1] > len(whole):
                self.keep(whole, at)
                return
            yield whole[at], whole[head[0] : head[1]]
            at = head[1]


def header(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` starts and ends; None if the header is cut off."""
    if len(data) - at < 2:
        return None
    size = data[at + 1] & 0x7F
    start = at + 2
    if size == 126:
        start = at + 4
        if len(data) < start:
            return None
        size = int.from_bytes(data[at + 2 : start], "big")
    elif size == 127:
        start = at + 10
        if len(data) < start:
            return None
        size = int.from_bytes(data[at + 2 : start], "big")
    return start, start + size
