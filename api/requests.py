"""The only way into a handler: who is asking, how often, what they send, and whether they may.

In this order: the client's address (and whether it is known to be over a limit), who asks (a token,
or a page's cookie), the limits, the body.
Everything that a stranger can get wrong about a request becomes an error with a code here. Bodies
are counted while they are read and dropped as soon as they are too long; a Content-Length is
believed only when it says too much.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from uuid import UUID

import anyio
import msgspec

from api import cookies
from api.allowed import allowed
from api.errors import (
    BodyTooLarge,
    BodyTooSlow,
    MalformedJson,
    UnsupportedMediaType,
    ValidationFailed,
)
from api.route import JSON, Auth, Limit
from api.shapes.common import Refused
from auth import access, accounts, members, permissions
from auth.cookies import ACCESS
from auth.credentials import Guest, Identity, Kind
from auth.errors import NotAllowed, SessionNeeded, TokenInvalid, TokenMissing
from auth.ratelimit import USUAL, Count, TooManyRequests
from base import clock
from base.errors import AppError
from base.places import asking
from docstore import projects
from docstore.errors import ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from starlette.requests import Request

    from api.route import Route
    from api.services import Services
    from base.db import Tx

T = TypeVar("T", bound=msgspec.Struct)

JSON_MOST_BYTES: Final = 256 * 1024
"""The longest JSON body: a description of 5,000 characters fits, every one written as an escape."""

LINK_HEADER: Final = "share-link"
"""A share link that somebody brings beside a token, or instead of one."""

_SWIFT_SECONDS: Final = 0.05
"""A body that takes longer may have been held back, to act for somebody who is nobody by then."""
_CHUNK_SECONDS: Final = 10.0
_BODY_SECONDS: Final = 20.0
_BODY_PACE: Final = 32 * 1024
"""What of a body may take how long: silence, the first bytes, and then so many bytes a second, as
measured over what has come so far."""
_SAFE: Final = frozenset({"GET", "HEAD"})

_NOT_NAMED: Final = "Invalid enum value"
"""How msgspec begins to say that a value is none of those that there are."""

_OF_BOUND_KEYS: Final = frozenset({"projects_index"})
"""What a key of one project may ask besides of that project: the list, which holds it alone."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Authorised(NamedTuple):
    """A project, and what the asker may do with it: enough for what was asked.

    own: what of it they have by name, without the project's open doors: as much as they can give.
    """

    project: projects.Project
    access: permissions.Access
    own: permissions.Access

    @property
    def sees_people(self) -> bool:
        """Whether they may learn who did what."""
        return permissions.Right.ACCESS_READ in self.access.rights


class Client(NamedTuple):
    """Where a request comes from: the address that limits count by, and what calls itself so."""

    ip: str
    agent: str


