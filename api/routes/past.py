"""The past: the routes to who did what when, what a document said at a time, and to taking it back."""

from __future__ import annotations

from typing import Final

from api import past, ports
from api.errors import NotYetDurable
from api.route import JSON, PROJECT, TEXT, Auth, Octets, Route
from api.routes.documents import UPDATE
from api.shapes import past as shapes
from auth import errors as auth
from base.db import DatabaseUnavailable
from docstore.errors import (
    CursorInvalid,
    DocumentNotFound,
    DocumentTooDeep,
    DocumentUnreadable,
    ProjectNotFound,
    SnapshotDamaged,
    TooCostly,
)
from docstore.history.errors import BranchNotFound, BranchProtected, TooLongAgo
from docstore.history.reach import ContentUnreachable

_PROJECT: Final = (ProjectNotFound, auth.NotAllowed, DatabaseUnavailable, BranchNotFound)
_LIVE: Final = (DocumentNotFound, ports.RoomUnavailable)
_READ: Final = (SnapshotDamaged, DocumentTooDeep, DocumentUnreadable, TooCostly)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path=PROJECT + "/history",
        handler=past.history,
        summary="List who was at work when, newest first",
        tag="history",
        auth=Auth.OPTIONAL,
        query=shapes.HistoryQuery,
        answer=shapes.History,
        raises=(*_PROJECT, *_READ, auth.TokenMissing, CursorInvalid),
    ),
    Route(
        method="GET",
        path=PROJECT + "/at",
        handler=past.at,
        summary="Download the document as it was at a time",
        tag="history",
        auth=Auth.OPTIONAL,
        query=shapes.AtQuery,
        answer=(UPDATE, Octets(JSON, "The content of every root.")),
        also=(304,),
        raises=(*_PROJECT, *_READ, TooLongAgo),
    ),
    Route(
        method="GET",
        path=PROJECT + "/blame",
        handler=past.blame,
        summary="Say who last changed a thing and what is in it",
        tag="history",
        auth=Auth.OPTIONAL,
        query=shapes.BlameQuery,
        answer=shapes.Blame,
        raises=(*_PROJECT, *_READ),
    ),
    Route(
        method="GET",
        path=PROJECT + "/changes",
        handler=past.changes,
        summary="What was changed between two times",
        tag="history",
        auth=Auth.OPTIONAL,
        query=shapes.ChangesQuery,
        answer=(
            Octets(JSON, "`summary`, `counts`, and `changes` with before and after."),
            Octets(TEXT, "The same, for people."),
            UPDATE,
        ),
        raises=(*_PROJECT, *_LIVE, *_READ, auth.TokenMissing, TooLongAgo),
    ),
    Route(
        method="POST",
        path=PROJECT + "/rollback",
        handler=past.rollback,
        summary="Take back what was done; answered once it is durable",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.Rollback,
        answer=shapes.RolledBack,
        raises=(
            *_PROJECT,
            *_LIVE,
            *_READ,
            BranchProtected,
            TooLongAgo,
            ContentUnreachable,
            ports.MalformedUpdate,
            ports.PoisonUpdate,
            ports.DocumentTooLarge,
            ports.PendingTooMany,
            ports.TooManyBroken,
            ports.OtherEpoch,
            NotYetDurable,
        ),
    ),
)
