"""History: the routes to what a document said before, and back to it."""

from __future__ import annotations

from typing import Final

from api import history, ports
from api.errors import NotYetDurable
from api.route import JSON, PROJECT, TEXT, Auth, Octets, Route
from api.routes.documents import UPDATE
from api.shapes import documents as document_shapes
from api.shapes import history as shapes
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
from docstore.history.errors import (
    BranchNotFound,
    BranchProtected,
    CommitNotFound,
    NothingToCommit,
    TagInvalid,
    TagNotFound,
    TagTaken,
    TooLongAgo,
    TooManyTags,
)
from docstore.history.reach import ContentUnreachable

_PROJECT: Final = (ProjectNotFound, auth.NotAllowed, DatabaseUnavailable)
_LIVE: Final = (DocumentNotFound, ports.RoomUnavailable)
_READ: Final = (SnapshotDamaged, DocumentTooDeep, DocumentUnreadable, TooCostly)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path=PROJECT + "/commit",
        handler=history.commit,
        summary="Commit the document as it is now",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.NewCommit,
        answer=shapes.Commit,
        status=201,
        raises=(*_PROJECT, *_LIVE, *_READ, BranchNotFound, BranchProtected, NothingToCommit),
    ),
    Route(
        method="GET",
        path=PROJECT + "/commits",
        handler=history.log,
        summary="List commits, newest first",
        tag="history",
        auth=Auth.OPTIONAL,
        query=shapes.CommitsQuery,
        answer=shapes.Commits,
        raises=(*_PROJECT, auth.TokenMissing, BranchNotFound, CursorInvalid),
    ),
    Route(
        method="GET",
        path=PROJECT + "/commits/{commit_id}",
        handler=history.show,
        summary="Show a commit",
        tag="history",
        auth=Auth.OPTIONAL,
        answer=shapes.Commit,
        raises=(*_PROJECT, CommitNotFound),
    ),
    Route(
        method="GET",
        path=PROJECT + "/commits/{commit_id}/snapshot",
        handler=history.snapshot,
        summary="Download the document as it was at a commit",
        tag="history",
        auth=Auth.OPTIONAL,
        query=document_shapes.SnapshotQuery,
        answer=(UPDATE, Octets(JSON, "The content of every root.")),
        also=(304,),
        raises=(*_PROJECT, *_READ, CommitNotFound),
    ),
    Route(
        method="GET",
        path=PROJECT + "/tags",
        handler=history.tags,
        summary="List the tags",
        tag="history",
        auth=Auth.OPTIONAL,
        answer=shapes.Tags,
        raises=_PROJECT,
    ),
    Route(
        method="POST",
        path=PROJECT + "/tags",
        handler=history.tag,
        summary="Tag a commit",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.NewTag,
        answer=shapes.Tag,
        status=201,
        raises=(*_PROJECT, CommitNotFound, TagInvalid, TagTaken, TooManyTags),
    ),
    Route(
        method="DELETE",
        path=PROJECT + "/tags/{name}",
        handler=history.untag,
        summary="Delete a tag",
        tag="history",
        auth=Auth.REQUIRED,
        status=204,
        raises=(*_PROJECT, TagNotFound),
    ),
    Route(
        method="GET",
        path=PROJECT + "/diff",
        handler=history.diff,
        summary="What changed between two states",
        tag="history",
        auth=Auth.OPTIONAL,
        query=shapes.DiffQuery,
        answer=(
            Octets(JSON, "`summary`, `counts`, and `changes` with before and after."),
            Octets(TEXT, "The same, for people."),
        ),
        raises=(*_PROJECT, *_LIVE, *_READ, BranchNotFound, CommitNotFound, TagNotFound, TooLongAgo),
    ),
    Route(
        method="POST",
        path=PROJECT + "/restore",
        handler=history.restore,
        summary="Bring a live document back to a commit or a time; answered once it is durable",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.Restore,
        answer=shapes.Restored,
        raises=(
            *_PROJECT,
            *_LIVE,
            *_READ,
            BranchNotFound,
            BranchProtected,
            CommitNotFound,
            TagNotFound,
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
