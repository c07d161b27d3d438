"""Share links over REST: make, list, take back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import ValidationFailed
from api.shapes import members as shapes
from auth import accounts, audit, links, members
from auth.changes import ProjectChanged
from auth.errors import NotAllowed
from auth.links import LinkNotFound
from auth.permissions import RIGHTS, Right, Role
from docstore.errors import ProjectNotFound

if TYPE_CHECKING:
    from uuid import UUID

    from api.requests import Call
    from base.db import Tx


async def create(call: Call) -> shapes.MadeLink:
    """Make a link that lets in whoever holds it. Asks for a proven address."""
    wanted = call.body(shapes.NewLink)
    role, now = Role(wanted.role), call.services.now()
    async with call.acting() as tx:
        await members.lock(tx, call.path_id("project_id", ProjectNotFound))
        found = await call.project(tx, Right.ACCESS_SHARE)
        project = found.project
        # A key of few scopes must not open a wider door than its own.
        if not RIGHTS[role] - {Right.ACCESS_READ} <= found.access.rights:
            raise NotAllowed("Nobody gives others more than they have themselves.")
        await accounts.require_verified(tx, call.user.user_id)
        if wanted.expires_at is not None and wanted.expires_at <= now:
            raise ValidationFailed("Expected a time to come", path="$.expiresAt")
        link, token = await links.make(
            tx,
            project.id,
            role=role,
            name=wanted.name,
            expires_at=wanted.expires_at,
            by=call.user.user_id,
            now=now,
        )
        await _record(call, tx, audit.Kind.LINK_MADE, project.id, link.id, role=role.value)
    await call.services.changes.tell(ProjectChanged(project.id))
    return shapes.MadeLink(shapes.Link.of(link), token)


async def index(call: Call) -> shapes.Links:
    """The links of a project, without what opens them."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.ACCESS_SHARE)
        made = await links.listing(tx, found.project.id)
    return shapes.Links([shapes.Link.of(each) for each in made])


async def revoke(call: Call) -> None:
    """Take a link back; who came in by it is sent away."""
    async with call.acting() as tx:
        project = (await call.project(tx, Right.ACCESS_SHARE)).project
        number = call.path_id("link_id", LinkNotFound)
        await links.revoke(tx, project.id, number)
        await _record(call, tx, audit.Kind.LINK_REVOKED, project.id, number)
    await call.services.changes.tell(ProjectChanged(project.id))


async def _record(
    call: Call, tx: Tx, kind: audit.Kind, project_id: UUID, link: UUID, role: str | None = None
) -> None:
    await audit.record(
        tx,
        kind,
        at=call.services.now(),
        actor=call.user.user_id,
        project=project_id,
        ip=call.client.ip,
        agent=call.client.agent,
        link=str(link),
        role=role,
    )
