"""Access, watched while people are in their rooms: who may do less, or nothing any more, finds out within a second.

Hears changes (`auth.changes`), asks the database what is true now and tells the visitors. Does the same for
everybody after changes may have been missed, and slowly all the time. Time ends what has an end; whether a session
was refreshed meanwhile only the session knows. While the database or Redis is away everything stays as it was, and is
judged as soon as they are back. Knows visitors; not rooms.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from auth import access, accounts, changes, keys, links, members, permissions
from auth.credentials import Guest, Identity, Kind
from base import clock, log, metrics
from base.errors import AppError
from docstore import projects
from docstore.errors import ProjectNotFound
from docstore.history import branches
from syncserver.attendance import Attendance, Place
from syncserver.connection import Code
from syncserver.contained import each
from syncserver.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from auth.identity import Identities
    from base.db import Database
    from base.tasks import Tasks
    from syncserver.attendance import Visitor

_log = log.get("syncserver.watch")

_RETRY_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 60.0
"""How often everybody is judged although nothing was heard."""
_AT_ONCE: Final = 500
"""Sessions, keys or accounts that are asked about in one question."""


_Check: TypeAlias = "Callable[[Sequence[UUID]], Awaitable[set[UUID]]]"


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
        self._over: set[UUID] = set()
        """Sessions whose access token, as far as is known here, has ended for somebody."""
        self._overdue = asyncio.Event()
        self._swept = clock.monotonic()
        self._recent = Recent()
        owner.spawn("watch_projects", self._judge_projects())
        owner.spawn("watch_credentials", self._check_credentials())
        owner.spawn("watch_ends", self._ask_for_ends())

    @property
    def heard(self) -> int:
        """How many changes there were; see `stale`."""
        return self._recent.heard

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
        concerns = {project_id}
        if isinstance(who, Identity):
            concerns |= {who.user_id, who.credential}
        return self._recent.concerned(since, concerns)

    # -- what is heard ------------------------------------------------------------------------------------------

    def hear(self, change: changes.Change) -> None:
        """Listener of `auth.changes.Changes`: end what has ended, look again at what may have changed."""
        match change:
            case changes.ProjectChanged(project_id=project):
                self._recent.note([project])
                self._look(project)
            case changes.SessionsEnded(session_ids=sessions):
                self._recent.note(sessions)
                for session in sessions:
                    self._end(Kind.SESSION, session, "session_ended")
            case changes.SessionRenewed(session_id=session, until=until):
                self._renewed(session, until)
            case changes.KeyRevoked(key_id=key):
                self._recent.note([key])
                self._end(Kind.KEY, key, "key_revoked")
            case changes.AccountBarred(user_id=user):
                # Its sessions and its keys alike.
                self._recent.note([user])
                self._end(Place.USER, user, "session_ended")
            case changes.EverythingMayHaveChanged():
                self._recent.note(None)
                self._look_at_all()

    def tick(self) -> None:
        """Several times a second: end what time has ended; once a minute look at everybody."""
        now = self._now()
        each("visitor_not_ended", self._present.due(now), lambda one: self._is_due(one, now))
        if clock.monotonic() - self._swept > _SWEEP_SECONDS:
            self._look_at_all()

    def _is_due(self, one: Visitor, now: datetime) -> None:
        if one.link is not None and one.link.expires_at is not None and one.link.expires_at <= now:
            # It was brought besides; an account may have more than that.
            one.link = None
            self._look(one.project_id)
        if one.until is None or one.until > now:
            return
        if isinstance(one.who, Identity) and one.who.kind is Kind.SESSION:
            # It may have been refreshed where we did not hear of it, or before this one came in.
            self._over.add(one.who.credential)
            self._overdue.set()
        else:
            _sign_in_again(one, "token_expired")

    def _renewed(self, session: UUID, until: datetime) -> None:
        for one in self._present.of(Kind.SESSION, session):
            if one.until is not None and one.until < until:
                self._present.postpone(one, until)

    def _end(self, kind: Place | Kind, which: UUID, reason: str) -> None:
        found = self._present.of(kind, which)
        each("visitor_not_ended", found, lambda one: _sign_in_again(one, reason))

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
                each(
                    "visitor_not_ended",
                    visitors,
                    lambda one: one.end(Code.GONE, "the project was deleted"),
                )
                return
            lines = {one.document_id: one for one in await branches.listing(tx, project_id)}
            people = {one.who.user_id for one in visitors if isinstance(one.who, Identity)}
            known = await members.memberships(tx, project_id, people) if people else {}
            shown = {link.link_id for one in visitors for link in _links(one)}
            doors = await links.alive(tx, project_id, shown, now) if shown else {}
        facts = permissions.facts_of(project)

        def judge(one: Visitor) -> None:
            branch = lines.get(one.document_id)
            if branch is None:
                one.end(Code.GONE, "the branch was deleted")
                return
            member = known.get(one.who.user_id) if isinstance(one.who, Identity) else None
            who = _as_is(one.who, doors) if isinstance(one.who, Guest) else one.who
            link = _as_is(one.link, doors) if one.link is not None else None
            found = access.access_of(who, project_id, facts, member, link=link)
            one.judged(found, protected=branch.protected)

        failed = each("visitor_not_judged", visitors, judge)
        # Nobody keeps what may have been taken because it could not be told to them.
        each("visitor_not_ended", failed, _let_come_again)

    async def _check_credentials(self) -> None:
        """Accounts, keys and sessions of which nobody said that they ended."""
        checks: tuple[tuple[Place | Kind, _Check, str], ...] = (
            (Place.USER, self._active, "session_ended"),
            (Kind.KEY, self._valid, "key_revoked"),
            (Kind.SESSION, self._alive, "session_ended"),
        )
        while True:
            await self._credentials.wait()
            self._credentials.clear()
            missed = False
            for kind, check, reason in checks:
                # One by one: of the database and Redis one may be there while the other is away.
                try:
                    for some in _portions(self._present.ids(kind)):
                        for gone in set(some) - await check(some):
                            self._end(kind, gone, reason)
                except Exception as problem:  # noqa: BLE001 (as above)
                    _tell(f"{kind}_not_checked", problem)
                    missed = True
            if missed:
                await asyncio.sleep(_RETRY_SECONDS)
                self._credentials.set()

    async def _active(self, users: Sequence[UUID]) -> set[UUID]:
        async with self._database.connection() as tx:
            return await accounts.active(tx, users)

    async def _valid(self, some: Sequence[UUID]) -> set[UUID]:
        async with self._database.connection() as tx:
            return await keys.alive(tx, some, self._now())

    async def _alive(self, sessions: Sequence[UUID]) -> set[UUID]:
        alive = await self._identities.alive(sessions)
        # Open sockets keep them alive.
        await self._identities.touch(alive)
        return alive

    async def _ask_for_ends(self) -> None:
        """Of sessions whose time has come as far as we know; they stay until there is an answer."""
        while True:
            await self._overdue.wait()
            self._overdue.clear()
            try:
                while self._over:
                    some = list(islice(self._over, _AT_ONCE))
                    ends = await self._identities.ends_of(some)
                    self._over.difference_update(some)
                    self._end_or_postpone(some, ends)
            except Exception as problem:  # noqa: BLE001 (as above)
                _tell("ends_not_known", problem)
                await asyncio.sleep(_RETRY_SECONDS)
                self._overdue.set()

    def _end_or_postpone(self, sessions: Iterable[UUID], ends: Mapping[UUID, datetime]) -> None:
        now = self._now()
        for session in sessions:
            if session not in ends:
                self._end(Kind.SESSION, session, "session_ended")
                continue
            self._renewed(session, ends[session])
            found = self._present.of(Kind.SESSION, session)
            over = [one for one in found if one.until is not None and one.until <= now]
            each("visitor_not_ended", over, lambda one: _sign_in_again(one, "token_expired"))


def _sign_in_again(one: Visitor, reason: str) -> None:
    one.end(Code.SIGN_IN_AGAIN, reason)


def _let_come_again(one: Visitor) -> None:
    one.end(Code.SERVER_ERROR, "what you may do could not be looked at")


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
