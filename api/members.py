"""Collaborators over REST: add, list, change, remove, leave; and giving a project away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from api.projects import within
from api.shapes import members as shapes
from api.shapes import users
from api.shapes.common import camel
from auth import (
    accounts,
    audit,
    identifiers,
    invitations,
    letters,
    links,
    members,
    outreach,
    profiles,
)
from auth.changes import ProjectChanged
from auth.errors import NotAllowed
from auth.permissions import (
    Membership,
    Right,
    Role,
    differences,
    held,
    kept,
    may_change,
    may_grant,
    unfit,
)
from docstore import projects
from docstore.errors import ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from api.requests import Authorised, Call
    from base.db import Tx


async def add(call: Call) -> shapes.Joined:
    """Let somebody in, or invite the address of somebody who has no account yet.

    A person is added at once when their address is proven; then they see the project in their
    list. An address that nobody has proven gets a letter. Asks for a proven address of one's own.
    """
    wanted = call.body(shapes.NewCollaborator)
    now = call.services.now()
    async with call.acting() as tx:
        found = await call.project(tx, Right.ACCESS_INVITE)
        member = _member(Role(wanted.role), wanted.permissions.named())
        _check_grant(found, member)
        await accounts.require_verified(tx, call.user.user_id)
    email = None if wanted.email is UNSET else identifiers.email(wanted.email)
    # Who has which address is the server's to know, and no connection is held while it looks.
    async with call.services.database.transaction() as tx:
        await invitations.sweep(tx, found.project.id, now)
        person = await members.find(
            tx,
            email=email,
            username=None if wanted.username is UNSET else wanted.username,
            user_id=None if wanted.user_id is UNSET else wanted.user_id,
        )
        told = None if person is None else await _wants_letters(tx, person)
    if person is not None:
        return await _add(call, person, member, told)
    if email is None:
        raise members.UserNotFound
    return await _invite(call, email, member)


async def index(call: Call) -> shapes.Crew:
    """Who works on a project, and who is invited to."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.ACCESS_READ)
        project, rights = found.project, found.access.rights
        people = await members.everybody(
            tx, project.id, owner=project.owner_id, since=project.created_at
        )
        waiting: list[invitations.Pending] = []
        if rights & {Right.ACCESS_INVITE, Right.ACCESS_CHANGE}:
            waiting = await invitations.pending(tx, project.id, call.services.now())
    if Right.ACCESS_CHANGE not in rights:
        waiting = [each for each in waiting if each.invited_by == call.user.user_id]
    return shapes.Crew(
        [shapes.Collaborator.of(each) for each in people],
        [shapes.Invitation.of(each) for each in waiting],
    )


async def change(call: Call) -> shapes.Collaborator:
    """Change the role or the permissions of somebody who has less than you."""
    wanted = call.body(shapes.CollaboratorChanges)
    async with call.acting() as tx:
        found = await _locked(call, tx, Right.ACCESS_CHANGE)
        project = found.project
        user = call.path_id("user_id", members.CollaboratorNotFound)
        if user in (call.user.user_id, project.owner_id):
            raise NotAllowed("Nobody changes their own role, or the owner's.")
        old = (await members.one(tx, project.id, user)).member
        if not may_change(found.access, old.role):
            raise NotAllowed
        role = old.role if wanted.role is UNSET else Role(wanted.role)
        member = _member(role, wanted.permissions.named(), old.fine)
        _check_grant(found, member)
        await members.change(tx, project.id, user, member, call.services.now())
        await _take_back(tx, project.id, user, member)
        await _record(call, tx, audit.Kind.COLLABORATOR_CHANGED, user, project.id, member)
        changed = await members.one(tx, project.id, user)
    await call.services.changes.tell(ProjectChanged(project.id))
    return shapes.Collaborator.of(changed)


async def remove(call: Call) -> None:
    """Take somebody out of a project who has less than you, or leave it yourself."""
    async with call.acting() as tx:
        found = await _locked(call, tx, Right.PROJECT_READ)
        project = found.project
        leaving = call.request.path_params["user_id"].lower() == str(call.user.user_id)
        if leaving:
            within(call, Right.ACCESS_CHANGE)
        elif Right.ACCESS_CHANGE not in found.access.rights:
            raise NotAllowed
        user = call.path_id("user_id", members.CollaboratorNotFound)
        if user == project.owner_id:
            raise members.OwnerStays if leaving else NotAllowed
        old = (await members.one(tx, project.id, user)).member
        if not leaving and not may_change(found.access, old.role):
            raise NotAllowed
        # Before the membership: who leaves may do nothing afterwards.
        await _take_back(tx, project.id, user, None)
        await members.remove(tx, project.id, user)
        await _record(call, tx, audit.Kind.COLLABORATOR_REMOVED, user, project.id, old)
    await call.services.changes.tell(ProjectChanged(project.id))


