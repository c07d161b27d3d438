"""The OpenAPI 3.1 document, made from the table of routes and the types of `shapes.py`.

What every route of a kind may answer (a bad token, a body of the wrong type) is added here by
the same facts that make the dispatcher check for it. Pure: a mapping out of descriptions.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from api import errors, problems
from api.route import BRANCH, JSON, NAME, VERSION, Auth, Limit, Octets
from api.shapes.common import Problem
from auth import errors as auth
from auth.cookies import ACCESS
from auth.links import LinkInvalid
from auth.ratelimit import TooManyRequests
from base.db import DatabaseUnavailable
from base.redis import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from api.route import Route
    from base.errors import AppError

Json = dict[str, Any]

_PHRASES: Final = {
    200: "OK.",
    201: "Created.",
    202: "Taken; what comes of it is not said here.",
    204: "Done; no body.",
    303: "Go on at `Location`.",
    304: "Your copy is current.",
}

SECURITY: Final = "token"
COOKIE: Final = "cookie"
LINK: Final = "link"

SCHEMES: Final = {
    SECURITY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token (JWT), an API key (`ssk_…`) or a share link (`ssl_…`).",
    },
    COOKIE: {
        "type": "apiKey",
        "in": "cookie",
        "name": ACCESS,
        "description": "For pages of ours; what changes something needs the header X-CSRF-Token.",
    },
    LINK: {
        "type": "apiKey",
        "in": "header",
        "name": "Share-Link",
        "description": "A share link, beside a token or instead of one.",
    },
}

TAGS: Final = {
    "accounts": "Make an account, prove an address, mend a password.",
    "sessions": "Sign in and out, refresh, tickets for rooms, API keys.",
    "users": "Your own account.",
    "projects": "What you work on.",
    "members": "Who works on a project: collaborators, invitations, links.",
    "documents": "The music in a project, outside of a live connection.",
    "history": "What the document said before, and back to it.",
    "bundles": "A project as a file: made, kept in versions, brought in.",
    "audit": "What happened to accounts and access, for administrators.",
    "operating": "How the server is.",
}

DESCRIPTION: Final = """\
Live editing happens over WebSocket at `/sync/{room}` (the y-websocket protocol), not here.
Every error is `application/problem+json` with a stable `code`. An address that does not exist
answers `not_found`, a method that an address does not have `method_not_allowed`.
"""

_TOKEN: Final = (
    auth.TokenInvalid,
    auth.TokenExpired,
    auth.SessionEnded,
    LinkInvalid,
    RedisUnavailable,
    DatabaseUnavailable,
)

_SAFE: Final = frozenset({"GET", "HEAD"})


def errors_of(route: Route) -> list[type[AppError]]:
    """Every error that a route may answer: its own, and those of its kind."""
    found: list[type[AppError]] = list(route.raises)
    if route.auth is not Auth.NONE:
        found += _TOKEN
        if route.method not in _SAFE:
            found.append(auth.CsrfFailed)
    if route.auth in (Auth.REQUIRED, Auth.SESSION, Auth.ADMIN):
        found.append(auth.TokenMissing)
    if route.auth in (Auth.SESSION, Auth.ADMIN):
        found.append(auth.SessionNeeded)
    bound = route.auth in (Auth.REQUIRED, Auth.OPTIONAL) and route.of_account
    if route.auth is Auth.ADMIN or bound:
        found.append(auth.NotAllowed)
    if route.limit is not Limit.NONE:
        found.append(TooManyRequests)
    if route.limit is Limit.STRICT:
        found.append(RedisUnavailable)
    if route.method not in _SAFE:
        found.append(errors.OriginNotAllowed)
    if route.body is not None:
        found += [errors.UnsupportedMediaType, errors.BodyTooLarge, errors.BodyTooSlow]
    if isinstance(route.body, type):
        found += [errors.MalformedJson, errors.ValidationFailed]
    if route.query is not None:
        found.append(errors.ValidationFailed)
    found.append(errors.Internal)
    return list(dict.fromkeys(found))


def document(routes: Sequence[Route], *, version: str) -> Json:
    """The whole document."""
    components = _components(_structs(routes))
    paths: defaultdict[str, Json] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.1",
        "info": {"title": "SyncSphere", "version": version, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": meaning} for name, meaning in TAGS.items()],
        "paths": dict(paths),
        "components": {
            "schemas": components,
            "securitySchemes": SCHEMES,
        },
    }


def _structs(routes: Iterable[Route]) -> list[type[msgspec.Struct]]:
    mentioned = [Problem, *(part for r in routes for part in (r.body, r.answer))]
    return list(dict.fromkeys(part for part in mentioned if isinstance(part, type)))


def _components(structs: Iterable[type[msgspec.Struct]]) -> Json:
    _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    return schemas


def _operation(route: Route) -> Json:
    made: Json = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": inspect.getdoc(route.handler) or route.summary,
        "tags": [route.tag],
        "responses": _responses(route),
    }
    if parameters := [*_path_parameters(route), *_query_parameters(route)]:
        made["parameters"] = parameters
    if route.body is not None:
        made["requestBody"] = {
            "required": not route.may_be_empty,
            "content": _content(route.body),
        }
    if route.auth is not Auth.NONE:
        made["security"] = _security(route.auth)
    return made


def _security(auth: Auth) -> list[Json]:
    """Any one of these."""
    signed_in: list[Json] = [{SECURITY: []}, {COOKIE: []}]
    return signed_in if auth is not Auth.OPTIONAL else [{}, *signed_in, {LINK: []}]


def _path_parameters(route: Route) -> list[Json]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in names
    ]


def _path_schema(name: str) -> Json:
    # A name may be anything; what may not be one is found nowhere.
    if name == NAME:
        return {"type": "string", "minLength": 1}
    if name == VERSION:
        return {"type": "integer", "minimum": 1}
    if name == BRANCH:
        return {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
    return {"type": "string", "format": "uuid"}


def _query_parameters(route: Route) -> list[Json]:
    if route.query is None:
        return []
    schema: Json = _components([route.query])[route.query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": part}
        for name, part in schema["properties"].items()
    ]


def _content(body: type[msgspec.Struct] | Octets) -> Json:
    if isinstance(body, Octets):
        # OpenAPI 3.1: raw bytes have no schema; a JSON body of any shape is an object.
        schema = {"type": "object"} if body.media_type == JSON else {}
        return {body.media_type: {"schema": schema | {"description": body.meaning}}}
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}


def _responses(route: Route) -> Json:
    made: Json = {str(route.status): _success(route)}
    for status in route.also:
        # A part of it is of the same kind as all of it.
        part = _success(route) if status == 206 else {}
        made[str(status)] = part | {"description": _phrase(status)}
    by_status: defaultdict[int, list[type[AppError]]] = defaultdict(list)
    for error in errors_of(route):
        by_status[problems.status(error)].append(error)
    made |= {str(status): _failure(by_status[status]) for status in sorted(by_status)}
    return made


def _success(route: Route) -> Json:
    if route.answer is None:
        return {"description": _phrase(route.status)}
    if isinstance(route.answer, tuple):
        content = {kind: part for each in route.answer for kind, part in _content(each).items()}
        return {"description": _phrase(route.status), "content": content}
    meaning = inspect.getdoc(route.answer) or _phrase(route.status)
    return {"description": meaning, "content": _content(route.answer)}


def _failure(found: Sequence[type[AppError]]) -> Json:
    codes = sorted(error.code for error in found)
    described = "\n".join(f"* `{e.code}`: {e.message}" for e in sorted(found, key=_code))
    narrowed = {"properties": {"code": {"enum": codes}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    return {"description": described, "content": {problems.MEDIA_TYPE: {"schema": schema}}}


def _code(error: type[AppError]) -> str:
    return error.code


def _phrase(status: int) -> str:
    return {
        200: "OK.",
        201: "Created.",
        202: "Accepted; no body.",
        204: "Done; no body.",
        206: "The part that was asked for.",
        303: "Go on to the address in `Location`; no body.",
        304: "Your copy is current.",
    }[status]
