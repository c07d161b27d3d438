"""What happened to accounts and access, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID

from msgspec import Meta, Struct

from api.shapes.common import Page, Refused, camel, documented, utc
from auth.audit import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth.audit import Event as Stored


class AuditQuery(Page, rename="camel"):
    """Which events: all of what is given must fit."""

    user: Annotated[UUID | None, Meta(description="Whom it happened to, or who did it.")] = None
    project: UUID | None = None
    kind: Annotated[str | None, documented(enum=[*(kind.value for kind in Kind), None])] = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in list(Kind):
            raise Refused("$.kind", "Expected a kind of event")


class AuditEvent(Struct, frozen=True, rename="camel"):
    """What happened once. `userId`: whom it happened to; `actorId`: who did it."""

    id: UUID
    at: datetime
    kind: str
    user_id: UUID | None
    actor_id: UUID | None
    project_id: UUID | None
    ip: str | None
    user_agent: str | None
    detail: dict[str, Any]

    @classmethod
    def of(cls, stored: Stored) -> AuditEvent:
        """From the record."""
        return cls(
            id=stored.id,
            at=utc(stored.at),
            kind=stored.kind,
            user_id=stored.user_id,
            actor_id=stored.actor_id,
            project_id=stored.project_id,
            ip=stored.ip,
            user_agent=stored.user_agent,
            detail=_spelled(stored.detail),
        )


class AuditEvents(Struct, frozen=True, rename="camel"):
    """A page of events, newest first; `nextCursor` is null on the last page."""

    items: list[AuditEvent]
    next_cursor: str | None


def _spelled(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Names as JSON has them, also within what is named."""
    return {
        camel(name): _spelled(cast("Mapping[str, Any]", value))
        if isinstance(value, dict)
        else value
        for name, value in detail.items()
    }
