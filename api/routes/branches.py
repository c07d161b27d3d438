"""Branches: the routes to a project's lines of work."""

from __future__ import annotations

from typing import Final

from api import branches, ports
from api.route import PROJECT, Auth, Route
from api.shapes import branches as shapes
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
from docstore.history.errors import (
    BranchesFull,
    BranchNameInvalid,
    BranchNotFound,
    BranchProtected,
    BranchStays,
    BranchTaken,
    BranchUnmerged,
    CommitNotFound,
)
from docstore.history.reach import ContentUnreachable

_PROJECT: Final = (ProjectNotFound, auth.NotAllowed, DatabaseUnavailable)
_LIVE: Final = (
    DocumentNotFound,
    ports.RoomUnavailable,
    DocumentTooDeep,
    DocumentUnreadable,
    TooCostly,
)
_ONE: Final = PROJECT + "/branches/{branch}"

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path=PROJECT + "/branch",
        handler=branches.create,
        summary="Make a branch",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.NewBranch,
        answer=shapes.Branch,
        status=201,
        raises=(
            *_PROJECT,
            *_LIVE,
            SnapshotDamaged,
            BranchNotFound,
            CommitNotFound,
            BranchNameInvalid,
            BranchTaken,
            BranchesFull,
            ContentUnreachable,
        ),
    ),
    Route(
        method="GET",
        path=PROJECT + "/branches",
        handler=branches.index,
        summary="List the branches",
        tag="history",
        auth=Auth.OPTIONAL,
        answer=shapes.Branches,
        raises=_PROJECT,
    ),
    Route(
        method="GET",
        path=_ONE,
        handler=branches.show,
        summary="Show a branch",
        tag="history",
        auth=Auth.OPTIONAL,
        answer=shapes.BranchNow,
        raises=(*_PROJECT, *_LIVE, BranchNotFound),
    ),
    Route(
        method="PATCH",
        path=_ONE,
        handler=branches.change,
        summary="Rename or protect a branch",
        tag="history",
        auth=Auth.REQUIRED,
        body=shapes.BranchChanges,
        answer=shapes.Branch,
        raises=(
            *_PROJECT,
            BranchNotFound,
            BranchNameInvalid,
            BranchTaken,
            BranchStays,
            BranchProtected,
        ),
    ),
    Route(
        method="DELETE",
        path=_ONE,
        handler=branches.delete,
        summary="Delete a branch",
        tag="history",
        auth=Auth.REQUIRED,
        query=shapes.DeleteQuery,
        status=204,
        raises=(
            *_PROJECT,
            *_LIVE,
            BranchNotFound,
            BranchStays,
            BranchProtected,
            BranchUnmerged,
        ),
    ),
)
