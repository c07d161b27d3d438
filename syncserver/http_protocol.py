"""uvicorn's HTTP protocol, with a limit on how long a client may take to ask.

uvicorn starts a timer only after its first answer: a connection that sends nothing, or a request one byte at a
time, would stay open for ever. Here each request's head has to arrive in bounded time. Bodies and answers take
as long as they take; who waits between two requests has uvicorn's own keep-alive timer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState


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

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """A client; what it wants is still to come."""
            super().connection_made(cast("asyncio.Transport", transport))
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            """The end."""
            self._forget_head()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Part of a request, or several."""
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

        def on_message_complete(self) -> None:
            """From the parser: whatever comes now is the next request's."""
            self._in_head = True
            super().on_message_complete()

        def handle_websocket_upgrade(self) -> None:
            """The connection is somebody else's from here on."""
            self._in_head = False
            super().handle_websocket_upgrade()
            # The parser and we hold one another; nobody tells us when the connection ends.
            self.parser = cast("Any", None)

        def _await_head(self) -> None:
            if not self.transport.is_closing():
                self._due = self.loop.call_later(head_seconds, self._too_slow)

        def _forget_head(self) -> None:
            if self._due is not None:
                self._due.cancel()
                self._due = None

        def _too_slow(self) -> None:
            self._due = None
            answering = cast("RequestResponseCycle | None", self.cycle)
            if answering is not None and not answering.response_complete:
                # An answer to an earlier request is under way, which need not suffer.
                self._await_head()
            else:
                self.transport.close()

    return Http
