"""Projects: the routes about what you work on."""

from __future__ import annotations

from typing import Final

from api import projects
from api.route import PROJECT, Auth, Route
from api.shapes import common
from api.shapes import projects as shapes
from auth import errors as auth
from auth.accounts import EmailNotVerified
from base.db import DatabaseUnavailable
from docstore.errors import CursorInvalid, ProjectNotFound

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path="/api/projects",
        handler=projects.create,
        summary="Create a project",
        tag="projects",
        auth=Auth.REQUIRED,
        body=shapes.NewProject,
        answer=shapes.Project,
        status=201,
        raises=(auth.NotAllowed, EmailNotVerified, DatabaseUnavailable),
    ),
    Route(
        method="GET",
        path="/api/projects",
        handler=projects.index,
        summary="List the projects that you own or work on, newest first",
        tag="projects",
        auth=Auth.REQUIRED,
        query=common.Page,
        answer=shapes.Projects,
        raises=(CursorInvalid, auth.NotAllowed, DatabaseUnavailable),
    ),
    Route(
        method="GET",
        path=PROJECT,
        handler=projects.show,
        summary="Show a project",
        tag="projects",
        auth=Auth.OPTIONAL,
        answer=shapes.Project,
        raises=(ProjectNotFound, auth.NotAllowed, DatabaseUnavailable),
    ),
    Route(
        method="PUT",
        path=PROJECT,
        handler=projects.change,
        summary="Change a project; what the body leaves out stays",
        tag="projects",
        auth=Auth.REQUIRED,
        body=shapes.ProjectChanges,
        answer=shapes.Project,
        raises=(ProjectNotFound, auth.NotAllowed, EmailNotVerified, DatabaseUnavailable),
    ),
    Route(
        method="DELETE",
        path=PROJECT,
        handler=projects.delete,
        summary="Delete a project; everybody in it is disconnected",
        tag="projects",
        auth=Auth.REQUIRED,
        status=204,
        raises=(ProjectNotFound, auth.NotAllowed, DatabaseUnavailable),
    ),
)
