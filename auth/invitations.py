"""Invitations of people who have no account yet, by e-mail. The table is `project_invitations`.

An invitation lives 14 days and is taken once: by an account whose proven address is the invited
one, or by any account that holds its token, for the token was in that mailbox. Whoever took it and
is still there may open its letter again. It is worth what its
maker may give at the moment it is taken, so nothing once the maker has lost the right or the
project is deleted. Knows SQL; who may invite is judged by the callers.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from auth import audit, members
from auth.permissions import Membership, Role, access_for, facts_of, may_grant
from base import ids
from base.errors import AppError

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    from base.db import Tx

LIFE: Final = timedelta(days=14)
SHOWN_MOST: Final = 100
"""Invitations of one person that are listed, the newest."""


class AlreadyInvited(AppError):
    """Somebody else has invited this address already."""

    code = "already_invited"


class InvitationNotFound(AppError):
    """There is no such invitation, or it is not for you, or it is worth nothing any more."""

    code = "invitation_not_found"


class Pending(NamedTuple):
    """An open invitation, as the project's people see it."""

    id: UUID
    email: str
    member: Membership
    invited_by: UUID
    created_at: datetime
    expires_at: datetime


class Offer(NamedTuple):
    """An open invitation, as the invited see it."""

    id: UUID
    project_id: UUID
    project: str
    member: Membership
    invited_by: UUID
    inviter: str
    created_at: datetime
    expires_at: datetime


class _Found(NamedTuple):
    """A row of `_OFFERS`: an invitation, and what its maker is to the project by now."""

    id: UUID
    project_id: UUID
    project: str
    role: str
    fine: dict[str, bool]
    invited_by: UUID
    inviter: str
    created_at: datetime
    expires_at: datetime
    owner_id: UUID
    is_public: bool
    guest_role: str
    inviters_role: str | None
    inviters_fine: dict[str, bool] | None
    token_sha256: bytes


class Taken(NamedTuple):
    """What somebody is to a project now; added: and was not before."""

    project_id: UUID
    role: Role
    added: bool


INSERT: LiteralString = """
    INSERT INTO project_invitations
        (id, project_id, email, role, fine, token_sha256, invited_by, created_at, expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (project_id, email) DO NOTHING"""

# What others made is replaced only by who may take their role back.
REPLACE: LiteralString = """
    DELETE FROM project_invitations
    WHERE project_id = %s AND email = %s AND (invited_by = %s OR role = ANY(%s::text[]))
    RETURNING token_sha256, expires_at"""

PENDING: LiteralString = """
    SELECT id, email, role, fine, invited_by, created_at, expires_at FROM project_invitations
    WHERE project_id = %s AND expires_at > %s"""
ALL: LiteralString = PENDING + " ORDER BY id"
ONE: LiteralString = PENDING + " AND id = %s"

SWEEP: LiteralString = "DELETE FROM project_invitations WHERE project_id = %s AND expires_at <= %s"

WITHDRAW: LiteralString = "DELETE FROM project_invitations WHERE id = %s"

WITHDRAW_OF: LiteralString = """
    DELETE FROM project_invitations WHERE project_id = %s AND invited_by = %s"""

# With all that it takes to judge the inviter now. Barred inviters invite nobody.
_OFFERS: LiteralString = """
    SELECT i.id, i.project_id, p.name, i.role, i.fine, i.invited_by, u.username, i.created_at,
        i.expires_at, p.owner_id, p.is_public, p.guest_role, c.role, c.fine, i.token_sha256
    FROM project_invitations i
    JOIN projects p ON p.id = i.project_id AND p.deleted_at IS NULL
    JOIN users u ON u.id = i.invited_by AND u.disabled_at IS NULL AND u.closed_at IS NULL
    LEFT JOIN project_collaborators c ON c.project_id = p.id AND c.user_id = i.invited_by
    WHERE i.expires_at > %s AND """

_MINE: LiteralString = """i.email = (
        SELECT email FROM users WHERE id = %s AND email_verified_at IS NOT NULL)"""