class Call:
    """One request on its way through a handler."""

    def __init__(self, services: Services, asked: Route, request: Request) -> None:
        self.services = services
        self.request = request
        self.identity: Identity | Guest | None = None
        self.link: Guest | None = None
        self.client = _client(services, request)
        self.count: Count | None = None
        self.answer_headers: dict[str, str] = {}
        self._route = asked
        self._body: msgspec.Struct | None = None

    async def open(self) -> None:
        """Do what the route's description asks for before its handler runs."""
        self._refuse_flood()
        try:
            if self._route.auth is not Auth.NONE:
                await self._recognise()
        except AppError:
            # Whoever shows what is not good is counted too, by address: or it could be guessed.
            await self._limited(None)
            raise
        await self._limited(self.identity.user_id if isinstance(self.identity, Identity) else None)
        await self._check_kind()
        who = self.identity
        asking.set(who.user_id if isinstance(who, Identity) else self.client.ip)
        if isinstance(self._route.body, type):
            nothing = self._route.may_be_empty and not announced(self.request.headers)
            content = b"{}" if nothing else await self.octets(JSON, limit=JSON_MOST_BYTES)
            self._body = decoded(content, self._route.body)

    async def _again(self) -> None:
        """Who asked may be nobody any more, after a body that was held back for a while."""
        if self._route.auth is not Auth.NONE:
            await self._recognise()
            await self._check_kind()

    @property
    def user(self) -> Identity:
        """Who is asking, on a route that requires an account."""
        if not isinstance(self.identity, Identity):
            raise TokenMissing
        return self.identity

    def body(self, shape: type[T]) -> T:
        """The body, which the table must describe as this shape."""
        if not isinstance(self._body, shape):
            raise TypeError(f"{self._route.operation} declares another body")
        return self._body

    def query(self, shape: type[T]) -> T:
        """The query parameters, which the table must describe as this shape; others are ignored."""
        if self._route.query is not shape:
            raise TypeError(f"{self._route.operation} declares another query")
        return parameters(dict(self.request.query_params), shape)

    def acting(self) -> AbstractAsyncContextManager[Tx]:
        """A transaction in the asker's name; what is not theirs is not there (migration 0004)."""
        who = self.identity
        if isinstance(who, Guest):
            return self.services.database.acting(None, link_to=who.project_id)
        link_to = self.link.project_id if self.link else None
        return self.services.database.acting(who.user_id if who else None, link_to=link_to)

    async def project(self, tx: Tx, right: permissions.Right) -> Authorised:
        """The project that the path names, for somebody who may do this with it.

        tx: of `acting`. ProjectNotFound also for a project that they may not know of; for one that
        they may see NotAllowed, or TokenMissing when they have shown nothing yet.
        """
        return await self.project_of(tx, self.path_id("project_id", ProjectNotFound), right)

    async def project_of(self, tx: Tx, project_id: UUID, right: permissions.Right) -> Authorised:
        """The same for a project that is named elsewhere."""
        project = await projects.get(tx, project_id)
        who = self.identity
        member = None
        # An owner is no collaborator: one question less.
        if isinstance(who, Identity) and who.user_id != project.owner_id:
            member = await members.membership(tx, project.id, who.user_id)
        facts = permissions.facts_of(project)
        found = access.access_of(who, project.id, facts, member, link=self.link)
        match permissions.judge(found, right):
            case permissions.Verdict.ALLOWED:
                own = access.access_of(who, project.id, facts.shut, member)
                return Authorised(project, found, own)
            case permissions.Verdict.REFUSED:
                if who is None and self.link is None:
                    raise TokenMissing
                raise NotAllowed(f"This needs the right {right.value} here.", right=right.value)
            case permissions.Verdict.HIDDEN:
                raise ProjectNotFound

    async def octets(self, media_type: str, *, limit: int, optional: bool = False) -> bytes:
        """The raw body of this type, at most `limit` bytes of it.

        optional: a request that names no type is taken to mean this one. Who asks is looked at
        again when it took a while: what a handler has judged before counts no more then.
        Raises UnsupportedMediaType, BodyTooLarge, BodyTooSlow, and what recognising raises.
        """
        check_media_type(self.request.headers, media_type, optional=optional)
        begun = clock.monotonic()
        content = await bounded(self.request, limit)
        if clock.monotonic() - begun > _SWIFT_SECONDS:
            await self._again()
        return content

    async def spool(self, path: Path, media_types: Sequence[str], *, limit: int) -> None:
        """Write the raw body, of one of these types, to a file; otherwise as `octets`."""
        given = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        wanted = given if given in media_types else media_types[0]
        check_media_type(self.request.headers, wanted, optional=False)
        begun = clock.monotonic()
        async with await anyio.open_file(path, "wb") as file:
            await poured(self.request, limit, file.write)
        if clock.monotonic() - begun > _SWIFT_SECONDS:
            await self._again()

    def path_id(self, name: str, missing: type[AppError]) -> UUID:
        """An id that the path names; `missing` is raised for what is none."""
        text: str = self.request.path_params[name]
        # Only the usual spelling: Python would also read braces and "urn:uuid:".
        if not _UUID.fullmatch(text):
            raise missing
        return UUID(text)

    async def _recognise(self) -> None:
        if link := self.request.headers.get(LINK_HEADER):
            self.link = await self.services.identities.open_link(link.strip())
        token = bearer(self.request.headers.get("authorization"))
        by_cookie = token is None
        if token is None:
            token = cookies.held(self, ACCESS)
        if token is None and self._route.auth is Auth.OPTIONAL:
            return
        self.identity = who = await self.services.identities.identify(token or "")
        # Programs set headers; what a browser adds by itself may be a foreign page's doing.
        if by_cookie and self.request.method not in _SAFE and isinstance(who, Identity):
            cookies.check_csrf(self, who.credential)

    def _refuse_flood(self) -> None:
        """Before a credential is looked at: made-up ones must not cost the database anything."""
        limits, ip = self.services.limits, self.client.ip
        with self._told():
            if self._route.limit is Limit.STRICT:
                limits.refuse(self._route.operation, ip=ip)
            elif self._route.limit is Limit.USUAL:
                limits.refuse(USUAL, ip=ip)

    async def _limited(self, user: UUID | None) -> None:
        limits, ip = self.services.limits, self.client.ip
        with self._told():
            if self._route.limit is Limit.STRICT:
                self.count = await limits.strict(self._route.operation, ip=ip, user=user)
            elif self._route.limit is Limit.USUAL:
                self.count = await limits.usual(ip=ip, user=user)

    @contextlib.contextmanager
    def _told(self) -> Generator[None]:
        """A refusal says in its headers where the asker stands."""
        try:
            yield
        except TooManyRequests as over:
            match over.data:
                case {"limit": int(limit), "retry_after_seconds": int(reset)}:
                    self.count = Count(limit, 0, reset)
                case _:
                    pass
            raise

    async def _check_kind(self) -> None:
        if self._route.auth is Auth.REQUIRED:
            _ = self.user  # not a share link
        if self._route.auth in (Auth.NONE, Auth.OPTIONAL, Auth.REQUIRED):
            self._check_bound()
            return
        if self.user.kind is not Kind.SESSION:
            raise SessionNeeded
        if self._route.auth is Auth.ADMIN:
            async with self.acting() as tx:
                found = await accounts.find(tx, self.user.user_id)
            if found is None or not found.is_admin or not found.active:
                raise NotAllowed("Administrators only.")

    def _check_bound(self) -> None:
        """A key of one project knows neither its owner's other projects nor its owner."""
        bound = isinstance(self.identity, Identity) and self.identity.project_id is not None
        if bound and self._route.of_account and self._route.operation not in _OF_BOUND_KEYS:
            raise NotAllowed("This key is for one project only.")


