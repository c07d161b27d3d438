"""Share links: who holds one may enter a project without an account. The table is `project_links`.

A link's token is `ssl_` and 64 characters (its id and 256 secret bits); only a hash of the secret
is kept. A link is of the project, but no stronger than its maker: it is taken back with their
right to share (`revoke_of`), opens nothing while their account is disabled or closed, and goes with
the account. Knows SQL; who may make links is judged by the callers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

from psycopg.rows import class_row

from auth import credentials, opaque
from auth.permissions import Role
from base import ids
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx

PREFIX: Final = "ssl_"
MOST: Final = 50
"""Links of one project."""


class LinkInvalid(AppError):
    """The link opens nothing: it was mistyped, taken back, or its time is over."""

    code = "link_invalid"


class LinkNotFound(AppError):
    """The project has no link of this id."""

    code = "link_not_found"


class LinksFull(AppError):
    """The project has as many links as it can have; take one back first."""

    code = "links_full"


class Link(NamedTuple):
    """A link, without what opens it."""

    id: UUID
    name: str
    role: str
    created_by: UUID
    created_at: datetime
    expires_at: datetime | None


INSERT: LiteralString = """
    INSERT INTO project_links
        (id, project_id, name, role, secret_sha256, created_by, created_at, expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""

COUNT: LiteralString = "SELECT count(*) FROM project_links WHERE project_id = %s"

ALL: LiteralString = """
    SELECT id, name, role, created_by, created_at, expires_at FROM project_links
    WHERE project_id = %s ORDER BY id DESC"""

DELETE: LiteralString = "DELETE FROM project_links WHERE project_id = %s AND id = %s"

DELETE_OF: LiteralString = "DELETE FROM project_links WHERE project_id = %s AND created_by = %s"

OPENED_BY: LiteralString = "SELECT DISTINCT project_id FROM project_links WHERE created_by = %s"

# Links of the living: an account that is barred lets nobody in either.
_GOOD: LiteralString = """
    FROM project_links l JOIN projects p ON p.id = l.project_id AND p.deleted_at IS NULL
    JOIN users u ON u.id = l.created_by AND u.disabled_at IS NULL AND u.closed_at IS NULL
    WHERE (l.expires_at IS NULL OR l.expires_at > %s)"""

OPEN: LiteralString = (
    "SELECT l.project_id, l.role, l.expires_at, l.secret_sha256" + _GOOD + " AND l.id = %s"
)

ALIVE: LiteralString = (
    "SELECT l.id, l.role" + _GOOD + " AND l.project_id = %s AND l.id = ANY(%s::uuid[])"
)


async def open_link(tx: Tx, token: str, now: datetime) -> credentials.Guest:
    """Who comes with this token. The server's own work. Raises LinkInvalid."""
    shown = opaque.read(PREFIX, token)
    if shown is None:
        raise LinkInvalid
    cursor = await tx.execute(OPEN, (now, shown.id))
    row = await cursor.fetchone()
    if row is None or not shown.opens(bytes(row[3])):
        raise LinkInvalid
    return credentials.Guest(shown.id, row[0], Role(row[1]), row[2])


async def alive(
    tx: Tx, project_id: UUID, link_ids: Iterable[UUID], now: datetime
) -> dict[UUID, Role]:
    """Which of these links still open this project, and as what."""
    cursor = await tx.execute(ALIVE, (now, project_id, list(link_ids)))
    return {link: Role(role) for link, role in await cursor.fetchall()}


async def make(
    tx: Tx,
    project_id: UUID,
    *,
    role: Role,
    name: str,
    expires_at: datetime | None,
    by: UUID,
    now: datetime,
) -> tuple[Link, str]:
    """A new link and its token, which is told this once. Raises LinksFull.

    Under `members.lock`, or two at once could both be the last that fits.
    """
    cursor = await tx.execute(COUNT, (project_id,))
    row = await cursor.fetchone()
    if row is not None and int(row[0]) >= MOST:
        raise LinksFull(most=MOST)
    link = Link(ids.new_id(), name, role.value, by, now, expires_at)
    token, kept = opaque.make(PREFIX, link.id)
    await tx.execute(INSERT, (link.id, project_id, name, link.role, kept, by, now, expires_at))
    return link, token


async def listing(tx: Tx, project_id: UUID) -> list[Link]:
    """The links of a project, newest first; those whose time is over too."""
    async with tx.cursor(row_factory=class_row(Link)) as cursor:
        await cursor.execute(ALL, (project_id,))
        return await cursor.fetchall()


async def revoke(tx: Tx, project_id: UUID, link_id: UUID) -> None:
    """Take a link back. Raises LinkNotFound."""
    if (await tx.execute(DELETE, (project_id, link_id))).rowcount == 0:
        raise LinkNotFound


async def revoke_of(tx: Tx, project_id: UUID, maker: UUID) -> None:
    """Take back what somebody made who may not share any more: they may have kept a copy."""
    await tx.execute(DELETE_OF, (project_id, maker))


async def opened_by(tx: Tx, maker: UUID) -> list[UUID]:
    """The projects that somebody's links lead to. The server's own work."""
    return [row[0] for row in await (await tx.execute(OPENED_BY, (maker,))).fetchall()]
