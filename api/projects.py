"""Projects over REST: create, list, show, change, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from api.shapes import common
from api.shapes import projects as shapes
from auth.permissions import Right, Role
from docstore import projects

if TYPE_CHECKING:
    from api.requests import Call

GONE: Final = 4404
"""Close code of sockets whose project was deleted; clients do not come back after it."""

COME_BACK: Final = 1012
"""Close code after which clients reconnect by themselves, and are judged as they do."""


async def create(call: Call) -> shapes.Project:
    """Create a project; it belongs to who asks."""
    wanted = call.body(shapes.NewProject)
    async with call.services.database.transaction() as tx:
        project = await projects.create(
            tx,
            owner=call.user.user_id,
            name=wanted.name,
            kind=wanted.kind,
            description=wanted.description,
            is_public=wanted.is_public,
            now=call.services.now(),
        )
    call.answer_headers["Location"] = f"/api/projects/{project.id}"
    return shapes.Project.of(project, Role.OWNER)


async def index(call: Call) -> shapes.Projects:
    """The asker's own projects, newest first."""
    page = call.query(common.Page)
    async with call.services.database.connection() as tx:
        items, cursor = await projects.page(
            tx, viewer=call.user.user_id, limit=page.limit, after=page.cursor
        )
    return shapes.Projects([shapes.Project.of(item, Role.OWNER) for item in items], cursor)


async def show(call: Call) -> shapes.Project:
    """One project."""
    async with call.services.database.connection() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
    return shapes.Project.of(found.project, found.role)


async def change(call: Call) -> shapes.Project:
    """Change what the body names."""
    wanted = call.body(shapes.ProjectChanges)
    async with call.services.database.transaction() as tx:
        found = await call.project(tx, Right.PROJECT_CHANGE)
        project = await projects.update(
            tx,
            found.project.id,
            name=None if wanted.name is UNSET else wanted.name,
            description=None if wanted.description is UNSET else wanted.description,
            is_public=None if wanted.is_public is UNSET else wanted.is_public,
            now=call.services.now(),
        )
    if found.project.is_public and not project.is_public:
        # Viewers who are in the room must leave; everybody reconnects and is judged again.
        await call.services.rooms.close(project.id, code=COME_BACK, reason="access changed")
    return shapes.Project.of(project, found.role)


async def delete(call: Call) -> None:
    """Delete a project and send everybody who is in it away."""
    async with call.services.database.transaction() as tx:
        found = await call.project(tx, Right.PROJECT_DELETE)
        await projects.delete(tx, found.project.id, call.services.now())
    await call.services.rooms.close(found.project.id, code=GONE, reason="project deleted")
