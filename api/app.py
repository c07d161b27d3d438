"""The REST application: the table of routes behind the wrapping that every answer gets.

Builds and dispatches; knows no route by name. WebSockets never come this way, the transport
takes them before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute

from api import middleware, page, problems
from api.errors import MalformedRequest, MethodNotAllowed, NotFound
from api.requests import Call
from api.route import JSON, NAME
from api.routes import ROUTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.route import Route
    from api.services import Services
    from auth.ratelimit import Count

_COUNT: Final = "syncsphere.count"
"""Scope key under which a door leaves where its asker stands."""


def build(services: Services) -> Starlette:
    """The application, with the page at `/`."""
    paths: dict[str, list[Route]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, []).append(route)
    doors = [StarletteRoute(_pattern(path), _Door(services, each)) for path, each in paths.items()]
    public = services.settings.public_url
    app = Starlette(
        routes=[*doors, Mount("/", page.ExamplePage(services.page))],
        exception_handlers={HTTPException: _of_starlette},
        middleware=[
            Middleware(middleware.Harden, tls=(public or "").startswith("https:")),
            Middleware(middleware.Observe),
            Middleware(_Counted),
            Middleware(middleware.Cors, origins=services.origins),
            Middleware(middleware.Rescue),
        ],
    )
    app.router.redirect_slashes = False
    return app


def _pattern(path: str) -> str:
    """A path as Starlette takes it: names go over several parts of one."""
    return path.replace(f"{{{NAME}}}", f"{{{NAME}:path}}")


def _of_starlette(_request: Request, error: Exception) -> Response:
    """What Starlette itself refuses (an address, a method, a file), in our words."""
    match error:
        case HTTPException(status_code=405, headers={"Allow": allow}):
            return problems.response(MethodNotAllowed(allow=allow.split(", ")))
        case HTTPException(status_code=404 | 401):  # 401: a file that we may not read ourselves
            return problems.response(NotFound())
        case _:
            return problems.response(MalformedRequest())


class _Counted:
    """Says on every answer that was counted where its asker stands, also on refusals."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            count: Count | None = scope.get(_COUNT)
            if count is not None and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Limit"] = str(count.limit)
                headers["RateLimit-Remaining"] = str(count.remaining)
                headers["RateLimit-Reset"] = str(count.reset_seconds)
            await send(message)

        await self._app(scope, receive, sending)


class _Door:
    """Every method of one path."""

    def __init__(self, services: Services, routes: list[Route]) -> None:
        self._services = services
        self._routes = {route.method: route for route in routes}
        if "GET" in self._routes:
            self._routes["HEAD"] = self._routes["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        route = self._routes.get(request.method)
        if route is None:
            scope[middleware.TEMPLATE] = next(iter(self._routes.values())).path
            raise MethodNotAllowed(allow=sorted(self._routes))
        scope[middleware.TEMPLATE] = route.path
        call = Call(self._services, route, request)
        try:
            await call.open()
        finally:
            scope[_COUNT] = call.count
        response = _response(await route.handler(call), call, route)
        await response(scope, receive, send)


def _response(answer: object, call: Call, route: Route) -> Response:
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status_code=route.status)
    if type(answer) is not route.answer:
        raise TypeError(f"{route.operation} answers another shape")
    content = msgspec.json.encode(answer)
    return Response(content, route.status, call.answer_headers, JSON)
