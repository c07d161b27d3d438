"""What wraps every answer: headers that protect, numbers that count, errors that are caught.

Plain ASGI, because a body must be able to stream through and a failure must be seen where it
happens. From outside to the routes: `Harden`, `Observe`, `Cors`, `Rescue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api import problems
from api.errors import Internal, OriginNotAllowed
from base import clock, ids, log, metrics
from base.errors import AppError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from base.origins import Origins

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

_TLS_ONLY: Final = {"Strict-Transport-Security": "max-age=31536000"}

# What a page of another origin may send and read. A preflight is asked again after ten minutes, so
# that an origin taken from the list does not stay in browsers for long.
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, If-Match, If-None-Match, If-Range, Range, Share-Link,"
        " X-CSRF-Token"
    ),
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Link, Location, RateLimit-Limit,"
    " RateLimit-Remaining, RateLimit-Reset, Retry-After"
)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_log = log.get(__name__)


class Harden:
    """Adds security headers to every answer that has not set them itself.

    tls: people reach us by https only; browsers are told to keep it so.
    """

    def __init__(self, app: ASGIApp, *, tls: bool = False) -> None:
        self._app = app
        self._headers = _HEADERS | _TLS_ONLY if tls else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
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


class Cors:
    """Tells browsers which pages may read our answers, and stops strangers' pages that write.

    Listed pages may use cookies; with `*` any page may call with a token of its own, which a
    browser never adds by itself. Preflights are answered here, so no route sees one.
    """

    def __init__(self, app: ASGIApp, *, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        origin = asked.get("origin")
        granted = self._granted(origin, asked.get("host", ""))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Origin")
                headers.update(granted)
            await send(message)

        answer: ASGIApp = self._app
        if origin is not None and _is_preflight(scope["method"], asked):
            scope[TEMPLATE] = "preflight"
            answer = Response(status_code=204, headers=_PREFLIGHT if granted else {})
        elif origin is not None and not granted and scope["method"] not in _SAFE:
            scope[TEMPLATE] = "foreign"
            answer = problems.response(OriginNotAllowed(origin=origin))
        await answer(scope, receive, sending)

    def _granted(self, origin: str | None, host: str) -> dict[str, str]:
        """The headers that let a page read the answer; none for a stranger's, or for no page."""
        if origin is None or not self._origins.allows(origin, host):
            return {}
        granted = {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": _EXPOSED,
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if self._origins.trusts(origin, host):
            granted["Access-Control-Allow-Origin"] = origin
            granted["Access-Control-Allow-Credentials"] = "true"
        return granted


def _is_preflight(method: str, asked: Headers) -> bool:
    return method == "OPTIONS" and "access-control-request-method" in asked


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