OF_USER: LiteralString = _OFFERS + _MINE + " ORDER BY i.id DESC LIMIT %s"
OF_USER_ONE: LiteralString = _OFFERS + _MINE + " AND i.id = %s"
# One order for all who lock several projects.
OF_EMAIL: LiteralString = _OFFERS + "i.email = %s ORDER BY i.project_id"
OF_TOKEN: LiteralString = _OFFERS + "i.token_sha256 = %s"
BY_ID: LiteralString = _OFFERS + "i.id = %s"

ADDRESS: LiteralString = """
    SELECT email FROM project_invitations WHERE token_sha256 = %s AND expires_at > %s"""

TAKEN_BEFORE: LiteralString = """
    SELECT p.id, c.role FROM project_collaborators c
    JOIN projects p ON p.id = c.project_id AND p.deleted_at IS NULL
    WHERE c.user_id = %s AND c.token_sha256 = %s"""


async def make(
    tx: Tx,
    project_id: UUID,
    *,
    email: str,
    member: Membership,
    by: UUID,
    replaces: frozenset[Role],
    letter: bool,
    now: datetime,
) -> tuple[Pending, str]:
    """Invite an address and give the token for its letter; an older invitation goes.

    replaces: of which roles the inviter may take back what others made. letter: whether one will be
    sent; if not, the letter of an invitation that was still open leads to the new one. Under
    `members.lock`. Raises AlreadyInvited for what stays in the way, CollaboratorsFull.
    """
    roles = [role.value for role in replaces]
    old = await (await tx.execute(REPLACE, (project_id, email, by, roles))).fetchone()
    await members.check_room(tx, project_id)
    made = Pending(ids.new_id(), email, member, by, now, now + LIFE)
    token = secrets.token_urlsafe(32)
    hashed = _hash(token)
    if not letter and old is not None and old[1] > now:
        hashed = bytes(old[0])
    cursor = await tx.execute(
        INSERT,
        (
            made.id,
            project_id,
            email,
            member.role.value,
            Jsonb(dict(member.fine)),
            hashed,
            by,
            now,
            made.expires_at,
        ),
    )
    if cursor.rowcount == 0:
        raise AlreadyInvited
    return made, token


async def sweep(tx: Tx, project_id: UUID, now: datetime) -> None:
    """Forget those whose time is over, so that their addresses can be invited again."""
    await tx.execute(SWEEP, (project_id, now))


async def pending(tx: Tx, project_id: UUID, now: datetime) -> list[Pending]:
    """The open invitations of a project that the asker may see, oldest first."""
    cursor = await tx.execute(ALL, (project_id, now))
    return [_pending(row) for row in await cursor.fetchall()]


async def withdraw(tx: Tx, project_id: UUID, invitation_id: UUID, now: datetime) -> Pending:
    """Take an invitation back. Raises InvitationNotFound."""
    cursor = await tx.execute(ONE, (project_id, now, invitation_id))
    row = await cursor.fetchone()
    if row is None or (await tx.execute(WITHDRAW, (invitation_id,))).rowcount == 0:
        raise InvitationNotFound
    return _pending(row)


async def withdraw_of(tx: Tx, project_id: UUID, inviter: UUID) -> None:
    """Take back what somebody made who leaves."""
    await tx.execute(WITHDRAW_OF, (project_id, inviter))


async def offers(tx: Tx, user_id: UUID, now: datetime) -> list[Offer]:
    """The open invitations of somebody's proven address, newest first. The server's own work."""
    cursor = await tx.execute(OF_USER, (now, user_id, SHOWN_MOST))
    found = [_offer(row) for row in await cursor.fetchall()]
    return [offer for offer in found if offer is not None]


async def accept(
    tx: Tx,
    user_id: UUID,
    invitation_id: UUID,
    now: datetime,
    *,
    ip: str | None = None,
    agent: str | None = None,
) -> Taken:
    """Take an invitation of one's own proven address. The server's. Raises InvitationNotFound."""
    found = await _only(tx, OF_USER_ONE, (now, user_id, invitation_id))
    return await _take(tx, user_id, found, now, ip=ip, agent=agent)


async def accept_token(
    tx: Tx,
    user_id: UUID,
    token: str,
    now: datetime,
    *,
    ip: str | None = None,
    agent: str | None = None,
) -> Taken:
    """Take the invitation of this token, whoever holds it. The server's own work.

    Who took it before and is still there gets the same answer, after a second click.
    Raises InvitationNotFound.
    """
    hashed = _hash(token)
    before = await (await tx.execute(TAKEN_BEFORE, (user_id, hashed))).fetchone()
    if before is not None:
        return Taken(before[0], Role(before[1]), added=False)
    found = await _only(tx, OF_TOKEN, (now, hashed))
    return await _take(tx, user_id, found, now, ip=ip, agent=agent)


