"""Who may enter which room: a path and what was shown become a project and rights, or a close code.

The one place where a socket meets accounts and projects. Runs after the WebSocket is accepted, because browsers
cannot see why an upgrade was refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from auth import access, cookies, credentials, identity, members, permissions
from auth.permissions import Right, Verdict
from base import db, redis
from base.errors import AppError
from docstore import projects
from docstore.errors import ProjectNotFound
from docstore.history import branches
from docstore.history.errors import BranchNotFound
from syncserver.connection import Closing, Code

if TYPE_CHECKING:
    from auth.ratelimit import Limits
    from base.addresses import Proxies
    from base.origins import Origins
    from syncserver.transport import Request

SYNC_PATH: Final = "/sync/"
_AWAY: Final = (db.DatabaseUnavailable, redis.RedisUnavailable)

_NO_ROOM: Final = Closing(Code.GONE, "there is no such room")
_NO_BRANCH: Final = Closing(Code.GONE, "there is no such branch")
_ELSEWHERE: Final = Closing(Code.NO_ACCESS, "this token is for another room")
_BAD_ORIGIN: Final = Closing(Code.NO_ACCESS, "origin_not_allowed")
_TOO_OFTEN: Final = Closing(Code.TRY_LATER, "too many connections; wait")


class Admitted(NamedTuple):
    """Somebody who may enter. link: a share link that somebody with an account brought besides."""

    project: projects.Project
    branch: branches.Branch
    who: credentials.Identity | credentials.Guest | None
    access: permissions.Access
    link: credentials.Guest | None = None

    @property
    def may_edit(self) -> bool:
        """Whether what they say changes the document."""
        return Right.DOCUMENT_EDIT in self.access.rights and not self.branch.protected


class Wanted(NamedTuple):
    """What a path asks for."""

    room: str
    branch: str


class Shown(NamedTuple):
    """What somebody has shown, and who they are by it."""

    who: credentials.Identity | credentials.Guest | None
    link: credentials.Guest | None


def room_name(path: str) -> Wanted | None:
    """The room that a path, percent-decoded, asks for; None for a path that is no room's."""
    if not path.startswith(SYNC_PATH):
        return None
    name = path[len(SYNC_PATH) :].strip("/")
    room, at, branch = name.partition("@")
    if not room or "/" in room:
        return None
    return Wanted(room, branch if at else projects.MAIN)


def token_of(request: Request) -> str | None:
    """The token of a socket: `?token=`, or the one among its subprotocols that looks like one."""
    given = request.query.get("token")
    if given:
        return given
    offers = request.protocols
    return next(
        (each for each in offers if each.count(".") == 2 or each.startswith(identity.PREFIXES)),
        None,
    )


class Gate:
    """Answers `admit` from accounts, sessions and projects."""

    def __init__(
        self,
        *,
        database: db.Database,
        identities: identity.Identities,
        limits: Limits,
        proxies: Proxies,
        origins: Origins,
    ) -> None:
        self._database = database
        self._identities = identities
        self._limits = limits
        self._proxies = proxies
        self._origins = origins

    async def count(self, request: Request) -> Closing | None:
        """One more connection from there: None, or why not now."""
        try:
            await self._limits.connect(ip=self._proxies.client(request.address, request.forwarded))
        except _AWAY:
            raise
        except AppError:
            return _TOO_OFTEN
        return None

    async def admit(self, request: Request) -> Admitted | Closing:
        """Raises DatabaseUnavailable and RedisUnavailable; every refusal is an answer."""
        if not self._origins.allows(request.origin, request.host):
            return _BAD_ORIGIN
        wanted = room_name(request.path)
        if wanted is None:
            return _NO_ROOM
        shown = await self._shown(request)
        if isinstance(shown, Closing):
            return shown
        who, link = shown
        async with self._database.connection() as tx:
            project = await projects.by_room(tx, wanted.room)
            elsewhere = await _elsewhere(tx, who, project)
            if elsewhere is not None:
                return elsewhere
            if project is None:
                return _hidden(who)
            member = None
            if isinstance(who, credentials.Identity) and who.user_id != project.owner_id:
                member = await members.membership(tx, project.id, who.user_id)
            branch = await _branch(tx, project, wanted.branch)
        facts = permissions.facts_of(project)
        found = access.access_of(who, project.id, facts, member, link=link)
        if permissions.judge(found, Right.DOCUMENT_READ) is not Verdict.ALLOWED:
            return _hidden(who)
        # Said to those only who may know that there is the room.
        return _NO_BRANCH if branch is None else Admitted(project, branch, who, found, link)

    async def _shown(self, request: Request) -> Shown | Closing:
        who: credentials.Identity | credentials.Guest | None = None
        link: credentials.Guest | None = None
        token = token_of(request)
        if token is None and self._origins.trusts(request.origin, request.host):
            # A browser adds cookies whoever's page it is that asks: only those of ours may use them.
            token = cookies.access_token(request.cookie)
        try:
            if token is not None:
                who = await self._identities.admit(token)
            if request.query.get("link"):
                link = await self._identities.open_link(request.query["link"])
        except _AWAY:
            raise
        except AppError as refusal:
            return Closing(Code.SIGN_IN_AGAIN, refusal.code)
        if who is None:
            return Shown(link, None)
        # A ticket holds what was brought beside a token when it was asked for.
        return Shown(who, link or (who.link if isinstance(who, credentials.Identity) else None))


async def _branch(tx: db.Tx, project: projects.Project, name: str) -> branches.Branch | None:
    try:
        return await branches.get(tx, project.id, name)
    except BranchNotFound:
        return None


async def _elsewhere(
    tx: db.Tx,
    who: credentials.Identity | credentials.Guest | None,
    project: projects.Project | None,
) -> Closing | None:
    """Somebody who may enter one room only stands before another one.

    Said of rooms that there are not as well, so that nobody learns which there are; but one whose own room is gone
    hears of that.
    """
    bound = who.project_id if who is not None else None
    if bound is None or (project is not None and project.id == bound):
        return None
    try:
        await projects.get(tx, bound)
    except ProjectNotFound:
        return _NO_ROOM
    return _ELSEWHERE


def _hidden(who: credentials.Identity | credentials.Guest | None) -> Closing:
    # A stranger learns the same of a private project as of none at all.
    if who is None:
        return Closing(Code.SIGN_IN_AGAIN, "token_missing")
    return _NO_ROOM
