"""The only file that touches a WebSocket: picows under uvicorn, message bytes in, finished frames out.

uvicorn accepts the TCP connection and reads the upgrade request on the port that REST uses, then hands both
to `Upgrade`, a uvicorn WebSocket protocol class that is a picows `WSProtocol`. From then on picows parses frames
in C and `Socket` gives whole messages to a `Listener`; frames go out through the transport's own `write`.
Decides nothing about messages: limits on frames, timeouts and the close handshake only.
"""

from __future__ import annotations

import asyncio
import re
import socket as sockets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, WSUpgradeResponse

from base import log, metrics
from syncserver.connection import Code
from syncserver.wire import frames

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

if TYPE_CHECKING:
    # picows' stub leaves out what only servers of another framework need.
    class WSProtocol(asyncio.BufferedProtocol):
        """Of picows 2.3; parses frames in its own buffer."""

        def __init__(self, *options: object) -> None: ...
        def get_buffer(self, sizehint: int) -> memoryview:
            """Where the next bytes go."""
            ...

    class WSUpgradeResponseWithListener:
        """Of picows 2.3; an answer to an upgrade and who listens from then on."""

        def __init__(self, response: WSUpgradeResponse, listener: WSListener) -> None: ...
else:
    from picows.picows import WSProtocol, WSUpgradeResponseWithListener

_log = log.get("syncserver.transport")

_BINARY: Final = WSMsgType.BINARY
_HANDSHAKE_SECONDS: Final = 10
_CLOSE_SECONDS: Final = 3.0
"""How long a closed socket may take to answer with its own close frame."""
_DEAD_PEER_MS: Final = 30_000
_MESSAGE_TOO_BIG: Final = 1009
_NORMAL: Final = 1000
_NEVER_SENT: Final = (1005, 1006, 1015)
"""Close codes that must not appear in a frame (RFC 6455 7.4.1)."""
_MOST_FIELDS: Final = 32
_READ_BYTES: Final = 64 * 1024
_PART_COST: Final = 64
"""Bytes of memory that keeping even an empty fragment takes."""
_CONNECTION: Final = re.compile(rb"(?i)(\r\nconnection: )[^\r\n]*\r\n")


class Request(NamedTuple):
    """What a client asked for when it opened the socket."""

    path: str
    query: dict[str, str]
    protocols: tuple[str, ...]
    origin: str | None
    address: str


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
        """The socket is gone; nothing can be written any more."""
        ...


Accept = Callable[["Socket", Request], Listener]
"""Makes the listener of a new socket. Must not block; refusing is `Socket.close`."""


class Options(NamedTuple):
    """Bounds on every socket, in bytes."""

    frame_bytes: int
    outbox_bytes: int


class Socket(WSListener):
    """One WebSocket; implements `client.Wire`."""

    def __init__(self, request: Request, accept: Accept, options: Options) -> None:
        self._request = request
        self._accept = accept
        self._options = options
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._ws: WSTransport | None = None
        self._raw: asyncio.Transport | None = None
        self._listener: Listener | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._on_message: Callable[[bytes], None] | None = None
        self.heard = True

    # -- from picows --------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade is answered."""
        self._ws = transport
        self._raw = transport.underlying_transport
        self._raw.set_write_buffer_limits(high=self._options.outbox_bytes)
        metrics.connections.inc()
        self._listener = self._accept(self, self._request)
        self._on_message = self._listener.message

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand one frame on: nearly always a whole binary message."""
        self.heard = True
        if frame.fin and not self._parts and frame.msg_type == _BINARY:
            if self._on_message is not None:
                self._on_message(frame.get_payload_as_bytes())
            return
        self._unusual(transport, frame)

    def _unusual(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                # Echo the code, as RFC 6455 5.5.1 asks; one that stands for "none was given" is no code to send.
                code = int(cast("int", frame.get_close_code()))
                answer = _NORMAL if code < _NORMAL or code in _NEVER_SENT else code
                transport.send_close(cast("Any", answer))
            transport.disconnect()
        elif kind == WSMsgType.TEXT:
            metrics.rejected_frames_total.labels("text").inc()
            self.close(Code.BAD_DATA, "text messages are not understood here")
        elif kind == WSMsgType.CONTINUATION or kind == _BINARY:
            if (kind == _BINARY) == bool(self._parts):
                self.close(Code.BAD_DATA, "a fragmented message is out of order")
                return
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
        self._on_message = None
        if self._deadline is not None:
            self._deadline.cancel()
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

    # -- client.Wire --------------------------------------------------------------------------------------------

    @property
    def write(self) -> Callable[[bytes], None]:
        """The transport's own write: the shortest way out, for finished frames."""
        assert self._raw is not None, "a socket is written to only once it is connected"
        return self._raw.write

    def close(self, code: int, reason: str) -> None:
        """Say why, then end the connection: gracefully if the peer answers, hard after a few seconds."""
        ws = self._ws
        if ws is None or ws.is_disconnected or ws.is_close_frame_sent:
            return
        self._on_message = None
        self._parts = []
        # picows' stub wants its enum; the code itself takes any number, as 4400-4499 need.
        ws.send_close(cast("Any", int(code)), frames.reason(reason))
        self._deadline = asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self.abort)

    def too_large(self) -> None:
        """Close because a message is larger than allowed."""
        metrics.rejected_frames_total.labels("too_large").inc()
        self.close(Code.TOO_LARGE, f"a message may have at most {self._options.frame_bytes} bytes")

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

    def pause_reading(self) -> None:
        """Let TCP hold this client back."""
        if self._raw is not None and not self._raw.is_closing():
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._raw is not None and not self._raw.is_closing():
            self._raw.resume_reading()