async def address(tx: Tx, token: str, now: datetime) -> str | None:
    """In whose mailbox this token was; None: it opens nothing. The server's own work."""
    row = await (await tx.execute(ADDRESS, (_hash(token), now))).fetchone()
    return None if row is None else str(row[0])


async def accept_all(tx: Tx, user_id: UUID, email: str, now: datetime) -> list[UUID]:
    """Take what waits for an address that was proven just now; the projects that were added."""
    cursor = await tx.execute(OF_EMAIL, (now, email))
    taken: list[UUID] = []
    for row in await cursor.fetchall():
        try:
            found = await _take(tx, user_id, row[0], now)
        except InvitationNotFound:
            continue  # its inviter lost the right, or somebody took it meanwhile
        if found.added:
            taken.append(found.project_id)
    return taken


async def decline(tx: Tx, user_id: UUID, invitation_id: UUID, now: datetime) -> UUID:
    """Refuse an invitation of one's own proven address, and learn of which project it was.

    The server's own work. Raises InvitationNotFound.
    """
    cursor = await tx.execute(OF_USER_ONE, (now, user_id, invitation_id))
    row = await cursor.fetchone()
    if row is None or (await tx.execute(WITHDRAW, (invitation_id,))).rowcount == 0:
        raise InvitationNotFound
    return UUID(str(row[1]))


async def _take(
    tx: Tx,
    user_id: UUID,
    invitation_id: UUID,
    now: datetime,
    *,
    ip: str | None = None,
    agent: str | None = None,
) -> Taken:
    cursor = await tx.execute(BY_ID, (now, invitation_id))
    row = await cursor.fetchone()
    if row is None:
        raise InvitationNotFound
    await members.lock(tx, row[1])
    # Once more, now that nobody can change it under our hands.
    cursor = await tx.execute(BY_ID, (now, invitation_id))
    row = await cursor.fetchone()
    offer = None if row is None else _offer(row)
    if row is None or offer is None:
        raise InvitationNotFound
    await tx.execute(WITHDRAW, (invitation_id,))
    if row[9] == user_id:
        return Taken(offer.project_id, Role.OWNER, added=False)
    there = await members.membership(tx, offer.project_id, user_id)
    if there is not None:
        await members.came_by(tx, offer.project_id, user_id, bytes(row[14]))
        return Taken(offer.project_id, there.role, added=False)
    await members.add(tx, offer.project_id, user_id, offer.member, by=offer.invited_by, now=now)
    await members.came_by(tx, offer.project_id, user_id, bytes(row[14]))
    await audit.record(
        tx,
        audit.Kind.INVITATION_ACCEPTED,
        at=now,
        user=user_id,
        actor=user_id,
        project=offer.project_id,
        ip=ip,
        agent=agent,
        role=offer.member.role.value,
        invitation=str(offer.id),
    )
    return Taken(offer.project_id, offer.member.role, added=True)


async def _only(tx: Tx, statement: LiteralString, keys: tuple[object, ...]) -> UUID:
    cursor = await tx.execute(statement, keys)
    row = await cursor.fetchone()
    if row is None:
        raise InvitationNotFound
    return UUID(str(row[0]))


def _pending(row: TupleRow) -> Pending:
    return Pending(row[0], row[1], Membership(Role(row[2]), row[3]), *row[4:])


def _offer(row: TupleRow) -> Offer | None:
    """None: the inviter could not make it any more."""
    found = _Found(*row)
    member = None
    if found.inviters_role is not None:
        member = Membership(Role(found.inviters_role), found.inviters_fine or {})
    offered = Membership(Role(found.role), found.fine)
    inviter = access_for(facts_of(found).shut, found.invited_by, member=member)
    if not may_grant(inviter, offered.role, offered.fine):
        return None
    return Offer(
        found.id,
        found.project_id,
        found.project,
        offered,
        found.invited_by,
        found.inviter,
        found.created_at,
        found.expires_at,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
