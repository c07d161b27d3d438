"""One connection: a plain socket that opens a room the way the stock providers do.

Opening blocks (it is not what is measured); afterwards the socket does not block and the
scenarios drive it from their own epoll loop.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from benchmarks.load import frames, yjs
from benchmarks.load.inbox import Inbox

if TYPE_CHECKING:
    from benchmarks.load.job import Job

CHUNK = 16384
OPEN_SECONDS = 30.0


class RefusedError(RuntimeError):
    """The server would not open the room."""


class Client:
    """A socket, its dialect, and what it has received."""

    __slots__ = ("dialect", "inbox", "number", "room", "sock", "unsent")

    def __init__(
        self, job: Job, room: str, number: int, *, width: int = yjs.DIGITS, receive_buffer: int = 0
    ) -> None:
        self.room = room
        self.number = number
        self.dialect = job.dialect(room)
        self.inbox = Inbox(len(self.dialect.prefix), width)
        self.unsent = b""
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(OPEN_SECONDS)
        self.sock.connect((job.host, job.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(frames.upgrade_request(f"{job.host}:{job.port}", job.target(room)))
        self.inbox.feed(self._upgrade())
        if self.dialect.auth:
            self.sock.sendall(frames.masked(self.dialect.auth))

    def sync(self) -> None:
        """Ask for the document, answer the server's question, wait until synced; then unblock."""
        self.sock.sendall(frames.masked(self.dialect.step1()))
        while not (self.inbox.synced and self.inbox.asked):
            if self.inbox.closed is not None:
                raise RefusedError("closed {} {}".format(*self.inbox.closed))
            self.inbox.feed(self._some())
        self.sock.sendall(frames.masked(self.dialect.step2()))
        self.sock.setblocking(False)

    def ask(self) -> None:
        """Only ask for the document; the answer is left to the caller. The socket unblocks."""
        self.sock.sendall(frames.masked(self.dialect.step1()))
        self.sock.setblocking(False)

    def send(self, data: bytes) -> None:
        """Send what the kernel takes now; the rest goes with the next `send` or `flush`."""
        if self.unsent:
            data = self.unsent + data
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        self.unsent = data[sent:] if sent < len(data) else b""

    def flush(self) -> None:
        """Try to send what waits."""
        if self.unsent:
            self.send(b"")

    def pong(self) -> None:
        """Answer the server's ping, as a WebSocket library does by itself."""
        if self.inbox.ping is not None:
            self.send(frames.masked(self.inbox.ping, frames.PONG))
            self.inbox.ping = None

    def close(self) -> None:
        """Drop the connection."""
        self.sock.close()

    def _upgrade(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        head, _, rest = data.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise RefusedError(head.split(b"\r\n", 1)[0].decode("latin-1"))
        return rest

    def _some(self) -> bytes:
        data = self.sock.recv(CHUNK)
        if not data:
            raise RefusedError("the server closed the connection")
        return data
