"""Operating: the routes about how the server is."""

from __future__ import annotations

from typing import Final

from api import health
from api.errors import NotReady
from api.route import Limit, Octets, Route
from api.shapes import operating as shapes

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/api/health",
        handler=health.health,
        summary="Whether the process answers",
        tag="operating",
        limit=Limit.NONE,
        answer=shapes.Health,
    ),
    Route(
        method="GET",
        path="/api/ready",
        handler=health.ready,
        summary="Whether database, Redis and migrations are as they must be",
        tag="operating",
        limit=Limit.NONE,
        answer=shapes.Ready,
        raises=(NotReady,),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=health.numbers,
        summary="The numbers of the process, for Prometheus",
        tag="operating",
        limit=Limit.NONE,
        answer=(Octets("text/plain", "Prometheus text."),),
    ),
)
