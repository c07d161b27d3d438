"""Access, watched while people are in their rooms: who may do less, or nothing any more, finds out within a second.

Hears changes (`auth.changes`), asks the database what is true now and tells the visitors. Does the same for
everybody after changes may have been missed, and slowly all the time. Time ends what has an end. While the database
or Redis is away everything stays as it was, and is judged as soon as they are back. Knows visitors; not rooms.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from auth import access, changes, keys, links, members, permissions
from auth.credentials import Guest, Identity, Kind
from base import clock, log, metrics
from base.errors import AppError
from docstore import projects
from docstore.errors import ProjectNotFound
from syncserver.attendance import Attendance, Place
from syncserver.connection import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from datetime import datetime
    from uuid import UUID

    from auth.identity import Identities
    from base.db import Database, Tx
    from base.tasks import Tasks
    from syncserver.attendance import Visitor

_log = log.get("syncserver.watch")

_RETRY_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 60.0
"""How often everybody is judged although nothing was heard."""
_AT_ONCE: Final = 500
"""Sessions or keys that are asked about in one question."""
_REMEMBERED: Final = 1000
"""Changes that an admission under way is compared with; if there were more it begins again."""


class Watch:
    """Keeps what visitors may do in step with what is true."""

    def __init__(
        self,
        *,
        database: Database,
        identities: Identities,
        owner: Tasks,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self._identities = identities
        self._now = now
        self._present = Attendance()
        self._urgent: dict[UUID, float] = {}
        """Projects to look at, and when that was first said."""
        self._someday: dict[UUID, None] = {}
        self._projects = asyncio.Event()
        self._credentials = asyncio.Event()
        self._swept = clock.monotonic()
        self._recent: deque[UUID | None] = deque(maxlen=_REMEMBERED)
        self.heard = 0
        """How many changes there were; see `stale`."""
        owner.spawn("watch_projects", self._judge_projects())
        owner.spawn("watch_credentials", self._check_credentials())

    # -- who is here --------------------------------------------------------------------------------------------

    def enter(self, visitor: Visitor) -> None:
        """Somebody was admitted, by what was true a moment ago (`stale`)."""
        self._present.add(visitor)

    def leave(self, visitor: Visitor) -> None:
        """Somebody has gone."""
        self._present.remove(visitor)

    def stale(self, since: int, project_id: UUID, who: Identity | Guest | None) -> bool:
        """Whether something that concerns this admission was heard since `heard` was so much.

        Then what the database said may be older than the change, and nobody will look again.
        """
        missed = self.heard - since
        if missed > len(self._recent):
            return True
        concerns = {None, project_id}
        if isinstance(who, Identity):
            concerns |= {who.user_id, who.credential}
        return any(each in concerns for each in islice(reversed(self._recent), missed))

    # -- what is heard ------------------------------------------------------------------------------------------

    def hear(self, change: changes.Change) -> None:
        """Listener of `auth.changes.Changes`: end what has ended, look again at what may have changed."""
        match change:
            case changes.ProjectChanged(project_id=project):
                self._note(project)
                self._look(project)
            case changes.SessionsEnded(session_ids=sessions):
                for session in sessions:
                    self._note(session)
                    self._end(Kind.SESSION, session, "session_ended")
            case changes.SessionRenewed(session_id=session, until=until):
                for one in self._present.of(Kind.SESSION, session):
                    if one.until is not None:
                        one.until = max(one.until, until)
            case changes.KeyRevoked(key_id=key):
                self._note(key)
                self._end(Kind.KEY, key, "key_revoked")
            case changes.AccountBarred(user_id=user):
                # Its sessions and its keys alike.
                self._note(user)
                self._end(Place.USER, user, "session_ended")
            case changes.EverythingMayHaveChanged():
                self._note(None)
                self._look_at_all()

    def tick(self) -> None:
        """Several times a second: end what time has ended; once a minute look at everybody."""
        now = self._now()
        for one in self._present.due(now):
            if one.until is not None and one.until <= now:
                one.end(Code.SIGN_IN_AGAIN, "token_expired")
            else:
                # The link that was brought besides; an account may have more than that.
                one.link = None
                self._look(one.project_id)
        if clock.monotonic() - self._swept > _SWEEP_SECONDS:
            self._look_at_all()

    def _note(self, what: UUID | None) -> None:
        self._recent.append(what)
        self.heard += 1

    def _end(self, kind: Place | Kind, which: UUID, reason: str) -> None:
        for one in self._present.of(kind, which):
            one.end(Code.SIGN_IN_AGAIN, reason)

    def _look(self, project_id: UUID) -> None:
        self._urgent.setdefault(project_id, clock.monotonic())
        self._projects.set()

    def _look_at_all(self) -> None:
        self._swept = clock.monotonic()
        self._someday.update(dict.fromkeys(self._present.ids(Place.PROJECT)))
        self._projects.set()
        self._credentials.set()

    # -- looking again ------------------------------------------------------------------------------------------

    async def _judge_projects(self) -> None:
        """One project after the other; those somebody spoke of before those nobody did."""
        while True:
            await self._projects.wait()
            self._projects.clear()
            try:
                while self._urgent or self._someday:
                    await self._judge_next()
            except Exception as problem:  # noqa: BLE001 (whatever it was, who was not judged yet has to be)
                _tell("projects_not_judged", problem)
                await asyncio.sleep(_RETRY_SECONDS)
                self._projects.set()

    async def _judge_next(self) -> None:
        project_id = next(iter(self._urgent or self._someday))
        # Before the question: what is heard while it is being answered needs another one.
        heard = self._urgent.pop(project_id, None)
        self._someday.pop(project_id, None)
        try:
            await self._judge(project_id)
        except BaseException:
            # To the end: a project that cannot be judged must not keep others from it.
            self._urgent[project_id] = heard or clock.monotonic()
            raise
        if heard is not None:
            metrics.access_change_seconds.observe(clock.monotonic() - heard)

    async def _judge(self, project_id: UUID) -> None:
        # Who comes in from here on has been admitted by what is true now: see `stale`.
        visitors = self._present.of(Place.PROJECT, project_id)
        if not visitors:
            return
        now = self._now()
        async with self._database.connection() as tx:
            try:
                project = await projects.get(tx, project_id)
            except ProjectNotFound:
                for one in visitors:
                    one.end(Code.GONE, "the project was deleted")
                return
            people = {one.who.user_id for one in visitors if isinstance(one.who, Identity)}
            known = await members.memberships(tx, project_id, people) if people else {}
            shown = {link.link_id for one in visitors for link in _links(one)}
            doors = await links.alive(tx, project_id, shown, now) if shown else {}
        facts = permissions.Facts(
            project.owner_id, project.is_public, permissions.Role(project.guest_role)
        )
        for one in visitors:
            member = known.get(one.who.user_id) if isinstance(one.who, Identity) else None
            who = _as_is(one.who, doors) if isinstance(one.who, Guest) else one.who
            link = _as_is(one.link, doors) if one.link is not None else None
            one.judged(access.access_of(who, project_id, facts, member, link=link))

    async def _check_credentials(self) -> None:
        """Sessions and keys of which nobody said that they ended; open sockets keep sessions alive."""
        while True:
            await self._credentials.wait()
            self._credentials.clear()
            try:
                for some in _portions(self._present.ids(Kind.SESSION)):
                    alive = await self._identities.alive(some)
                    self._end_all_but(Kind.SESSION, some, alive, "session_ended")
                    await self._identities.touch(alive)
                for some in _portions(self._present.ids(Kind.KEY)):
                    async with self._database.connection() as tx:
                        alive = await self._keys(tx, some)
                    self._end_all_but(Kind.KEY, some, alive, "key_revoked")
            except Exception as problem:  # noqa: BLE001 (as above)
                _tell("credentials_not_checked", problem)
                await asyncio.sleep(_RETRY_SECONDS)
                self._credentials.set()

    async def _keys(self, tx: Tx, some: Sequence[UUID]) -> set[UUID]:
        return await keys.alive(tx, some, self._now())

    def _end_all_but(self, kind: Kind, some: Sequence[UUID], alive: set[UUID], reason: str) -> None:
        for gone in set(some) - alive:
            self._end(kind, gone, reason)


def _links(visitor: Visitor) -> Generator[Guest]:
    if isinstance(visitor.who, Guest):
        yield visitor.who
    if visitor.link is not None:
        yield visitor.link


def _as_is(link: Guest, doors: dict[UUID, permissions.Role]) -> Guest:
    """A link that is gone opens nothing; another door may be open all the same, as far as a ticket reaches."""
    return link._replace(role=doors.get(link.link_id, permissions.Role.NONE))


def _portions(ids: Sequence[UUID]) -> Generator[Sequence[UUID]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def _tell(event: str, problem: Exception) -> None:
    unavailable = isinstance(problem, AppError)
    _log.warning(event, problem=type(problem).__name__, exc_info=not unavailable)
