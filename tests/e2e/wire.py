"""A raw y-websocket peer: any bytes out, every frame and the close code in.

For what a stock client never sends: garbage, half frames, updates without their dependencies, and
the durable acknowledgement under a test's own control. Not a client library: no reconnects.
"""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import anyio
import pycrdt
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from websockets.asyncio.client import ClientConnection

SYNC, AWARENESS, ACKNOWLEDGE = 0, 1, 102
STEP1, STEP2, UPDATE = 0, 1, 2
EMPTY_VECTOR = b"\x00"
DEADLINE = 15.0


class Closed(NamedTuple):
    """How the server ended a connection; 1006 means without a close frame."""

    code: int
    reason: str


def var_uint(number: int) -> bytes:
    """lib0's variable length integer: 7 bits a byte, low bits first."""
    out = bytearray()
    while number > 0x7F:
        out.append(0x80 | number & 0x7F)
        number >>= 7
    out.append(number)
    return bytes(out)


def var_bytes(body: bytes) -> bytes:
    return var_uint(len(body)) + body


def step1(vector: bytes = EMPTY_VECTOR) -> bytes:
    return bytes([SYNC, STEP1]) + var_bytes(vector)


def update(body: bytes) -> bytes:
    return bytes([SYNC, UPDATE]) + var_bytes(body)


def acknowledge(version: int) -> bytes:
    """y-sweet's sync status, which SyncSphere answers once everything before it is durable."""
    return bytes([ACKNOWLEDGE]) + var_bytes(var_uint(version))


def awareness(*states: tuple[int, int, str]) -> bytes:
    """States as (client id, clock, JSON text); the text "null" says that the client left."""
    body = var_uint(len(states))
    for client, clock, text in states:
        body += var_uint(client) + var_uint(clock) + var_bytes(text.encode())
    return bytes([AWARENESS]) + var_bytes(body)


def small_update(root: str, key: str, value: object) -> bytes:
    """An update of a new author that sets one key of a root map; the same bytes for the same call."""
    author = 1 + zlib.crc32(f"{root}/{key}".encode())
    doc: pycrdt.Doc[pycrdt.Map[object]] = pycrdt.Doc(client_id=author)
    doc.get(root, type=pycrdt.Map[object])[key] = value
    return doc.get_update()


class Reader:
    """Takes a message apart; IndexError where it ends too early."""

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._at = 0

    def uint(self) -> int:
        number = shift = 0
        while True:
            byte = self._frame[self._at]
            self._at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def bytes(self) -> bytes:
        size = self.uint()
        self._at += size
        return self._frame[self._at - size : self._at]


def sync_body(frame: bytes, kind: int) -> bytes | None:
    """The payload of a sync message of that kind, None if the frame is anything else."""
    if frame[:2] != bytes([SYNC, kind]):
        return None
    reader = Reader(frame[2:])
    return reader.bytes()


def awareness_states(frame: bytes) -> list[tuple[int, int, str]] | None:
    """What an awareness frame says, None if the frame is anything else."""
    if frame[:1] != bytes([AWARENESS]):
        return None
    reader = Reader(Reader(frame[1:]).bytes())
    return [(reader.uint(), reader.uint(), reader.bytes().decode()) for _ in range(reader.uint())]


def acknowledged_version(frame: bytes) -> int | None:
    """The number in the answer to `acknowledge`, None if the frame is anything else."""
    if frame[:1] != bytes([ACKNOWLEDGE]):
        return None
    return Reader(Reader(frame[1:]).bytes()).uint()


class Peer:
    """One raw connection. Frames are kept in order until somebody asks for them."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.frames: list[bytes] = []
        self._version = 0

    async def send(self, *frames: bytes | str) -> None:
        for frame in frames:
            await self._socket.send(frame)

    async def send_if_open(self, frame: bytes) -> None:
        """Send what the server may refuse while it is still on its way."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(frame)

    async def next(self, wanted: Callable[[bytes], bool]) -> bytes:
        """The next frame that `wanted` accepts; what comes before it is kept in `frames`."""
        with anyio.fail_after(DEADLINE):
            while True:
                frame = await self._socket.recv()
                assert isinstance(frame, bytes), "the server sent a text frame"
                self.frames.append(frame)
                if wanted(frame):
                    return frame

    async def rest(self) -> AsyncGenerator[bytes, None]:
        """Every frame that is still to come, until the connection ends. Keeps none."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = await self._socket.recv()
                assert isinstance(frame, bytes), "the server sent a text frame"
                yield frame

    async def acknowledged(self) -> bytes:
        """Wait until everything sent so far is durable; the frame that said so."""
        self._version += 1
        asked = acknowledge(self._version)
        await self.send(asked)
        return await self.next(lambda frame: frame == asked)

    async def pull(self, vector: bytes = EMPTY_VECTOR) -> bytes:
        """Ask for the state; the answer shows that everything sent before was looked at."""
        await self.send(step1(vector))
        frame = await self.next(lambda frame: sync_body(frame, STEP2) is not None)
        return sync_body(frame, STEP2) or b""

    async def document(self) -> pycrdt.Doc[pycrdt.Map[object]]:
        """The server's document as an empty client sees it."""
        doc: pycrdt.Doc[pycrdt.Map[object]] = pycrdt.Doc()
        doc.apply_update(await self.pull())
        return doc

    async def document_keys(self, root: str) -> set[str]:
        """The keys of a root map as an empty client sees it."""
        return set((await self.document()).get(root, type=pycrdt.Map[object]).keys())

    async def closed(self) -> Closed:
        """Wait for the server to end the connection."""
        with anyio.fail_after(DEADLINE), contextlib.suppress(ConnectionClosed):
            while True:
                frame = await self._socket.recv()
                self.frames.append(frame if isinstance(frame, bytes) else frame.encode())
        received = self._socket.protocol.close_rcvd
        return Closed(received.code, received.reason) if received else Closed(1006, "")

    def abort_after(self, raw: bytes) -> None:
        """Write bytes below WebSocket's framing, then drop the TCP connection without a word."""
        self._socket.transport.write(raw)
        self._socket.transport.abort()


@contextlib.asynccontextmanager
async def peer(ws_url: str, room: str, token: str | None = None) -> AsyncGenerator[Peer, None]:
    """Connect to a room for the length of a block."""
    url = f"{ws_url}/{room}" + (f"?token={quote(token)}" if token is not None else "")
    # The largest legal document is far larger than this library's default of 1 MiB.
    async with connect(url, max_size=None, compression=None, close_timeout=2) as socket:
        yield Peer(socket)
