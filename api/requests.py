"""The only way into a handler: who is asking, how often, what they send, and whether they may.

In this order: the client's address, who asks (a token, or a page's cookie), the limits, the body.
Everything that a stranger can get wrong about a request becomes an error with a code here. Bodies
are counted while they are read and dropped as soon as they are too long; a Content-Length is
believed only when it says too much.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from api import cookies
from api.errors import BodyTooLarge, MalformedJson, UnsupportedMediaType, ValidationFailed
from api.route import JSON, Auth, Limit
from api.shapes.common import Refused
from auth import access, accounts, members, permissions
from auth.cookies import ACCESS
from auth.credentials import Guest, Identity, Kind
from auth.errors import NotAllowed, SessionNeeded, TokenInvalid, TokenMissing
from auth.ratelimit import Count, TooManyRequests
from base.errors import AppError
from docstore import projects
from docstore.errors import ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from api.route import Route
    from api.services import Services
    from base.db import Tx

T = TypeVar("T", bound=msgspec.Struct)

JSON_MOST_BYTES: Final = 256 * 1024
"""The longest JSON body: a description of 5,000 characters fits, every one written as an escape."""

LINK_HEADER: Final = "share-link"
"""A share link that somebody brings beside a token, or instead of one."""

_SAFE: Final = frozenset({"GET", "HEAD"})

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Authorised(NamedTuple):
    """A project, and what the asker may do with it: enough for what was asked."""

    project: projects.Project
    access: permissions.Access


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
        try:
            if self._route.auth is not Auth.NONE:
                await self._recognise()
        except AppError:
            # Whoever shows what is not good is counted too, by address: or it could be guessed.
            await self._limited(None)
            raise
        await self._limited(self.identity.user_id if isinstance(self.identity, Identity) else None)
        await self._check_kind()
        if isinstance(self._route.body, type):
            content = await self.octets(JSON, limit=JSON_MOST_BYTES)
            self._body = decoded(content, self._route.body)

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

        tx: of `acting`. ProjectNotFound also for a project that they may not know of; NotAllowed
        for one that they may see.
        """
        return await self.project_of(tx, self.path_id("project_id", ProjectNotFound), right)

    async def project_of(self, tx: Tx, project_id: UUID, right: permissions.Right) -> Authorised:
        """The same for a project that is named elsewhere."""
        project = await projects.get(tx, project_id)
        who = self.identity
        member = None
        if isinstance(who, Identity):
            member = await members.membership(tx, project.id, who.user_id)
        facts = permissions.Facts(
            project.owner_id, project.is_public, permissions.Role(project.guest_role)
        )
        found = access.access_of(who, project.id, facts, member, link=self.link)
        match permissions.judge(found, right):
            case permissions.Verdict.ALLOWED:
                return Authorised(project, found)
            case permissions.Verdict.REFUSED:
                raise NotAllowed
            case permissions.Verdict.HIDDEN:
                raise ProjectNotFound

    async def octets(self, media_type: str, *, limit: int, optional: bool = False) -> bytes:
        """The raw body of this type, at most `limit` bytes of it.

        optional: a request that names no type is taken to mean this one.
        Raises UnsupportedMediaType, BodyTooLarge.
        """
        check_media_type(self.request.headers, media_type, optional=optional)
        return await bounded(self.request, limit)

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

    async def _limited(self, user: UUID | None) -> None:
        limits, ip = self.services.limits, self.client.ip
        try:
            if self._route.limit is Limit.STRICT:
                self.count = await limits.strict(self._route.operation, ip=ip, user=user)
            elif self._route.limit is Limit.USUAL:
                self.count = await limits.usual(ip=ip, user=user)
        except TooManyRequests as over:
            match over.data:
                case {"limit": int(limit), "retry_after_seconds": int(reset)}:
                    self.count = Count(limit, 0, reset)
                case _:
                    pass
            raise

    async def _check_kind(self) -> None:
        if self._route.auth in (Auth.NONE, Auth.OPTIONAL):
            return
        if self._route.auth is Auth.REQUIRED:
            _ = self.user  # not a share link
            return
        if self.user.kind is not Kind.SESSION:
            raise SessionNeeded
        if self._route.auth is Auth.ADMIN:
            async with self.acting() as tx:
                status = await accounts.status(tx, self.user.user_id)
            if status is None or not status.admin or not status.active:
                raise NotAllowed("Administrators only.")


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
    """The body, or BodyTooLarge after reading no more than `limit` bytes and one chunk of it."""
    announced = request.headers.get("content-length", "0")
    # Content-Length may lie; then the count below finds out.
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise BodyTooLarge(limit_bytes=limit)
    content = bytearray()
    async for chunk in request.stream():
        if len(content) + len(chunk) > limit:
            raise BodyTooLarge(limit_bytes=limit)
        content += chunk
    return bytes(content)


def decoded(content: bytes, shape: type[T]) -> T:
    """A JSON body as its declared type. Raises MalformedJson, ValidationFailed with the path."""
    try:
        return msgspec.json.decode(content, type=shape)
    except msgspec.ValidationError as wrong:
        raise _refusal(wrong) from wrong
    # RecursionError: brackets within brackets, deeper than the parser follows.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        reason = str(wrong) if isinstance(wrong, msgspec.DecodeError) else None
        raise MalformedJson(**({"reason": reason} if reason else {})) from wrong


def parameters(given: Mapping[str, str], shape: type[T]) -> T:
    """Query parameters as their declared type. Raises ValidationFailed."""
    try:
        return msgspec.convert(given, shape, strict=False)
    except msgspec.ValidationError as wrong:
        raise _refusal(wrong) from wrong


def _refusal(wrong: msgspec.ValidationError) -> ValidationFailed:
    """A refusal of `shapes` carries its path; msgspec appends one to its sentence."""
    cause = wrong.__cause__
    if isinstance(cause, Refused):
        return ValidationFailed(str(cause), path=cause.path)
    reason, _, path = str(wrong).partition(" - at ")
    return ValidationFailed(reason, path=path.strip("`") or "$")
