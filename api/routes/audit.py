"""Audit: the routes of administrators."""

from __future__ import annotations

from typing import Final

from api import audit
from api.route import Auth, Route
from api.shapes import audit as shapes
from base.db import DatabaseUnavailable
from docstore.errors import CursorInvalid

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/api/admin/audit",
        handler=audit.index,
        summary="List what happened to accounts and access, newest first",
        tag="audit",
        auth=Auth.ADMIN,
        query=shapes.AuditQuery,
        answer=shapes.AuditEvents,
        raises=(CursorInvalid, DatabaseUnavailable),
    ),
)
