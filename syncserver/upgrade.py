"""The life of one TCP connection as a WebSocket: taken over from uvicorn, parsed by picows, turned away, ended.

uvicorn accepts the connection and reads the upgrade request on the port that REST uses, then hands both to
`Upgrade`, a uvicorn WebSocket protocol class that is a picows `WSProtocol`. From then on picows parses frames in C
and calls a `transport.Socket`, which is made here. What is here is about bytes and time: where they are read to,
how many of a stranger, how a peer that is still sending gets to read why it is turned away.
"""

from __future__ import annotations

import asyncio
import re
import socket as sockets
import weakref
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

from picows import WSUpgradeRequest, WSUpgradeResponse

from base import log, metrics
from syncserver import pages
from syncserver.connection import TOO_EARLY, Code
from syncserver.transport import Accept, Options, Request, Socket

if TYPE_CHECKING:
    import uvicorn
    from picows import WSListener
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

_log = log.get("syncserver.upgrade")

_NO_HANDSHAKE_TIMEOUT: Final = None
"""uvicorn hands a connection over only with its whole request; `http_protocol` limits how long that may take."""
_NO_AUTO_PONG: Final = False
"""`Socket` answers pings itself: one that picows answers is heard by nobody else."""
_LINGER_SECONDS: Final = 30.0
"""How long a peer that is turned away may go on sending before it reads why."""
_DEAD_PEER_MS: Final = 30_000
_MESSAGE_TOO_BIG: Final = 1009
_MOST_FIELDS: Final = 32
_READ_BYTES: Final = 64 * 1024
_UNREAD: Final = memoryview(bytearray(_READ_BYTES))
"""Where everything goes that nobody looks at; one for all sockets."""
_CONNECTION: Final = re.compile(rb"(?i)(\r\nconnection: )[^\r\n]*\r\n")


class _Pipe:
    """The TCP transport as picows sees it, which can be kept open although picows closes it.

    picows closes 10 ms after a frame that it refuses. Closing a socket while data comes in resets it, and the peer,
    which is still sending, would never see the close frame that says why.
    """

    __slots__ = (
        "abort",
        "get_extra_info",
        "get_write_buffer_size",
        "lingering",
        "raw",
        "write",
        "writelines",
    )

    def __init__(self, raw: asyncio.Transport) -> None:
        self.raw = raw
        self.abort = raw.abort
        self.get_extra_info = raw.get_extra_info
        self.get_write_buffer_size = raw.get_write_buffer_size
        self.write = raw.write
        self.writelines = raw.writelines
        self.lingering = False

    def close(self) -> None:
        """What picows asks for; not while the peer has still to read why."""
        if not self.lingering:
            self.raw.close()