async def transfer(call: Call) -> None:
    """Give the project to one of its collaborators; the old owner stays as an admin."""
    to = call.body(shapes.NewOwner).user_id
    me, now = call.user.user_id, call.services.now()
    async with call.acting() as tx:
        project = (await call.project(tx, Right.PROJECT_TRANSFER)).project
    async with call.services.database.transaction() as tx:
        await members.lock(tx, project.id)
        await call.project(tx, Right.PROJECT_TRANSFER)  # it may have been given away meanwhile
        await members.remove(tx, project.id, to)
        if await members.find(tx, user_id=to) is None:
            raise members.OwnerUnfit
        await projects.transfer(tx, project.id, owner=me, to=to, now=now)
        admin = Membership(Role.ADMIN)
        await members.add(tx, project.id, me, admin, by=to, now=now)
        await _record(
            call, tx, audit.Kind.PROJECT_TRANSFERRED, to, project.id, Membership(Role.OWNER)
        )
        await _record(call, tx, audit.Kind.COLLABORATOR_CHANGED, me, project.id, admin)
    await call.services.changes.tell(ProjectChanged(project.id))


async def _add(call: Call, person: UUID, member: Membership, told: str | None) -> shapes.Joined:
    """Let somebody in; told: the address that hears of it."""
    async with call.acting() as tx:
        found = await _locked(call, tx, Right.ACCESS_INVITE)
        _check_grant(found, member)
        project, me = found.project, call.user.user_id
        if person == project.owner_id or await members.membership(tx, project.id, person):
            raise members.AlreadyCollaborator
        await members.check_room(tx, project.id)
        await members.add(tx, project.id, person, member, by=me, now=call.services.now())
        await _record(call, tx, audit.Kind.COLLABORATOR_ADDED, person, project.id, member)
        added = await members.one(tx, project.id, person)
        # Before the commit: without Redis nobody is added, as the answer says.
        letter = told and await outreach.may_write(call.services.redis, to=told, by=me)
    await call.services.changes.tell(ProjectChanged(project.id))
    if told and letter:
        call.services.mail.post(
            letters.added(told, call.user.username, project.name, member.role.value)
        )
    return shapes.Joined("added", collaborator=shapes.Collaborator.of(added))


async def _invite(call: Call, email: str, member: Membership) -> shapes.Joined:
    async with call.acting() as tx:
        found = await _locked(call, tx, Right.ACCESS_INVITE)
        _check_grant(found, member)
        me = call.user.user_id
        letter = await outreach.may_write(call.services.redis, to=email, by=me)
        made, token = await invitations.make(
            tx,
            found.project.id,
            email=email,
            member=member,
            by=me,
            replaces=frozenset(role for role in Role if may_change(found.access, role)),
            letter=letter,
            now=call.services.now(),
        )
        await _record(
            call,
            tx,
            audit.Kind.INVITATION_MADE,
            None,
            found.project.id,
            member,
            invitation=str(made.id),
        )
    base = call.services.settings.public_url
    url = token if base is None else f"{base.rstrip('/')}/#invite={token}"
    if letter:
        who, what = call.user.username, found.project.name
        call.services.mail.post(letters.invitation(email, who, what, member.role.value, url))
    return shapes.Joined("invited", invitation=shapes.Invitation.of(made))


async def _locked(call: Call, tx: Tx, right: Right) -> Authorised:
    """The project, judged while nobody else changes its people."""
    await members.lock(tx, call.path_id("project_id", ProjectNotFound))
    return await call.project(tx, right)


async def _wants_letters(tx: Tx, user: UUID) -> str | None:
    """The address of somebody who likes to hear of such things by mail. In the server's name."""
    chosen = users.Preferences.of(await profiles.preferences(tx, user))
    account = await accounts.find(tx, user)
    wanted = chosen.email_notifications and chosen.collaboration_notifications
    return account.email if wanted and account is not None else None


def _member(
    role: Role, wanted: Mapping[str, bool], old: Mapping[str, bool] | None = None
) -> Membership:
    fine = differences(role, wanted)
    if names := unfit(role, fine):
        raise members.PermissionsInvalid(
            role=role.value, permissions=[camel(name) for name in names]
        )
    return Membership(role, kept(role, old or {}, wanted) | fine)


def _check_grant(found: Authorised, member: Membership) -> None:
    if not may_grant(found.own, member.role, member.fine):
        raise NotAllowed("Nobody gives others more than they have themselves.")


async def _take_back(tx: Tx, project_id: UUID, user: UUID, member: Membership | None) -> None:
    """End what somebody made and may not make any more; None: they leave."""
    rights = frozenset[Right]() if member is None else held(member).rights
    if Right.ACCESS_SHARE not in rights:
        await links.revoke_of(tx, project_id, user)
    if Right.ACCESS_INVITE not in rights:
        await invitations.withdraw_of(tx, project_id, user)


async def _record(
    call: Call,
    tx: Tx,
    kind: audit.Kind,
    user: UUID | None,
    project_id: UUID,
    member: Membership,
    **detail: object,
) -> None:
    await audit.record(
        tx,
        kind,
        at=call.services.now(),
        user=user,
        actor=call.user.user_id,
        project=project_id,
        ip=call.client.ip,
        agent=call.client.agent,
        role=member.role.value,
        fine=dict(member.fine),
        **detail,
    )
