"""One WebSocket, between picows and who listens to it: whole messages in, finished frames out.

picows, under `upgrade.Upgrade`, parses frames in C; `Socket` makes messages of them for a `Listener`, and frames go
out through the TCP transport's own `write`. It closes, holds and pings; with `upgrade.py`, the only file that knows
picows. Decides nothing about messages: sizes, order of fragments and the close handshake only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, cast

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from base import clock, metrics
from syncserver import meter
from syncserver.client import Hold
from syncserver.connection import Code
from syncserver.wire import frames

_BINARY: Final = WSMsgType.BINARY
_CLOSE_SECONDS: Final = 3.0
"""How long a closed socket may take to answer with its own close frame, and to read what was written before."""
_NORMAL: Final = 1000
_NEVER_SENT: Final = (1005, 1006, 1015)
"""Close codes that must not appear in a frame (RFC 6455 7.4.1)."""
_LARGE_BYTES: Final = 256 * 1024
"""A message from which on the memory it was read into is given back."""
_PART_COST: Final = 64
"""Bytes of memory that keeping even an empty fragment takes."""


class Request(NamedTuple):
    """What a client asked for when it opened the socket."""

    path: str
    query: dict[str, str]
    protocols: tuple[str, ...]
    origin: str | None
    address: str
    """Of the peer: a client, or a proxy that says in `forwarded` (X-Forwarded-For, all of it) whom it speaks for."""
    host: str = ""
    cookie: str | None = None
    forwarded: str | None = None


class Listener(Protocol):
    """Who hears what a socket says."""

    def message(self, data: bytes, /) -> None:
        """One whole binary message."""
        ...

    def full(self) -> None:
        """The transport has more to write than it should hold."""
        ...

    def drained(self) -> None:
        """The transport can take more again."""
        ...

    def lost(self) -> None:
        """The socket is gone, or its close frame is written: nothing can be written any more."""
        ...


Accept = Callable[["Socket", Request], Listener]
"""Makes the listener of a new socket. Must not block; refusing is `Socket.close`."""


class Options(NamedTuple):
    """Bounds on every socket, in bytes.

    `preauth_bytes` is how much of one is read before `Socket.admitted`, in whatever frames. Who sends more than so
    many frames or bytes a second, for longer than a burst, is read no faster; 0 is no limit.
    """

    frame_bytes: int
    outbox_bytes: int
    preauth_bytes: int
    frames_per_second: int = 0
    bytes_per_second: int = 0


class Socket(WSListener):
    """One WebSocket; implements `client.Wire`.

    `attention` asks `Upgrade` to look, after a read, at what is rare: whether the client is `known`, whether it is
    `refused` (nothing more of it is looked at) and whether something `large` came.
    """

    def __init__(
        self, raw: asyncio.Transport, request: Request, accept: Accept, options: Options
    ) -> None:
        self._request = request
        self._accept = accept
        self._options = options
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._ws: WSTransport | None = None
        self._raw: asyncio.Transport | None = raw
        self._listener: Listener | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._on_message: Callable[[bytes], None] | None = None
        now = clock.monotonic()
        self._frames = meter.Meter(options.frames_per_second, now)
        self._bytes = meter.Meter(options.bytes_per_second, now)
        self._frames_left = self._frames.full
        self.bytes_left = self._bytes.full
        """Counted down by `Upgrade` with every read; below zero: `overdrawn`."""
        self._resuming: asyncio.TimerHandle | None = None
        self._frames_then = self._frames.full + 1
        self.held = Hold(0)
        self.attention = True
        self.known = False
        self.refused = False
        self.large = False

    # -- from picows --------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade is answered."""
        self._ws = transport
        assert self._raw is not None, "a connection opens before it is lost"
        self._raw.set_write_buffer_limits(high=self._options.outbox_bytes)
        metrics.connections.inc()
        self._listener = self._accept(self, self._request)
        self._on_message = self._listener.message

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand one frame on: nearly always a whole binary message."""
        self._frames_left = left = self._frames_left - 1
        if left < 0:
            self.overdrawn()
        if frame.fin and not self._parts and frame.msg_type == _BINARY:
            if frame.payload_size >= _LARGE_BYTES:
                self.attention = self.large = True
            if self._on_message is not None:
                self._on_message(frame.get_payload_as_bytes())
            return
        self._unusual(transport, frame)

    def _unusual(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            # Echo the code, as RFC 6455 5.5.1 asks; one that stands for "none was given" is no code to send.
            code = int(cast("int", frame.get_close_code()))
            self.end(_NORMAL if code < _NORMAL or code in _NEVER_SENT else code, "")
            transport.disconnect()
        elif kind == WSMsgType.TEXT:
            metrics.rejected_frames_total.labels("text").inc()
            self.end(Code.BAD_DATA, "text messages are not understood here")
        elif kind == WSMsgType.CONTINUATION or kind == _BINARY:
            if (kind == _BINARY) == bool(self._parts):
                self.end(Code.BAD_DATA, "a fragmented message is out of order")
                return
            if frame.payload_size >= _LARGE_BYTES:
                self.attention = self.large = True
            part = frame.get_payload_as_bytes()
            self._parts_bytes += len(part) + _PART_COST
            if self._parts_bytes > self._options.frame_bytes:
                self.too_large()
                return
            self._parts.append(part)
            if frame.fin:
                whole = b"".join(self._parts)
                self._parts = []
                self._parts_bytes = 0
                if self._on_message is not None:
                    self._on_message(whole)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The TCP connection is gone."""
        metrics.connections.dec()
        self.leave()
        # No circles: what is gone is freed at once, not when the collector comes by.
        self._ws = None
        self._raw = None

    def leave(self) -> None:
        """Nothing is read or written any more; the TCP connection may last a little longer."""
        self._on_message = None
        self._parts = []
        for timer in (self._deadline, self._resuming):
            if timer is not None:
                timer.cancel()
        self._deadline = self._resuming = None
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.lost()

    def pause_writing(self) -> None:
        """The transport holds more than it should."""
        if self._listener is not None:
            self._listener.full()

    def resume_writing(self) -> None:
        """The transport has written nearly everything."""
        if self._listener is not None:
            self._listener.drained()

    def heard(self) -> bool:
        """Whether anything was heard since this was asked last."""
        # The count tells it, too; nothing else need be done for each frame.
        then, self._frames_then = self._frames_then, self._frames_left
        return then != self._frames_left

    # -- client.Wire --------------------------------------------------------------------------------------------

    @property
    def write(self) -> Callable[[bytes], None]:
        """The transport's own write: the shortest way out, for finished frames."""
        assert self._raw is not None, "a socket is written to only once it is connected"
        return self._raw.write

    def close(self, code: int, reason: str) -> None:
        """Say why, then end the connection: gracefully if the peer answers, hard after a few seconds."""
        if self._say_why(code, reason):
            self._on_message = None
            self._parts = []
            self._end_soon()

    def end(self, code: int, reason: str) -> None:
        """Close of our own accord, or the peer's: the listener is told at once and writes nothing behind the frame.

        Without effect where a close frame has been sent before: whoever sent it sees to the end.
        """
        if self._say_why(code, reason):
            self.leave()
            self._end_soon()

    def _end_soon(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self.abort)

    def _say_why(self, code: int, reason: str) -> bool:
        ws = self._ws
        if ws is None or ws.is_disconnected or ws.is_close_frame_sent:
            return False
        # picows' stub wants its enum; the code itself takes any number, as 4400-4499 need.
        ws.send_close(cast("Any", int(code)), frames.reason(reason))
        return True

    def refuse(self, code: int, reason: str) -> None:
        """Close on a peer that is in the middle of sending too much; `Upgrade` ends it after this read.

        Whole messages of the same read, before the one that is too much, are still handed on.
        """
        self._say_why(code, reason)
        self.turn_away()

    def turn_away(self) -> None:
        """The close frame is written, or picows is about to: `Upgrade` ends the rest after this read."""
        self.attention = self.refused = True

    def too_large(self) -> None:
        """Close because a message is larger than allowed."""
        metrics.rejected_frames_total.labels("too_large").inc()
        self.refuse(Code.TOO_LARGE, f"a message may have at most {self._options.frame_bytes} bytes")

    def overdrawn(self) -> None:
        """Perhaps too much was said: nothing is dropped, but nothing more is read until there is room for it.

        What was read together with it still comes.
        """
        if self._resuming is not None or self._listener is None:
            return
        wait = self._refill()
        if wait:
            kind = "frames" if self._frames_left < 0 else "bytes"
            metrics.sockets_slowed_total.labels(kind).inc()
            self.hold(Hold.BUDGET)
            self._resuming = asyncio.get_running_loop().call_later(wait, self._resume)

    def _resume(self) -> None:
        self._resuming = None
        wait = self._refill()
        if wait:
            self._resuming = asyncio.get_running_loop().call_later(wait, self._resume)
        else:
            self.release(Hold.BUDGET)

    def _refill(self) -> float:
        now = clock.monotonic()
        self._frames_left = self._frames.refilled(self._frames_left, now)
        self.bytes_left = self._bytes.refilled(self.bytes_left, now)
        return max(self._frames.wait(self._frames_left), self._bytes.wait(self.bytes_left))

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._raw is not None:
            self._raw.abort()

    def ping(self) -> None:
        """Ask for a sign of life; any frame counts as one."""
        if self._ws is not None:
            self._ws.send_ping()

    def buffered(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        return 0 if self._raw is None else self._raw.get_write_buffer_size()

    def admitted(self) -> None:
        """The listener knows who this is: no bound but that on frames holds any more."""
        self.known = True
        self.release(Hold.ADMISSION)

    def hold(self, reason: Hold) -> None:
        """Let TCP hold this client back, until every reason given has been released."""
        first = not self.held
        self.held |= reason
        if first and not self.refused and self._raw is not None and not self._raw.is_closing():
            self._raw.pause_reading()

    def release(self, reason: Hold) -> None:
        """Take a reason back, given or not; read on if it was the last one."""
        if not self.held:
            return
        self.held &= ~reason
        if not self.held and self._raw is not None and not self._raw.is_closing():
            self._raw.resume_reading()
