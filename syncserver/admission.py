"""Who may enter which room: a path and a token become a project and a role, or a close code.

The one place where a socket meets accounts and projects. Runs after the WebSocket is accepted, because browsers
cannot see why an upgrade was refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from auth import identity, permissions
from auth.errors import SessionEnded, TokenExpired, TokenInvalid, TokenMissing
from docstore import projects
from syncserver.connection import Closing, Code

if TYPE_CHECKING:
    from base import db
    from syncserver.transport import Request

SYNC_PATH: Final = "/sync/"
_SIGN_IN: Final = (TokenExpired, TokenInvalid, TokenMissing, SessionEnded)


class Admitted(NamedTuple):
    """Somebody who may enter."""

    project: projects.Project
    who: identity.Identity | None
    may_edit: bool


def room_name(path: str) -> str | None:
    """The room that a path asks for, without its branch; None for a path that is no room's."""
    if not path.startswith(SYNC_PATH):
        return None
    name = path[len(SYNC_PATH) :].strip("/")
    room, at, branch = name.partition("@")
    # Branches other than the default one come with history; until then only their name for it is known.
    if not room or "/" in room or (at and branch != "main"):
        return None
    return room


def token_of(request: Request) -> str | None:
    """The token of a socket: `?token=`, or the one among its subprotocols that looks like a JWT."""
    given = request.query.get("token")
    if given:
        return given
    return next((offer for offer in request.protocols if offer.count(".") == 2), None)


class Gate:
    """Answers `admit` from accounts, sessions and projects."""

    def __init__(self, database: db.Database, identities: identity.Identities) -> None:
        self._database = database
        self._identities = identities

    async def admit(self, request: Request) -> Admitted | Closing:
        """Raises DatabaseUnavailable and RedisUnavailable; every refusal is an answer."""
        room = room_name(request.path)
        if room is None:
            return Closing(Code.GONE, "there is no such room")
        token = token_of(request)
        who: identity.Identity | None = None
        if token is not None:
            try:
                who = await self._identities.identify(token)
            except _SIGN_IN as refusal:
                return Closing(Code.SIGN_IN_AGAIN, refusal.code)
        async with self._database.connection() as tx:
            project = await projects.by_room(tx, room)
        if project is None:
            return _hidden(who)
        facts = permissions.Facts(project.owner_id, project.is_public)
        role = permissions.role_for(facts, who.user_id if who else None)
        if (
            permissions.judge(role, permissions.Right.DOCUMENT_READ)
            is not permissions.Verdict.ALLOWED
        ):
            return _hidden(who)
        edits = permissions.judge(role, permissions.Right.DOCUMENT_EDIT)
        return Admitted(project, who, may_edit=edits is permissions.Verdict.ALLOWED)


def _hidden(who: identity.Identity | None) -> Closing:
    # A stranger learns the same of a private project as of none at all.
    if who is None:
        return Closing(Code.SIGN_IN_AGAIN, "token_missing")
    return Closing(Code.GONE, "there is no such room")
