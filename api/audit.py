"""The audit log over REST: what happened, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from api.shapes import audit as shapes
from auth import audit
from docstore.errors import CursorInvalid

if TYPE_CHECKING:
    from api.requests import Call


async def index(call: Call) -> shapes.AuditEvents:
    """What happened to accounts and access, newest first."""
    wanted = call.query(shapes.AuditQuery)
    after = None if wanted.cursor is None else _event_id(wanted.cursor)
    async with call.services.database.connection() as tx:
        events, last = await audit.page(
            tx,
            user=wanted.user,
            project=wanted.project,
            kind=None if wanted.kind is None else audit.Kind(wanted.kind),
            after=after,
            limit=wanted.limit,
        )
    items = [shapes.AuditEvent.of(event) for event in events]
    return shapes.AuditEvents(items, None if last is None else str(last))


def _event_id(cursor: str) -> UUID:
    try:
        found = UUID(cursor)
    except ValueError as wrong:
        raise CursorInvalid from wrong
    # Python reads other spellings too; we gave out one.
    if str(found) != cursor:
        raise CursorInvalid
    return found
