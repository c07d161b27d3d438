"""Who works on a project with its owner. The table is `project_collaborators`.

Keeps roles and what differs from them; what they mean is for `permissions`, who may change them for
the callers. Whoever changes members takes `lock` first, so that what was judged stays true until
the end of the transaction. Knows SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from auth import identifiers
from auth.errors import UsernameInvalid
from auth.permissions import Membership, Role
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from psycopg.rows import TupleRow

    from base.db import Tx

MOST = 200
"""Collaborators and open invitations of one project."""


class AlreadyCollaborator(AppError):
    """They work on the project already."""

    code = "already_collaborator"


class CollaboratorNotFound(AppError):
    """Nobody of this id works on the project."""

    code = "collaborator_not_found"


class CollaboratorsFull(AppError):
    """The project has as many collaborators and open invitations as it can have."""

    code = "collaborators_full"


class OwnerStays(AppError):
    """The owner cannot leave; give the project to somebody else first, or delete it."""

    code = "owner_stays"


class OwnerUnfit(AppError):
    """Only somebody with a proven e-mail address and an open account can own a project."""

    code = "owner_unfit"


class PermissionsInvalid(AppError):
    """Somebody of this role cannot be given or denied these permissions."""

    code = "permissions_invalid"


class UserNotFound(AppError):
    """There is nobody of this name who could be added."""

    code = "user_not_found"


class Collaborator(NamedTuple):
    """One person of a project, with what everybody may know of people."""

    user_id: UUID
    username: str
    display_name: str
    avatar_url: str | None
    member: Membership
    joined_at: datetime
    invited_by: UUID | None


ONE: LiteralString = """
    SELECT role, fine FROM project_collaborators WHERE project_id = %s AND user_id = %s"""

MANY: LiteralString = """
    SELECT user_id, role, fine FROM project_collaborators
    WHERE project_id = %s AND user_id = ANY(%s::uuid[])"""

# Not FOR UPDATE: a collaborator who may invite may not change the project's row.
LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('members:' || %s::text, 0))"

CROWD: LiteralString = "SELECT syncsphere_crowd(%s)"

_SHOWN: LiteralString = """
    SELECT p.id, p.username, p.display_name, p.avatar_url, c.role, c.fine, c.joined_at, c.invited_by
    FROM project_collaborators c JOIN people p ON p.id = c.user_id
    WHERE c.project_id = %s"""
SHOWN: LiteralString = _SHOWN + " AND c.user_id = %s"
ALL: LiteralString = _SHOWN + " ORDER BY c.joined_at, c.user_id"

OWNER: LiteralString = """
    SELECT id, username, display_name, avatar_url, 'owner', '{}'::jsonb, %s::timestamptz, NULL
    FROM people WHERE id = %s"""

_FIT: LiteralString = """
    SELECT id FROM users
    WHERE email_verified_at IS NOT NULL AND disabled_at IS NULL AND closed_at IS NULL AND """
BY_EMAIL: LiteralString = _FIT + "email = %s"
BY_NAME: LiteralString = _FIT + "username_key = %s"
BY_ID: LiteralString = _FIT + "id = %s"

INSERT: LiteralString = """
    INSERT INTO project_collaborators
        (project_id, user_id, role, fine, invited_by, joined_at, updated_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""

UPDATE: LiteralString = """
    UPDATE project_collaborators SET role = %s, fine = %s, updated_at = %s
    WHERE project_id = %s AND user_id = %s"""

CAME_BY: LiteralString = """
    UPDATE project_collaborators SET token_sha256 = %s WHERE project_id = %s AND user_id = %s"""

DELETE: LiteralString = """
    DELETE FROM project_collaborators WHERE project_id = %s AND user_id = %s"""


async def membership(tx: Tx, project_id: UUID, user_id: UUID) -> Membership | None:
    """What somebody is to a project by collaboration; None: nothing."""
    cursor = await tx.execute(ONE, (project_id, user_id))
    row = await cursor.fetchone()
    return None if row is None else Membership(Role(row[0]), row[1])


async def memberships(tx: Tx, project_id: UUID, user_ids: Iterable[UUID]) -> dict[UUID, Membership]:
    """The same for many; who is nothing is left out."""
    cursor = await tx.execute(MANY, (project_id, list(user_ids)))
    return {user: Membership(Role(role), fine) for user, role, fine in await cursor.fetchall()}


async def lock(tx: Tx, project_id: UUID) -> None:
    """Until the transaction ends, nobody else changes who works on this project."""
    await tx.execute(LOCK, (project_id,))


async def check_room(tx: Tx, project_id: UUID) -> None:
    """Whether one more person fits in. Raises CollaboratorsFull. Under `lock`."""
    cursor = await tx.execute(CROWD, (project_id,))
    row = await cursor.fetchone()
    if row is not None and int(row[0]) >= MOST:
        raise CollaboratorsFull(most=MOST)


async def everybody(
    tx: Tx, project_id: UUID, *, owner: UUID, since: datetime
) -> list[Collaborator]:
    """The owner (of a project made at `since`), then the others in the order they joined."""
    found: list[Collaborator] = []
    cursor = await tx.execute(OWNER, (since, owner))
    if row := await cursor.fetchone():
        found.append(_collaborator(row))
    cursor = await tx.execute(ALL, (project_id,))
    return found + [_collaborator(row) for row in await cursor.fetchall()]


async def one(tx: Tx, project_id: UUID, user_id: UUID) -> Collaborator:
    """One collaborator, not the owner. Raises CollaboratorNotFound."""
    cursor = await tx.execute(SHOWN, (project_id, user_id))
    row = await cursor.fetchone()
    if row is None:
        raise CollaboratorNotFound
    return _collaborator(row)


async def find(
    tx: Tx, *, email: str | None = None, username: str | None = None, user_id: UUID | None = None
) -> UUID | None:
    """Somebody who can be added: the address proven, the account open. The server's own work.

    One of the three is given; `email` in its one spelling (`identifiers.email`).
    """
    if email is not None:
        cursor = await tx.execute(BY_EMAIL, (email,))
    elif username is not None:
        try:
            key = identifiers.username(username).key
        except UsernameInvalid:
            return None  # nobody can have it
        cursor = await tx.execute(BY_NAME, (key,))
    else:
        cursor = await tx.execute(BY_ID, (user_id,))
    row = await cursor.fetchone()
    return None if row is None else UUID(str(row[0]))


async def add(
    tx: Tx, project_id: UUID, user_id: UUID, member: Membership, *, by: UUID | None, now: datetime
) -> bool:
    """Let somebody in; False: they were there already, and nothing has changed."""
    fine = Jsonb(dict(member.fine))
    row = (project_id, user_id, member.role.value, fine, by, now, now)
    return (await tx.execute(INSERT, row)).rowcount > 0


async def change(
    tx: Tx, project_id: UUID, user_id: UUID, member: Membership, now: datetime
) -> None:
    """Give somebody another role. Raises CollaboratorNotFound."""
    fine = Jsonb(dict(member.fine))
    row = (member.role.value, fine, now, project_id, user_id)
    if (await tx.execute(UPDATE, row)).rowcount == 0:
        raise CollaboratorNotFound


async def came_by(tx: Tx, project_id: UUID, user_id: UUID, token_sha256: bytes) -> None:
    """Remember by which invitation somebody came. The server's own work."""
    await tx.execute(CAME_BY, (token_sha256, project_id, user_id))


async def remove(tx: Tx, project_id: UUID, user_id: UUID) -> None:
    """Take somebody out. Raises CollaboratorNotFound."""
    if (await tx.execute(DELETE, (project_id, user_id))).rowcount == 0:
        raise CollaboratorNotFound


def _collaborator(row: TupleRow) -> Collaborator:
    user, username, display_name, avatar, role, fine, joined, by = row
    member = Membership(Role(role), fine)
    return Collaborator(user, username, display_name, avatar, member, joined, by)
