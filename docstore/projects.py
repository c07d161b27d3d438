"""Projects: made, found, listed, changed, taken away. The tables are `projects` and `documents`.

A deleted project stays in the tables but is found by nobody. Who may do what is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from base import ids, text64
from docstore import seeding
from docstore.errors import CursorInvalid, ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from base.db import Tx

MAIN = "main"
"""The branch that every project has."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project and its main document."""

    id: UUID
    owner_id: UUID
    room_id: str
    name: str
    kind: str
    description: str
    is_public: bool
    guest_role: str
    created_at: datetime
    updated_at: datetime
    document_id: int
    epoch: int


class Listed(NamedTuple):
    """A project in somebody's list, with what it says about them."""

    project: Project
    role: str | None
    """As a collaborator; None: it is their own."""
    fine: Mapping[str, bool]


INSERT: LiteralString = """
    INSERT INTO projects
        (id, owner_id, room_id, name, kind, description, is_public, guest_role, created_at,
        updated_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""

INSERT_DOCUMENT: LiteralString = """
    INSERT INTO documents (project_id, branch, created_at) VALUES (%s, %s, %s)
    RETURNING id, epoch"""

INSERT_SEED: LiteralString = """
    INSERT INTO journal (document_id, author, payload, created_at) VALUES (%s, %s, %s, %s)"""

_SELECT: LiteralString = """
    SELECT p.id, p.owner_id, p.room_id, p.name, p.kind, p.description, p.is_public,
           p.guest_role, p.created_at, p.updated_at, d.id AS document_id, d.epoch
    FROM projects p JOIN documents d ON d.project_id = p.id AND d.branch = 'main' AND d.deleted_at IS NULL
    WHERE p.deleted_at IS NULL"""

BY_ID: LiteralString = _SELECT + " AND p.id = %s"

BY_ROOM: LiteralString = _SELECT + " AND p.room_id = %s"

# Two indexes, each read from its newest end no further than one page.
PAGE: LiteralString = """
    WITH found AS (
        (SELECT id, NULL::text AS role, '{}'::jsonb AS fine FROM projects
         WHERE owner_id = %(viewer)s AND deleted_at IS NULL
             AND (%(only)s::uuid IS NULL OR id = %(only)s)
             AND (%(after)s::uuid IS NULL OR id < %(after)s)
         ORDER BY id DESC LIMIT %(limit)s)
        UNION ALL
        (SELECT c.project_id, c.role, c.fine
         FROM project_collaborators c JOIN projects p ON p.id = c.project_id
         WHERE c.user_id = %(viewer)s AND p.deleted_at IS NULL
             AND (%(only)s::uuid IS NULL OR c.project_id = %(only)s)
             AND (%(after)s::uuid IS NULL OR c.project_id < %(after)s)
         ORDER BY c.project_id DESC LIMIT %(limit)s))
    SELECT p.id, p.owner_id, p.room_id, p.name, p.kind, p.description, p.is_public,
           p.guest_role, p.created_at, p.updated_at, d.id, d.epoch, found.role, found.fine
    FROM found JOIN projects p ON p.id = found.id
    JOIN documents d ON d.project_id = p.id AND d.branch = 'main' AND d.deleted_at IS NULL
    ORDER BY p.id DESC LIMIT %(limit)s"""

UPDATE: LiteralString = """
    UPDATE projects SET name = coalesce(%s, name), description = coalesce(%s, description),
        is_public = coalesce(%s, is_public), guest_role = coalesce(%s, guest_role), updated_at = %s
    WHERE id = %s AND deleted_at IS NULL"""

TRANSFER: LiteralString = """
    UPDATE projects SET owner_id = %s, updated_at = %s
    WHERE id = %s AND owner_id = %s AND deleted_at IS NULL"""

DELETE: LiteralString = """
    UPDATE projects SET deleted_at = %s WHERE id = %s AND deleted_at IS NULL"""


async def create(
    tx: Tx,
    *,
    owner: UUID,
    name: str,
    kind: str,
    description: str,
    is_public: bool,
    guest_role: str = "none",
    now: datetime,
) -> Project:
    """A new project with its main document and, for the kinds that have one, its seed.

    The seed is the journal's first row, written in the owner's name: history begins with it.
    Raises ValueError for an unknown kind.
    """
    first = seeding.seed(kind, name)
    project_id = ids.new_id()
    room_id = ids.new_room_id()
    await tx.execute(
        INSERT,
        (project_id, owner, room_id, name, kind, description, is_public, guest_role, now, now),
    )
    cursor = await tx.execute(INSERT_DOCUMENT, (project_id, MAIN, now))
    row = await cursor.fetchone()
    assert row is not None, "INSERT … RETURNING returns"
    document_id, epoch = int(row[0]), int(row[1])
    if first is not None:
        await tx.execute(INSERT_SEED, (document_id, owner, first, now))
    return Project(
        project_id,
        owner,
        room_id,
        name,
        kind,
        description,
        is_public,
        guest_role,
        now,
        now,
        document_id,
        epoch,
    )


async def get(tx: Tx, project_id: UUID) -> Project:
    """The project with this id. Raises ProjectNotFound."""
    project = await _one(tx, BY_ID, project_id)
    if project is None:
        raise ProjectNotFound
    return project


async def by_room(tx: Tx, room: str) -> Project | None:
    """The project whose id or room id this is; letters of either case."""
    name = room.lower()
    if "-" in name:
        try:
            project_id = UUID(name)
        except ValueError:
            return None
        # Python reads other spellings too (braces, dashes elsewhere); one room has one name.
        return await _one(tx, BY_ID, project_id) if str(project_id) == name else None
    # Not every string of Python's is text to PostgreSQL; every room id is.
    return await _one(tx, BY_ROOM, name) if name.isascii() and "\0" not in name else None


async def page(
    tx: Tx, *, viewer: UUID, limit: int, after: str | None, only: UUID | None = None
) -> tuple[list[Listed], str | None]:
    """What the viewer owns or works on, newest first, and the next page's cursor if there is one.

    only: nothing but this project. Raises CursorInvalid.
    """
    last = None if after is None else _from_cursor(after)
    asked = {"viewer": viewer, "after": last, "only": only, "limit": limit + 1}
    cursor = await tx.execute(PAGE, asked)
    found = [Listed(Project(*row[:-2]), row[-2], row[-1]) for row in await cursor.fetchall()]
    items = found[:limit]
    return items, _to_cursor(items[-1].project.id) if len(found) > limit else None


async def update(
    tx: Tx,
    project_id: UUID,
    *,
    name: str | None = None,
    description: str | None = None,
    is_public: bool | None = None,
    guest_role: str | None = None,
    now: datetime,
) -> Project:
    """Change what is not None. Raises ProjectNotFound.

    The name in the document (`project.name`) is the collaborators' own and is left alone.
    """
    await tx.execute(UPDATE, (name, description, is_public, guest_role, now, project_id))
    return await get(tx, project_id)


async def transfer(tx: Tx, project_id: UUID, *, owner: UUID, to: UUID, now: datetime) -> None:
    """Give a project to somebody else. The server's own work.

    Raises ProjectNotFound, also when `owner` owns it no more.
    """
    cursor = await tx.execute(TRANSFER, (to, now, project_id, owner))
    if cursor.rowcount == 0:
        raise ProjectNotFound


async def delete(tx: Tx, project_id: UUID, now: datetime) -> None:
    """Take a project out of sight. Raises ProjectNotFound."""
    cursor = await tx.execute(DELETE, (now, project_id))
    if cursor.rowcount == 0:
        raise ProjectNotFound


async def _one(tx: Tx, statement: LiteralString, key: UUID | str) -> Project | None:
    async with tx.cursor(row_factory=class_row(Project)) as cursor:
        await cursor.execute(statement, (key,))
        return await cursor.fetchone()


def _to_cursor(last: UUID) -> str:
    return text64.write(last.bytes)


def _from_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=text64.read(cursor))
    except ValueError as wrong:
        raise CursorInvalid from wrong
