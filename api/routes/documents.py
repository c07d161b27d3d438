"""Documents: the routes to the music in a project, outside of a live connection."""

from __future__ import annotations

from typing import Final

from api import documents, ports
from api.errors import NotYetDurable
from api.route import JSON, OCTETS, PROJECT, Auth, Octets, Route
from api.shapes import documents as shapes
from auth import errors as auth
from base.db import DatabaseUnavailable
from docstore.errors import (
    DocumentNotFound,
    DocumentTooDeep,
    DocumentUnreadable,
    ProjectNotFound,
    TooCostly,
)
from docstore.history.errors import BranchNotFound, BranchProtected

UPDATE: Final = Octets(OCTETS, "One Yjs update, version 1.")

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path=PROJECT + "/snapshot",
        handler=documents.snapshot,
        summary="Download the document as it is now",
        tag="documents",
        auth=Auth.OPTIONAL,
        query=shapes.LiveQuery,
        answer=(UPDATE, Octets(JSON, "The content of every root.")),
        also=(304,),
        raises=(
            ProjectNotFound,
            auth.NotAllowed,
            BranchNotFound,
            DocumentNotFound,
            DocumentTooDeep,
            DocumentUnreadable,
            TooCostly,
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
        auth=Auth.OPTIONAL,
        query=shapes.UpdateQuery,
        body=UPDATE,
        answer=shapes.UpdateApplied,
        raises=(
            ProjectNotFound,
            BranchNotFound,
            BranchProtected,
            DocumentNotFound,
            auth.TokenMissing,
            auth.NotAllowed,
            ports.MalformedUpdate,
            ports.PoisonUpdate,
            ports.DocumentTooLarge,
            ports.PendingTooMany,
            ports.TooManyBroken,
            ports.OtherEpoch,
            ports.RoomUnavailable,
            NotYetDurable,
            DatabaseUnavailable,
        ),
    ),
)