class _ParserLog:
    """Stands in for picows' logger, which would cost a Logger object per connection.

    picows reports a frame it refuses here, before it closes with 1009, a code after which y-websocket clients
    come back and send the same frame again. `on_too_large` closes with a final code first.
    """

    def __init__(self) -> None:
        self.on_too_large: Callable[[], None] | None = None

    def isEnabledFor(self, level: int) -> bool:
        """Nothing below errors is of interest."""
        return False

    def log(self, *_: object) -> None:
        """Drop what picows tells about every connection."""

    debug = info = warning = log

    def error(self, message: str, *args: object) -> None:
        """A frame that picows refuses; it closes the connection right after."""
        detail = cast("tuple[object, ...]", args[0]) if args else ()
        if detail[:1] == (_MESSAGE_TOO_BIG,) and self.on_too_large is not None:
            self.on_too_large()
        else:
            metrics.rejected_frames_total.labels("framing").inc()
            _log.info("websocket framing error", detail=str(detail))

    def exception(self, message: str, *args: object) -> None:
        """A fault in our own listener."""
        _log.exception("websocket failure", event_text=message % args if args else message)


def protocol_class(accept: Accept, options: Options) -> type[asyncio.Protocol]:
    """The class that uvicorn's `Config(ws=...)` takes."""

    class Upgrade(WSProtocol):
        """One upgraded connection, in the life cycle that uvicorn gives its protocols."""

        def __init__(
            self,
            config: uvicorn.Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            self._parser_log = _ParserLog()
            self._connections = cast("set[object]", server_state.connections)
            self._socket: Socket | None = None
            self._raw: asyncio.Transport | None = None
            self._deaf = False
            super().__init__(
                None, None, False, self._listen, self._parser_log, True, _HANDSHAKE_SECONDS,
                False, None, None, 1, True, options.frame_bytes, None, 2048,
            )  # fmt: skip

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """A TCP connection whose request was an upgrade."""
            self._raw = cast("asyncio.Transport", transport)
            self._connections.add(self)
            raw = transport.get_extra_info("socket")
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
            if hasattr(sockets, "TCP_USER_TIMEOUT"):
                # A peer that vanished without a FIN is noticed by what it does not acknowledge.
                raw.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, _DEAD_PEER_MS)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            """The end."""
            self._connections.discard(self)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Take the upgrade request, which uvicorn hands over as bytes, into picows' own buffer."""
            if self._socket is None:
                # Firefox says `keep-alive, Upgrade`, which picows does not take; uvicorn has seen what it means.
                data = _CONNECTION.sub(rb"\1Upgrade\r\n", data, count=1)
            rest = memoryview(data)
            while rest:
                room = self.get_buffer(-1)
                size = min(len(room), len(rest))
                room[:size] = rest[:size]
                self.buffer_updated(size)
                rest = rest[size:]

        def get_buffer(self, sizehint: int) -> memoryview:
            """Where the next bytes go: a bounded part, or a flood of tiny frames would be one endless turn."""
            return super().get_buffer(sizehint)[:_READ_BYTES]

        def buffer_updated(self, nbytes: int) -> None:
            """Bytes arrived in the buffer."""
            # After a frame that is too large the rest of it is read and dropped, so that the close frame
            # arrives (closing a socket with unread data resets it) and no memory grows.
            if not self._deaf:
                super().buffer_updated(nbytes)

        def shutdown(self) -> None:
            """Close: called by uvicorn when it stops."""
            if self._socket is not None:
                self._socket.close(Code.RESTARTING, "the server is restarting")
            elif self._raw is not None:
                self._raw.close()

        def _listen(self, upgrade: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
            assert self._raw is not None
            request = _request(upgrade, self._raw.get_extra_info("peername"))
            opened = Socket(request, accept, options)
            self._socket = opened

            def too_large() -> None:
                opened.too_large()
                self._deaf = True

            self._parser_log.on_too_large = too_large
            # A client that offers subprotocols wants one of them chosen; browsers fail otherwise.
            chosen = {"Sec-WebSocket-Protocol": request.protocols[0]} if request.protocols else None
            response = WSUpgradeResponse.create_101_response(chosen)
            return WSUpgradeResponseWithListener(response, opened)

    return cast("type[asyncio.Protocol]", Upgrade)


def _request(upgrade: WSUpgradeRequest, peer: object) -> Request:
    try:
        target = urlsplit(upgrade.path.decode("latin-1"))
        fields = parse_qs(target.query, max_num_fields=_MOST_FIELDS)
    except ValueError:
        # No address of ours looks like this: it leads to no room, and the client is told so.
        target, fields = urlsplit("/"), dict[str, list[str]]()
    query = {name: values[-1] for name, values in fields.items()}
    offered = upgrade.headers.get("Sec-WebSocket-Protocol", "")
    return Request(
        path=unquote(target.path),
        query=query,
        protocols=tuple(part.strip() for part in offered.split(",") if part.strip()),
        origin=upgrade.headers.get("Origin"),
        address=str(cast("tuple[object, ...]", peer)[0])
        if isinstance(peer, tuple) and peer
        else "",
    )
