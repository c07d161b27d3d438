"""The transport under a real uvicorn in this process, without rooms or databases, and a raw TCP client for it.

The client speaks as much WebSocket as is needed to be slow, rude or silent on purpose.
"""

from __future__ import annotations

import asyncio
import socket as tcp
import struct
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import anyio
import uvicorn

from auth.permissions import RIGHTS, Access, Role
from docstore import projects
from docstore.history.branches import Branch
from syncserver import admission, connection, http_protocol, session, transport, upgrade
from syncserver.testing import LIMITS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from syncserver.transport import Listener, Request, Socket

WITHIN = 20
KIB = 1024
MIB = 1024 * KIB
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPTIONS = transport.Options(frame_bytes=16 * MIB, outbox_bytes=MIB, preauth_bytes=MIB)


class Ear:
    """A listener that remembers; `known` admits the client at once."""

    def __init__(self, socket: Socket, *, known: bool) -> None:
        self.socket: Socket | None = socket
        self.heard: list[int] = []
        self.fulls = 0
        self.drains = 0
        self.gone = False
        if known:
            socket.admitted()

    def message(self, data: bytes, /) -> None:
        self.heard.append(len(data))

    def full(self) -> None:
        self.fulls += 1

    def drained(self) -> None:
        self.drains += 1

    def lost(self) -> None:
        self.gone = True
        self.socket = None


class House:
    """The server, and who listens to its sockets in the order in which they came."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stop: Callable[[], Awaitable[None]]
        self.ears: list[Ear] = []

    async def ear(self, number: int = 0) -> Ear:
        await until(lambda: len(self.ears) > number)
        return self.ears[number]


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(WITHIN):
        while not true():  # noqa: ASYNC110 (in another task; there is no event to wait for)
            await anyio.sleep(0.005)


@asynccontextmanager
async def house(
    *,
    known: bool = True,
    options: transport.Options = OPTIONS,
    head_seconds: float = 10.0,
    grace: int = 1,
    app: object = None,
    accept: transport.Accept | None = None,
) -> AsyncGenerator[House]:
    """A server on a port of the system's choice."""

    def listen(socket: Socket, request: Request) -> Listener:
        ear = Ear(socket, known=known)
        here.ears.append(ear)
        return ear

    config = uvicorn.Config(
        app or _nothing,  # pyright: ignore[reportArgumentType]
        loop="none",
        http=http_protocol.protocol_class(head_seconds),
        ws=upgrade.protocol_class(accept or listen, options),
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=grace,
    )
    server = uvicorn.Server(config)
    with tcp.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        here = House(listener.getsockname()[1])
        # `serve` would take the signals of the test run.
        serving = asyncio.ensure_future(server._serve(sockets=[listener]))

        async def stop() -> None:
            server.should_exit = True
            await serving

        here.stop = stop
        await until(lambda: server.started)
        try:
            yield here
        finally:
            await stop()


@asynccontextmanager
async def session_house(
    options: transport.Options = OPTIONS, limits: connection.Limits = LIMITS
) -> AsyncGenerator[tuple[House, list[session.Session]]]:
    """Sockets with real sessions behind them, which somebody has still to admit."""
    opened: list[session.Session] = []

    def accept(socket: transport.Socket, request: transport.Request) -> transport.Listener:
        opened.append(session.Session(len(opened), socket, limits, opened.remove))
        return opened[-1]

    async with house(options=options, accept=accept) as here:
        yield here, opened


def somebody() -> admission.Admitted:
    """One who may edit and has no account."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    nobody = UUID(int=0)
    project = projects.Project(
        id=UUID(int=7),
        owner_id=nobody,
        room_id="room",
        name="",
        kind="",
        description="",
        is_public=True,
        guest_role="editor",
        created_at=now,
        updated_at=now,
        document_id=7,
        epoch=1,
    )
    main = Branch(7, project.id, "main", None, False, 1, None, now, None, None, None, None, 1, None)
    return admission.Admitted(project, main, None, Access(Role.EDITOR, RIGHTS[Role.EDITOR]))


async def _nothing(scope: object, receive: object, send: Callable[..., object]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})  # pyright: ignore[reportGeneralTypeIssues]
    await send({"type": "http.response.body"})  # pyright: ignore[reportGeneralTypeIssues]


class Frame(NamedTuple):
    kind: int
    body: bytes


class Raw:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def upgrade(self) -> None:
        self.writer.write(
            b"GET /sync/room HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await self.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            if self.writer.transport.is_closing():
                # uvloop would say RuntimeError, once it has let go of the socket.
                raise ConnectionResetError
            self.writer.write(part)
            await self.writer.drain()

    async def drip(self, parts: Iterable[bytes], *, pause: float) -> None:
        """Send these one by one, `pause` seconds apart. Raises ConnectionError."""
        with anyio.fail_after(WITHIN):
            for part in parts:
                await self.send(part)
                await anyio.sleep(pause)

    async def frame(self) -> Frame:
        with anyio.fail_after(WITHIN):
            head = await self.reader.readexactly(2)
            size = head[1] & 0x7F
            if size == 126:
                [size] = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                [size] = struct.unpack("!Q", await self.reader.readexactly(8))
            return Frame(head[0] & 0xF, await self.reader.readexactly(size))

    async def closed(self) -> tuple[int, str]:
        """The close frame, with nothing but the end of the stream behind it."""
        while (frame := await self.frame()).kind != CLOSE:
            pass
        with anyio.fail_after(WITHIN):
            assert await self.reader.read() == b""
        return int.from_bytes(frame.body[:2]), frame.body[2:].decode()

    async def ended(self) -> bytes:
        """What comes until the server ends the connection."""
        with anyio.fail_after(WITHIN):
            return await self.reader.read()


@asynccontextmanager
async def connected(port: int, *, window: int | None = None) -> AsyncGenerator[Raw]:
    """A connection for the length of a block; `window` is about how many bytes it takes unread."""
    socket = tcp.socket()
    if window is not None:
        socket.setsockopt(tcp.SOL_SOCKET, tcp.SO_RCVBUF, window)
    socket.setblocking(False)
    await asyncio.get_running_loop().sock_connect(socket, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=socket, limit=window or 64 * KIB)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def head(size: int, kind: int = BINARY, *, fin: bool = True) -> bytes:
    """The beginning of a client's frame; its mask changes nothing."""
    first = bytes([(0x80 if fin else 0) | kind])
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = b"\xfe" + struct.pack("!H", size)
    else:
        length = b"\xff" + struct.pack("!Q", size)
    return first + length + bytes(4)


def frame(body: bytes, kind: int = BINARY) -> bytes:
    return head(len(body), kind) + body
