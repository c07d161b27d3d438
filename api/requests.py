"""The only way into a handler: who is asking, what they send, and whether they may.

Everything that a stranger can get wrong about a request becomes an error with a code here. Bodies
are counted while they are read and dropped as soon as they are too long; a Content-Length is
believed only when it says too much.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from api.errors import BodyTooLarge, MalformedJson, UnsupportedMediaType, ValidationFailed
from api.route import JSON, Auth
from api.shapes.common import Refused
from auth import permissions
from auth.errors import NotAllowed, TokenInvalid, TokenMissing
from docstore import projects
from docstore.errors import ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from api.route import Route
    from api.services import Services
    from auth.identity import Identity
    from base.db import Tx

T = TypeVar("T", bound=msgspec.Struct)

JSON_MOST_BYTES: Final = 256 * 1024
"""The longest JSON body: a description of 5,000 characters fits, every one written as an escape."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Authorised(NamedTuple):
    """A project, and what the asker is to it: enough to do what was asked."""

    project: projects.Project
    role: permissions.Role


class Call:
    """One request on its way through a handler."""

    def __init__(self, services: Services, asked: Route, request: Request) -> None:
        self.services = services
        self.request = request
        self.identity: Identity | None = None
        self.answer_headers: dict[str, str] = {}
        self._route = asked
        self._body: msgspec.Struct | None = None

    async def open(self) -> None:
        """Do what the route's description asks for before its handler runs."""
        if self._route.auth is not Auth.NONE:
            self.identity = await self._identify()
        if isinstance(self._route.body, type):
            content = await self.octets(JSON, limit=JSON_MOST_BYTES)
            self._body = decoded(content, self._route.body)

    @property
    def user(self) -> Identity:
        """Who is asking, on a route that requires it."""
        if self.identity is None:
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

    async def project(self, tx: Tx, right: permissions.Right) -> Authorised:
        """The project that the path names, for somebody who may do this with it.

        ProjectNotFound also for a project that they may not know of; NotAllowed for one that they
        may see.
        """
        project = await projects.get(tx, self._project_id())
        facts = permissions.Facts(project.owner_id, project.is_public)
        role = permissions.role_for(facts, self.identity.user_id if self.identity else None)
        match permissions.judge(role, right):
            case permissions.Verdict.ALLOWED:
                return Authorised(project, role)
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

    async def _identify(self) -> Identity | None:
        token = bearer(self.request.headers.get("authorization"))
        if token is None and self._route.auth is Auth.OPTIONAL:
            return None
        return await self.services.identities.identify(token or "")

    def _project_id(self) -> UUID:
        text: str = self.request.path_params["project_id"]
        # Only the usual spelling: Python would also read braces and "urn:uuid:".
        if not _UUID.fullmatch(text):
            raise ProjectNotFound
        return UUID(text)


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