class _ParserLog:
    """Stands in for picows' logger, which would cost a Logger object per connection.

    picows reports a frame it refuses here, before it closes with 1009, a code after which y-websocket clients
    come back and send the same frame again. The socket closes with a final code first.
    """

    def __init__(self) -> None:
        self.socket: Socket | None = None

    def isEnabledFor(self, level: int) -> bool:
        """Nothing below errors is of interest."""
        return False

    def log(self, *_: object) -> None:
        """Drop what picows tells about every connection."""

    debug = info = warning = log

    def error(self, message: str, *args: object) -> None:
        """A frame that picows refuses; it closes the connection right after."""
        detail = cast("tuple[object, ...]", args[0]) if args else ()
        if detail[:1] == (_MESSAGE_TOO_BIG,) and self.socket is not None:
            self.socket.too_large()
        else:
            metrics.rejected_frames_total.labels("framing").inc()
            _log.info("websocket framing error", detail=str(detail))
            self._turn_away()

    def exception(self, message: str, *args: object) -> None:
        """A fault in our own listener."""
        _log.exception("websocket failure", event_text=message % args if args else message)
        self._turn_away()

    def _turn_away(self) -> None:
        # picows sends a close frame next; the listener must not write behind it until the connection is gone.
        if self.socket is not None:
            self.socket.turn_away()


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
            self._pipe: _Pipe | None = None
            self._before = 0
            self._linger: asyncio.TimerHandle | None = None
            me = weakref.ref(self)

            def listen(upgrade: WSUpgradeRequest) -> WSUpgradeResponseWithListener | None:
                # picows keeps this; it must not keep us.
                asked = me()
                return asked and asked.listen(upgrade)

            super().__init__(
                None, None, False, listen, self._parser_log, True, _NO_HANDSHAKE_TIMEOUT,
                False, None, None, 1, _NO_AUTO_PONG, options.frame_bytes, None, 2048,
            )  # fmt: skip

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """A TCP connection whose request was an upgrade."""
            pipe = self._pipe = _Pipe(cast("asyncio.Transport", transport))
            self._connections.add(self)
            raw = transport.get_extra_info("socket")
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
            if hasattr(sockets, "TCP_USER_TIMEOUT"):
                # A peer that vanished without a FIN is noticed by what it does not acknowledge.
                raw.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, _DEAD_PEER_MS)
            super().connection_made(cast("asyncio.BaseTransport", pipe))

        def connection_lost(self, exc: Exception | None) -> None:
            """The end."""
            self._connections.discard(self)
            if self._linger is not None:
                self._linger.cancel()
                self._linger = None
            super().connection_lost(exc)
            self._parser_log.socket = None
            self._socket = None
            self._pipe = None

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
            # The request is none of what a stranger may send.
            self._before = 0

        def get_buffer(self, sizehint: int) -> memoryview:
            """Where the next bytes go: a bounded part, or a flood of tiny frames would be one endless turn."""
            if self._linger is not None:
                return _UNREAD
            return super().get_buffer(sizehint)[:_READ_BYTES]

        def buffer_updated(self, nbytes: int) -> None:
            """Bytes arrived in the buffer."""
            if self._linger is not None:
                return
            super().buffer_updated(nbytes)
            opened = self._socket
            if opened is not None:
                opened.bytes_left -= nbytes
                if opened.bytes_left < 0:
                    opened.overdrawn()
                if opened.attention:
                    self._attend(opened, nbytes)

        def _attend(self, opened: Socket, nbytes: int) -> None:
            """See `Socket.attention`."""
            if not opened.known:
                self._before += nbytes
                if self._before > options.preauth_bytes:
                    opened.refuse(*TOO_EARLY)
            if opened.refused:
                self._turn_away(opened)
                return
            if opened.large:
                opened.large = False
                # picows' buffer has grown to the message and would stay so until the connection ends.
                pages.give_back(super().get_buffer(-1))
            opened.attention = not opened.known

        def _turn_away(self, opened: Socket) -> None:
            """End a connection whose peer may be sending still, so that it reads why.

            The close frame is followed by the end of our side; whatever comes is read and dropped, or the peer would
            see a reset, until it has seen the end too and closes, or until the time is up.
            """
            pipe = self._pipe
            opened.leave()
            if pipe is None or pipe.raw.is_closing():
                return
            pipe.lingering = True
            self._linger = asyncio.get_running_loop().call_later(_LINGER_SECONDS, pipe.raw.abort)
            pipe.raw.write_eof()
            pipe.raw.resume_reading()

        def shutdown(self) -> None:
            """Close: called by uvicorn when it stops."""
            if self._linger is not None and self._pipe is not None:
                self._pipe.abort()
            elif self._socket is not None:
                self._socket.end(Code.RESTARTING, "the server is restarting")
            elif self._pipe is not None:
                self._pipe.close()

        def listen(self, upgrade: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
            """Answer the request and say who listens from now on."""
            assert self._pipe is not None
            request = _request(upgrade, self._pipe.get_extra_info("peername"))
            opened = Socket(self._pipe.raw, request, accept, options)
            self._socket = opened
            self._parser_log.socket = opened
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
    forwarded = upgrade.headers.getall("X-Forwarded-For", [])
    cookies = upgrade.headers.getall("Cookie", [])
    return Request(
        path=unquote(target.path),
        query=query,
        protocols=tuple(part.strip() for part in offered.split(",") if part.strip()),
        origin=upgrade.headers.get("Origin"),
        address=str(cast("tuple[object, ...]", peer)[0])
        if isinstance(peer, tuple) and peer
        else "",
        host=upgrade.headers.get("Host", ""),
        cookie="; ".join(cookies) or None,
        forwarded=", ".join(forwarded) or None,
    )
