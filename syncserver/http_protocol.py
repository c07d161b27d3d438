"""uvicorn's HTTP protocol, with a limit on how long a client may take to ask, and refusals that arrive.

uvicorn starts a timer only after its first answer: a connection that sends nothing, or a request one byte at a
time, would stay open for ever. Here each request's head has to arrive in bounded time. Bodies and answers take
as long as they take; who waits between two requests has uvicorn's own keep-alive timer.

uvicorn closes at once after an answer when the client wants no second one. Where the client is still sending
(a body that was refused early), that is a TCP reset, which makes the client's system throw away the answer. Here
our side ends, and for a while what still comes is read and dropped, so that the client gets to read why.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import uvicorn
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState


MALFORMED: Final = (
    b'{"type":"urn:syncsphere:problem:malformed_request","title":"The request is not well-formed.",'
    b'"status":400,"detail":"The request is not well-formed.","code":"malformed_request"}'
)
"""As `api.problems` would say it, which never sees these requests (a test compares)."""

LINGER_SECONDS: Final = 5.0
"""How long a client that has its answer may go on sending before the connection is closed."""


class _Outlet(asyncio.Transport):
    """The transport as the answer to one request sees it: to close it is to ask for the end."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._close = close

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Part of the answer."""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing more can be said."""
        return self._transport.is_closing()

    def close(self) -> None:
        """The answer is complete, or will never be."""
        self._close()


def protocol_class(head_seconds: float) -> type[asyncio.Protocol]:
    """The class that uvicorn's `Config(http=...)` takes."""

    class Http(HttpToolsProtocol):
        """One TCP connection, until it ends or is upgraded."""

        def __init__(
            self,
            config: uvicorn.Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self._heads = 0
            self._in_head = True
            self._due: asyncio.TimerHandle | None = None
            self._leaving: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """A client; what it wants is still to come."""
            super().connection_made(cast("asyncio.Transport", transport))
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            """The end."""
            self._forget_head()
            if self._leaving is not None:
                self._leaving.cancel()
            super().connection_lost(exc)
            answer = self._answer()
            if answer is not None:
                # Its outlet and we hold one another.
                answer.transport = self.transport

        def data_received(self, data: bytes) -> None:
            """Part of a request, or several."""
            if self._leaving is not None:
                return
            complete = self._heads
            super().data_received(data)
            # Not after a whole request: then nothing of the next one may have come, and uvicorn's timer runs.
            if self._in_head and self._heads == complete and self._due is None:
                self._await_head()

        def on_headers_complete(self) -> None:
            """From the parser: it is known what the client wants."""
            self._forget_head()
            self._heads += 1
            self._in_head = False
            super().on_headers_complete()
            answer = self._answer()
            # Not where this becomes a WebSocket: there may be an earlier request's, or none.
            if answer is not None and answer.transport is self.transport:
                answer.transport = _Outlet(self.transport, self._finish)

        def on_message_complete(self) -> None:
            """From the parser: whatever comes now is the next request's."""
            self._in_head = True
            super().on_message_complete()

        def on_response_complete(self) -> None:
            """From the answer, which has asked for the end by now if there shall be one."""
            super().on_response_complete()
            if self._leaving is not None:
                # There is no next request to wait for.
                self._unset_keepalive_if_required()

        def send_400_response(self, msg: str) -> None:
            """Of what the parser does not understand: a problem like every other. `msg` is uvicorn's, for its log."""
            answer = self._answer()
            if answer is not None and not answer.response_complete:
                # Whoever works on it would answer after us.
                answer.disconnected = True
                answer.message_event.set()
                if answer.response_started:
                    self.transport.close()
                    return
            parts = [STATUS_LINE[400]]
            parts += [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
            parts.append(b"content-type: application/problem+json\r\nconnection: close\r\n")
            parts.append(b"content-length: %d\r\n\r\n" % len(MALFORMED))
            self.transport.write(b"".join(parts) + MALFORMED)
            self._leave()

        def handle_websocket_upgrade(self) -> None:
            """The connection is somebody else's from here on."""
            self._in_head = False
            super().handle_websocket_upgrade()
            # The parser and we hold one another; nobody tells us when the connection ends.
            self.parser = cast("Any", None)

        def _answer(self) -> RequestResponseCycle | None:
            """To the newest request; uvicorn's own type does not say that there may be none yet."""
            return cast("RequestResponseCycle | None", self.cycle)

        def _finish(self) -> None:
            answer = self._answer()
            if answer is not None and answer.response_complete and answer.more_body:
                self._leave()
            else:
                self.transport.close()

        def _leave(self) -> None:
            """End our side; what the client still sends is dropped until it ends its own, or time is up."""
            if self._leaving is not None or self.transport.is_closing():
                return
            self._forget_head()
            if not self.transport.can_write_eof():
                self.transport.close()
                return
            self._leaving = self.loop.call_later(LINGER_SECONDS, self.transport.close)
            self.transport.write_eof()
            self.flow.resume_reading()

        def _await_head(self) -> None:
            if not self.transport.is_closing():
                self._due = self.loop.call_later(head_seconds, self._too_slow)

        def _forget_head(self) -> None:
            if self._due is not None:
                self._due.cancel()
                self._due = None

        def _too_slow(self) -> None:
            self._due = None
            answering = self._answer()
            if answering is not None and not answering.response_complete:
                # An answer to an earlier request is under way, which need not suffer.
                self._await_head()
            else:
                self.transport.close()

    return Http
