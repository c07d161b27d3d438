"""Every route in one table; start reading here.

The dispatcher (`app.py`) and the OpenAPI document (`openapi.py`) are both made from it, so a
route that works is described and a route that is described works. The page at `/` and its files
are not part of the interface and are mounted by `app.py`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from api import accounts, documents, health, openapi, ports, projects, shapes
from api.errors import NotReady, NotYetDurable
from api.route import JSON, OCTETS, Auth, Octets, Route
from auth import errors as auth
from base.db import DatabaseUnavailable
from base.redis import RedisUnavailable
from docstore.errors import (
    CursorInvalid,
    DocumentNotFound,
    DocumentTooDeep,
    DocumentUnreadable,
    ProjectNotFound,
)

if TYPE_CHECKING:
    from api.requests import Call

PROJECT: Final = "/api/projects/{project_id}"

UPDATE: Final = Octets(OCTETS, "One Yjs update, version 1.")


@functools.cache
def _written() -> bytes:
    return msgspec.json.encode(openapi.document(ROUTES, version=health.VERSION))


async def specification(_call: Call) -> Response:
    """The table below, as OpenAPI."""
    return Response(_written(), headers={"Cache-Control": "no-cache"}, media_type=JSON)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path="/api/auth/register",
        handler=accounts.register,
        summary="Create an account",
        tag="accounts",
        body=shapes.Register,
        answer=shapes.UserAnswer,
        status=201,
        raises=(
            auth.EmailInvalid,
            auth.UsernameInvalid,
            auth.PasswordTooShort,
            auth.PasswordTooLong,
            auth.EmailTaken,
            auth.UsernameTaken,
            auth.PasswordsBusy,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/login",
        handler=accounts.login,
        summary="Sign in",
        tag="accounts",
        body=shapes.Login,
        answer=shapes.SignedIn,
        raises=(
            auth.InvalidCredentials,
            auth.AccountDisabled,
            auth.PasswordsBusy,
            DatabaseUnavailable,
            RedisUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/logout",
        handler=accounts.logout,
        summary="Sign out: end the session of this token",
        tag="accounts",
        auth=Auth.REQUIRED,
        status=204,
    ),
    Route(
        method="GET",
        path="/api/auth/me",
        handler=accounts.me,
        summary="Who the token belongs to",
        tag="accounts",
        auth=Auth.REQUIRED,
        answer=shapes.UserAnswer,
        raises=(DatabaseUnavailable,),
    ),
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
        raises=(DatabaseUnavailable,),
    ),
    Route(
        method="GET",
        path="/api/projects",
        handler=projects.index,
        summary="List your own projects, newest first",
        tag="projects",
        auth=Auth.REQUIRED,
        query=shapes.Page,
        answer=shapes.Projects,
        raises=(CursorInvalid, DatabaseUnavailable),
    ),
    Route(
        method="GET",
        path=PROJECT,
        handler=projects.show,
        summary="Show a project",
        tag="projects",
        auth=Auth.OPTIONAL,
        answer=shapes.Project,
        raises=(ProjectNotFound, DatabaseUnavailable),
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
        raises=(ProjectNotFound, auth.NotAllowed, DatabaseUnavailable),
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
    Route(
        method="GET",
        path=PROJECT + "/snapshot",
        handler=documents.snapshot,
        summary="Download the document as it is now",
        tag="documents",
        auth=Auth.OPTIONAL,
        query=shapes.SnapshotQuery,
        answer=(UPDATE, Octets(JSON, "The content of every root.")),
        also=(304,),
        raises=(
            ProjectNotFound,
            DocumentNotFound,
            DocumentTooDeep,
            DocumentUnreadable,
            ports.RoomUnavailable,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="POST",
        path=PROJECT + "/updates",
        handler=documents.update,
        summary="Apply a Yjs update; answered once it is durable",
        tag="documents",
        auth=Auth.REQUIRED,
        body=UPDATE,
        answer=shapes.UpdateApplied,
        raises=(
            ProjectNotFound,
            DocumentNotFound,
            auth.NotAllowed,
            ports.MalformedUpdate,
            ports.PoisonUpdate,
            ports.DocumentTooLarge,
            ports.PendingTooMany,
            ports.TooManyBroken,
            ports.RoomUnavailable,
            NotYetDurable,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="GET",
        path="/api/health",
        handler=health.health,
        summary="Whether the process answers",
        tag="operating",
        answer=shapes.Health,
    ),
    Route(
        method="GET",
        path="/api/ready",
        handler=health.ready,
        summary="Whether database, Redis and migrations are as they must be",
        tag="operating",
        answer=shapes.Ready,
        raises=(NotReady,),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=health.numbers,
        summary="The numbers of the process, for Prometheus",
        tag="operating",
        answer=(Octets("text/plain", "Prometheus text."),),
    ),
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=specification,
        summary="This description of the interface",
        tag="operating",
        answer=(Octets(JSON, "An OpenAPI 3.1 document."),),
    ),
)
