"""A project's document over REST: download a snapshot, apply an update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import anyio
from starlette.responses import Response

from api import aside
from api.errors import NotYetDurable
from api.route import JSON, OCTETS
from api.shapes import documents as shapes
from auth.credentials import Identity
from auth.permissions import Right
from docstore.history import branches, work
from docstore.history.errors import BranchProtected

if TYPE_CHECKING:
    from api.ports import Applied
    from api.requests import Call
    from docstore.history.branches import Branch

DURABLE_SECONDS: Final = 30.0
"""How long an answer waits for the journal before it says that it does not know yet."""


async def snapshot(call: Call) -> Response:
    """The live document, as a Yjs update or as JSON."""
    wanted = call.query(shapes.LiveQuery)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EXPORT)
        branch = await branches.get(tx, found.project.id, wanted.branch)
    state = await call.services.rooms.snapshot(branch.document_id)
    tag = f'"{await aside.digest(state)}-{wanted.format}"'
    kept = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_current(call.request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=kept)
    kept["Content-Disposition"] = disposition(found.project.name, wanted.format)
    if wanted.format == "json":
        return Response(await work.as_json(state), headers=kept, media_type=JSON)
    return Response(state, headers=kept, media_type=OCTETS)


async def update(call: Call) -> shapes.UpdateApplied:
    """Apply a Yjs update through the live room; the answer comes once it is durable."""
    wanted = call.query(shapes.UpdateQuery)
    await _editable(call, wanted.branch)
    limit = call.services.settings.max_frame_bytes
    content = await call.octets(OCTETS, limit=limit, optional=True)
    # Again: it may have come slowly, and what was true before is no more.
    branch = await _editable(call, wanted.branch)
    became = await applied(call, branch.document_id, content)
    return shapes.UpdateApplied(applied=became.changed, pending=became.pending)


async def _editable(call: Call, name: str) -> Branch:
    """A branch that who asks may edit as it is. Nobody edits a protected one: BranchProtected."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
        branch = await branches.get(tx, found.project.id, name)
    if branch.protected:
        raise BranchProtected(branch=branch.name)
    return branch


async def applied(call: Call, document_id: int, content: bytes) -> Applied:
    """Apply an update in the name of who asks. Raises UpdateRejected, NotYetDurable."""
    # A link or an open door may let somebody edit who has no account.
    author = call.identity.user_id if isinstance(call.identity, Identity) else None
    # With the database away the room keeps the update and goes on trying; the client may ask
    # again meanwhile, since an update that comes twice changes nothing.
    with anyio.move_on_after(DURABLE_SECONDS):
        return await call.services.rooms.apply(document_id, content, author)
    raise NotYetDurable


def is_current(if_none_match: str | None, tag: str) -> bool:
    """Whether the client's copy, by its If-None-Match, is this one (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    held = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return tag in held or "*" in held


def disposition(name: str, extension: str) -> str:
    """A download's name, in ASCII for the old and in UTF-8 for the rest (RFC 6266)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in name)
    encoded = quote(f"{name}.{extension}", safe="")
    return f"attachment; filename=\"{plain}.{extension}\"; filename*=UTF-8''{encoded}"