def _client(services: Services, request: Request) -> Client:
    # A proxy may add a header of its own instead of writing on in the one that is there.
    forwarded = ", ".join(request.headers.getlist("x-forwarded-for")) or None
    peer = request.client.host if request.client else ""
    return Client(services.proxies.client(peer, forwarded), request.headers.get("user-agent", ""))


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header; None without a header. Raises TokenInvalid."""
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid("The Authorization header must say 'Bearer' and a token.")
    return token.strip()


def announced(headers: Mapping[str, str]) -> bool:
    """Whether a request says that it brings a body, or of which type."""
    length = headers.get("content-length", "0").strip()
    return length != "0" or "content-type" in headers or "transfer-encoding" in headers


def check_media_type(headers: Mapping[str, str], wanted: str, *, optional: bool) -> None:
    """Refuse other content types, other charsets and compressed bodies: UnsupportedMediaType."""
    given = headers.get("content-type")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without a Content-Encoding.")
    if given is None and optional:
        return
    essence, _, rest = (given or "").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", rest, re.IGNORECASE)
    readable = charset is None or charset[1].lower() in {"utf-8", "utf8"}
    if essence.strip().lower() != wanted or not readable:
        raise UnsupportedMediaType(f"Send the body as {wanted}.", expected=wanted)


async def bounded(request: Request, limit: int) -> bytes:
    """The body, or BodyTooLarge after reading no more than `limit` bytes and one chunk of it.

    BodyTooSlow for who keeps a connection and its place busy with a body that does not come.
    """
    content = bytearray()

    async def add(chunk: bytes) -> None:
        content.extend(chunk)

    await poured(request, limit, add)
    return bytes(content)


async def poured(request: Request, limit: int, into: Callable[[bytes], Awaitable[object]]) -> None:
    """The body piece by piece into a function; raises what `bounded` does."""
    announced = request.headers.get("content-length", "0")
    # Content-Length may lie; then the count below finds out.
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise BodyTooLarge(limit_bytes=limit)
    size = 0
    begun = anyio.current_time()
    with anyio.CancelScope(deadline=anyio.current_time() + _CHUNK_SECONDS) as patience:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge(limit_bytes=limit)
            await into(chunk)
            # By what has come, not by what may: a place is not held by a byte now and then.
            last = begun + _BODY_SECONDS + size / _BODY_PACE
            patience.deadline = min(last, anyio.current_time() + _CHUNK_SECONDS)
    if patience.cancelled_caught:
        raise BodyTooSlow


def decoded(content: bytes, shape: type[T]) -> T:
    """A JSON body as its declared type. Raises MalformedJson, ValidationFailed with the path."""
    try:
        return msgspec.json.decode(content, type=shape)
    except msgspec.ValidationError as wrong:
        raise _refusal(wrong, shape) from wrong
    # RecursionError: brackets within brackets, deeper than the parser follows.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        reason = str(wrong) if isinstance(wrong, msgspec.DecodeError) else None
        raise MalformedJson(**({"reason": reason} if reason else {})) from wrong


def parameters(given: Mapping[str, str], shape: type[T]) -> T:
    """Query parameters as their declared type. Raises ValidationFailed."""
    try:
        return msgspec.convert(given, shape, strict=False)
    except msgspec.ValidationError as wrong:
        raise _refusal(wrong, shape) from wrong


def _refusal(wrong: msgspec.ValidationError, shape: object) -> ValidationFailed:
    """A refusal of `shapes` carries its path; msgspec appends one to its sentence."""
    cause = wrong.__cause__
    if isinstance(cause, Refused):
        return ValidationFailed(str(cause), path=cause.path)
    # The sentence may have the value in it that was given: the path is what comes last.
    reason, _, path = str(wrong).rpartition(" - at ")
    if not reason:
        reason, path = path, ""
    path = path.strip("`") or "$"
    if reason.startswith(_NOT_NAMED) and (values := allowed(shape, path)):
        reason = f"{reason}, expected one of {', '.join(f'`{value}`' for value in values)}"
    return ValidationFailed(reason, path=path)
