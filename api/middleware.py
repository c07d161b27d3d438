"""What wraps every answer: headers that protect, numbers that count, errors that are caught.

Plain ASGI, because a body must be able to stream through and a failure must be seen where it
happens. `Harden` is outside, `Observe` in the middle, `Rescue` next to the routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

from api import problems
from api.errors import Internal
from base import clock, ids, log, metrics
from base.errors import AppError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TEMPLATE: Final = "syncsphere.route"
"""Scope key under which a route leaves its path template, for the metrics."""

CLIENT_LEFT: Final = 499
"""Counted, never sent: the client went away before there was an answer."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# What is not set by the answer itself. No answer of REST is a page, so nothing in it may load or
# frame anything; the page at / brings its own policy.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_log = log.get(__name__)


class Harden:
    """Adds security headers to every answer that has not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending)


class Observe:
    """Counts and times answers by route template: a few label values, whatever is asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = clock.monotonic(), CLIENT_LEFT

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            seconds = clock.monotonic() - started
            route = scope.get(TEMPLATE, "unknown")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            metrics.http_requests_total.labels(route, method, str(status)).inc()
            metrics.http_request_seconds.labels(route).observe(seconds)
            _log.debug("answered", route=route, method=method, status=status, seconds=seconds)


class Rescue:
    """Turns whatever is raised inside into a problem; nothing gets past it but a broken stream."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:
            problem = _problem(error, scope)
            if begun:
                # Half an answer is out; only a broken connection tells the client.
                raise
            await problems.response(problem)(scope, receive, send)


def _problem(error: Exception, scope: Scope) -> AppError:
    match error:
        case AppError() if error.code in problems.STATUS:
            problem = error if problems.status(error) != 500 else type(error)()
        case _:
            problem = Internal()
    if problem is not error:
        # The client gets an id and no detail; the operator finds the rest under it.
        problem.data["id"] = error_id = str(ids.new_id())
        _log.error("internal_error", id=error_id, route=scope.get(TEMPLATE), exc_info=error)
    return problem
