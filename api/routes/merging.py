"""Merging: the routes by which what was done on one line of work comes to another."""

from __future__ import annotations

from typing import Final

from api import merging, ports
from api.errors import NotYetDurable
from api.route import PROJECT, Auth, Route
from api.shapes import merging as shapes
from auth import errors as auth
from base.db import DatabaseUnavailable
from docstore.errors import (
    DocumentNotFound,
    DocumentTooDeep,
    DocumentUnreadable,
    ProjectNotFound,
    SnapshotDamaged,
    TooCostly,
)
from docstore.history.errors import BranchNotFound, BranchProtected, CommitNotFound
from docstore.history.merge import UnknownConflict
from docstore.history.merging import MergeIntoItself
from docstore.history.reach import ContentUnreachable

_RAISES: Final = (
    ProjectNotFound,
    auth.NotAllowed,
    DatabaseUnavailable,
    DocumentNotFound,
    ports.RoomUnavailable,
    SnapshotDamaged,
    DocumentTooDeep,
    DocumentUnreadable,
    TooCostly,
    BranchNotFound,
    BranchProtected,
    UnknownConflict,
    ContentUnreachable,
    ports.MalformedUpdate,
    ports.PoisonUpdate,
    ports.DocumentTooLarge,
    ports.PendingTooMany,
    ports.TooManyBroken,
    ports.OtherEpoch,
    NotYetDurable,
)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path=PROJECT + "/branches/{branch}/merge",
        handler=merging.merge,
        summary="Merge a branch into another one; answered once it is durable",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.NewMerge,
        answer=shapes.Merged,
        raises=(*_RAISES, MergeIntoItself),
    ),
    Route(
        method="POST",
        path=PROJECT + "/cherry-pick",
        handler=merging.cherry_pick,
        summary="Do one commit's change on a branch; answered once it is durable",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.NewPick,
        answer=shapes.Carried,
        raises=(*_RAISES, CommitNotFound),
    ),
    Route(
        method="POST",
        path=PROJECT + "/revert",
        handler=merging.revert,
        summary="Undo one commit's change on a branch; answered once it is durable",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.NewRevert,
        answer=shapes.Carried,
        raises=(*_RAISES, CommitNotFound),
    ),
)
