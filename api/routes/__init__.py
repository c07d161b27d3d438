"""Every route in one table, put together from a file for each tag; start reading here.

The dispatcher (`app.py`) and the OpenAPI document (`openapi.py`) are both made from it, so a
route that works is described and a route that is described works. The page at `/` and its files
are not part of the interface and are mounted by `app.py`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from api import health, openapi
from api.route import JSON, Octets, Route
from api.routes import (
    accounts,
    audit,
    branches,
    bundles,
    documents,
    graph,
    history,
    members,
    merging,
    oidc,
    operating,
    past,
    projects,
    sessions,
    upkeep,
    users,
)

if TYPE_CHECKING:
    from api.requests import Call


@functools.cache
def _written() -> bytes:
    return msgspec.json.encode(openapi.document(ROUTES, version=health.VERSION))


async def specification(_call: Call) -> Response:
    """The table below, as OpenAPI."""
    return Response(_written(), headers={"Cache-Control": "no-cache"}, media_type=JSON)


ROUTES: Final[tuple[Route, ...]] = (
    *accounts.ROUTES,
    *sessions.ROUTES,
    *oidc.ROUTES,
    *users.ROUTES,
    # Before projects: `import` is no project's id.
    *bundles.ROUTES,
    *projects.ROUTES,
    *members.ROUTES,
    *documents.ROUTES,
    *history.ROUTES,
    *past.ROUTES,
    *graph.ROUTES,
    *merging.ROUTES,
    *branches.ROUTES,
    *upkeep.ROUTES,
    *audit.ROUTES,
    *operating.ROUTES,
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=specification,
        summary="This description of the interface",
        tag="operating",
        answer=(Octets(JSON, "An OpenAPI 3.1 document."),),
    ),
)
