"""What happened to accounts and access, written down for administrators. Table: `audit_events`.

An event names who it happened to, who did it, and where from. It holds no secret and no e-mail
address, and stays when its people are gone. Knows SQL; decides nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, LiteralString, NamedTuple

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from base import ids

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx


class Kind(StrEnum):
    """What happened, alphabetical."""

    ACCOUNT_CLOSED = "account.closed"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    ACCOUNT_ERASED = "account.erased"
    ACCOUNT_REGISTERED = "account.registered"
    ACCOUNT_REOPENED = "account.reopened"
    ADMIN_GRANTED = "admin.granted"
    ADMIN_REVOKED = "admin.revoked"
    BRANCH_DELETED = "branch.deleted"
    BRANCH_OPENED = "branch.opened"
    """Its protection was taken back."""
    BRANCH_PROTECTED = "branch.protected"
    CODE_FAILED = "code.failed"
    COLLABORATOR_ADDED = "collaborator.added"
    COLLABORATOR_CHANGED = "collaborator.changed"
    COLLABORATOR_REMOVED = "collaborator.removed"
    EMAIL_VERIFIED = "email.verified"
    HISTORY_PRUNED = "history.pruned"
    HISTORY_SQUASHED = "history.squashed"
    INVITATION_ACCEPTED = "invitation.accepted"
    INVITATION_MADE = "invitation.made"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    KEY_MADE = "key.made"
    KEY_REVOKED = "key.revoked"
    LINK_MADE = "link.made"
    LINK_REVOKED = "link.revoked"
    LOGIN = "login"
    LOGIN_FAILED = "login.failed"
    LOGOUT = "logout"
    OIDC_LINKED = "oidc.linked"
    OIDC_UNLINKED = "oidc.unlinked"
    PASSWORD_CHANGED = "password.changed"
    PASSWORD_RESET = "password.reset"
    PROJECT_DELETED = "project.deleted"
    PROJECT_OPENED = "project.opened"
    """Its visibility or the role of its guests was changed."""
    PROJECT_TRANSFERRED = "project.transferred"
    RESET_ASKED = "reset.asked"
    SESSION_REVOKED = "session.revoked"
    TOKEN_REUSED = "token.reused"
    USERNAME_CHANGED = "username.changed"


INSERT: LiteralString = """
    INSERT INTO audit_events (id, at, kind, user_id, actor_id, project_id, ip, user_agent, detail)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""

PAGE: LiteralString = """
    SELECT id, at, kind, user_id, actor_id, project_id, ip, user_agent, detail FROM audit_events
    WHERE (%s::uuid IS NULL OR user_id = %s OR actor_id = %s)
        AND (%s::uuid IS NULL OR project_id = %s) AND (%s::text IS NULL OR kind = %s)
        AND (%s::uuid IS NULL OR id < %s)
    ORDER BY id DESC LIMIT %s"""


class Event(NamedTuple):
    """What happened once."""

    id: UUID
    at: datetime
    kind: str
    user_id: UUID | None
    actor_id: UUID | None
    project_id: UUID | None
    ip: str | None
    user_agent: str | None
    detail: dict[str, object]


async def record(
    tx: Tx,
    kind: Kind,
    *,
    at: datetime,
    user: UUID | None = None,
    actor: UUID | None = None,
    project: UUID | None = None,
    ip: str | None = None,
    agent: str | None = None,
    **detail: object,
) -> None:
    """Write one event down, in the transaction of what it tells about.

    user: whom it happened to; actor: who did it (in `Database.acting`, that must be who acts).
    detail: a few small values that survive JSON.
    """
    short = agent[:300] if agent else None
    row = (ids.new_id(), at, kind.value, user, actor, project, ip, short, Jsonb(detail))
    await tx.execute(INSERT, row)


async def page(
    tx: Tx,
    *,
    user: UUID | None = None,
    project: UUID | None = None,
    kind: Kind | None = None,
    after: UUID | None = None,
    limit: int,
) -> tuple[list[Event], UUID | None]:
    """Events, newest first, from behind the event `after`; and the last one's id if more follow.

    user: whom it happened to or who did it. In the server's name: nobody's own transaction may
    read them.
    """
    name = None if kind is None else kind.value
    row = (user, user, user, project, project, name, name, after, after, limit + 1)
    async with tx.cursor(row_factory=class_row(Event)) as cursor:
        await cursor.execute(PAGE, row)
        found = await cursor.fetchall()
    events = found[:limit]
    return events, events[-1].id if len(found) > limit else None
