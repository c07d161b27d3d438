"""Upkeep: the routes that give up the past."""

from __future__ import annotations

from typing import Final

from api import ports, upkeep
from api.route import PROJECT, Auth, Route
from api.shapes import upkeep as shapes
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
from docstore.history.errors import BranchNotFound, TooLongAgo
from docstore.history.reach import ContentUnreachable

_PROJECT: Final = (ProjectNotFound, auth.NotAllowed, DatabaseUnavailable)
_READ: Final = (SnapshotDamaged, DocumentTooDeep, DocumentUnreadable, TooCostly)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path=PROJECT + "/prune",
        handler=upkeep.prune,
        summary="Give up what a branch said before a time; commits stay",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.Prune,
        answer=shapes.Pruned,
        raises=(*_PROJECT, *_READ, BranchNotFound, TooLongAgo),
    ),
    Route(
        method="POST",
        path=PROJECT + "/squash",
        handler=upkeep.squash,
        summary="Begin all branches anew, without what was deleted; everybody reconnects",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.Squash,
        answer=shapes.Squashed,
        raises=(
            *_PROJECT,
            *_READ,
            BranchNotFound,
            DocumentNotFound,
            ContentUnreachable,
            ports.RoomUnavailable,
        ),
    ),
)
