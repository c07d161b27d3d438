"""Bundles: the routes to projects as files."""

from __future__ import annotations

from typing import Final

from api import bundles, errors, ports
from api.route import OCTETS, PROJECT, VERSION, ZIP, Auth, Octets, Route
from api.shapes import bundles as shapes
from auth import errors as auth
from base.db import DatabaseUnavailable
from docstore.bundles import errors as bundle
from docstore.errors import (
    DocumentNotFound,
    DocumentTooDeep,
    DocumentUnreadable,
    ProjectNotFound,
    SnapshotDamaged,
    TooCostly,
)
from docstore.history import errors as history
from docstore.history.reach import ContentUnreachable

BUNDLES: Final = PROJECT + "/bundles"
BUNDLE: Final = f"{BUNDLES}/{{{VERSION}}}"

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path=BUNDLES,
        handler=bundles.index,
        summary="List a project's bundles, newest first",
        tag="bundles",
        auth=Auth.OPTIONAL,
        answer=shapes.Bundles,
        raises=(ProjectNotFound, auth.NotAllowed, DatabaseUnavailable),
    ),
    Route(
        method="POST",
        path=BUNDLES,
        handler=bundles.create,
        summary="Write the project down as a file: a branch as it is now, or a commit",
        tag="bundles",
        auth=Auth.REQUIRED,
        body=shapes.NewBundle,
        answer=shapes.Bundle,
        status=201,
        raises=(
            ProjectNotFound,
            auth.NotAllowed,
            history.BranchNotFound,
            history.CommitNotFound,
            history.TagNotFound,
            DocumentNotFound,
            bundle.TooManyBundles,
            bundle.BundleUnwritable,
            bundle.BundleTooLarge,
            DocumentTooDeep,
            DocumentUnreadable,
            TooCostly,
            SnapshotDamaged,
            ports.RoomUnavailable,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="GET",
        path=BUNDLE,
        handler=bundles.download,
        summary="Download a bundle, or a part of it",
        tag="bundles",
        auth=Auth.OPTIONAL,
        answer=(Octets(ZIP, "The bundle. With `Range`, 206 and that part of it."),),
        also=(206, 304),
        raises=(
            ProjectNotFound,
            auth.NotAllowed,
            bundle.BundleNotFound,
            errors.PreconditionFailed,
            errors.RangeNotSatisfiable,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="DELETE",
        path=BUNDLE,
        handler=bundles.delete,
        summary="Delete a bundle for good",
        tag="bundles",
        auth=Auth.REQUIRED,
        status=204,
        raises=(ProjectNotFound, auth.NotAllowed, bundle.BundleNotFound, DatabaseUnavailable),
    ),
    Route(
        method="POST",
        path="/api/projects/import",
        handler=bundles.bring,
        summary="Make a project of a bundle, with its history; or a branch of a project",
        tag="bundles",
        auth=Auth.REQUIRED,
        query=shapes.ImportQuery,
        body=Octets(
            OCTETS, "A bundle of this server's or of openDAW's, or a project of openDAW's."
        ),
        answer=shapes.Imported,
        status=201,
        raises=(
            ProjectNotFound,
            DocumentNotFound,
            auth.NotAllowed,
            bundle.BundleUnknown,
            bundle.BundleDamaged,
            bundle.BundleTooLarge,
            history.BranchNotFound,
            history.BranchNameInvalid,
            history.BranchTaken,
            history.BranchesFull,
            ContentUnreachable,
            DocumentTooDeep,
            DocumentUnreadable,
            TooCostly,
            SnapshotDamaged,
            ports.RoomUnavailable,
            DatabaseUnavailable,
        ),
    ),
)
