"""The picture of a project's commits: its route."""

from __future__ import annotations

from typing import Final

from api import graph
from api.route import PROJECT, SVG, Auth, Octets, Route
from api.shapes import graph as shapes
from auth import errors as auth
from base.db import DatabaseUnavailable
from docstore.errors import CursorInvalid, ProjectNotFound
from docstore.history.errors import BranchNotFound

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path=PROJECT + "/graph.svg",
        handler=graph.graph,
        summary="Draw the commits",
        tag="history",
        auth=Auth.OPTIONAL,
        query=shapes.GraphQuery,
        answer=(Octets(SVG, "Commits, the youngest on top, with branches and tags."),),
        also=(304,),
        raises=(
            ProjectNotFound,
            auth.NotAllowed,
            DatabaseUnavailable,
            BranchNotFound,
            CursorInvalid,
        ),
    ),
)
