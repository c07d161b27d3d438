"""Projects over REST: create, list, show, change, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from api.shapes import common
from api.shapes import projects as shapes
from auth import access, accounts, audit
from auth.changes import ProjectChanged
from auth.errors import NotAllowed
from auth.permissions import Access, Membership, Right, Role, Verdict, facts_of, judge
from docstore import projects

if TYPE_CHECKING:
    from api.requests import Call
    from base.db import Tx


async def create(call: Call) -> shapes.Project:
    """Create a project; it belongs to who asks."""
    wanted = call.body(shapes.NewProject)
    within(call, Right.PROJECT_CHANGE)
    opened = wanted.is_public or wanted.guest_role != "none"
    async with call.acting() as tx:
        if opened:
            within(call, Right.ACCESS_SHARE)
            await accounts.require_verified(tx, call.user.user_id)
        project = await projects.create(
            tx,
            owner=call.user.user_id,
            name=wanted.name,
            kind=wanted.kind,
            description=wanted.description,
            is_public=wanted.is_public,
            guest_role=wanted.guest_role,
            now=call.services.now(),
        )
        if opened:
            await _opened(call, tx, project)
    call.answer_headers["Location"] = f"/api/projects/{project.id}"
    return shapes.Project.of(project, _reach(call, project, None))


async def index(call: Call) -> shapes.Projects:
    """What the asker owns or works on, newest first."""
    page = call.query(common.Page)
    within(call, Right.PROJECT_READ)
    who = call.user
    async with call.acting() as tx:
        items, cursor = await projects.page(
            tx, viewer=who.user_id, limit=page.limit, after=page.cursor, only=who.project_id
        )
    shown: list[shapes.Project] = []
    for item in items:
        member = None if item.role is None else Membership(Role(item.role), item.fine)
        shown.append(shapes.Project.of(item.project, _reach(call, item.project, member)))
    return shapes.Projects(shown, cursor)


async def show(call: Call) -> shapes.Project:
    """One project."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
    return shapes.Project.of(found.project, found.access)


async def change(call: Call) -> shapes.Project:
    """Change what the body names."""
    wanted = call.body(shapes.ProjectChanges)
    described = wanted.name is not UNSET or wanted.description is not UNSET
    doors = wanted.is_public is not UNSET or wanted.guest_role is not UNSET
    async with call.acting() as tx:
        found = await call.project(tx, Right.ACCESS_SHARE if doors else Right.PROJECT_CHANGE)
        if described and judge(found.access, Right.PROJECT_CHANGE) is not Verdict.ALLOWED:
            raise NotAllowed
        # Shutting a door again asks for nothing but the right.
        if wanted.is_public is True or wanted.guest_role not in (UNSET, "none"):
            await accounts.require_verified(tx, call.user.user_id)
        project = await projects.update(
            tx,
            found.project.id,
            name=None if wanted.name is UNSET else wanted.name,
            description=None if wanted.description is UNSET else wanted.description,
            is_public=None if wanted.is_public is UNSET else wanted.is_public,
            guest_role=None if wanted.guest_role is UNSET else wanted.guest_role,
            now=call.services.now(),
        )
        moved = _doors(project) != _doors(found.project)
        if moved:
            await _opened(call, tx, project)
    if moved:
        await call.services.changes.tell(ProjectChanged(project.id))
    return shapes.Project.of(project, found.access)


async def delete(call: Call) -> None:
    """Delete a project and send everybody who is in it away."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_DELETE)
        now = call.services.now()
        await projects.delete(tx, found.project.id, now)
        await audit.record(
            tx,
            audit.Kind.PROJECT_DELETED,
            at=now,
            actor=call.user.user_id,
            project=found.project.id,
            ip=call.client.ip,
            agent=call.client.agent,
        )
    await call.services.changes.tell(ProjectChanged(found.project.id))


def within(call: Call, right: Right) -> None:
    """Refuse a key without this scope, where no project says what its holder may do."""
    if call.user.rights is not None and right not in call.user.rights:
        raise NotAllowed("This key has no scope for that.")


def _reach(call: Call, project: projects.Project, member: Membership | None) -> Access:
    return access.access_of(call.user, project.id, facts_of(project), member)


def _doors(project: projects.Project) -> tuple[bool, str]:
    return project.is_public, project.guest_role


async def _opened(call: Call, tx: Tx, project: projects.Project) -> None:
    await audit.record(
        tx,
        audit.Kind.PROJECT_OPENED,
        at=call.services.now(),
        actor=call.user.user_id,
        project=project.id,
        ip=call.client.ip,
        agent=call.client.agent,
        is_public=project.is_public,
        guest_role=project.guest_role,
    )
