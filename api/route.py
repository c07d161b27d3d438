"""What one route is: everything that the dispatcher and the OpenAPI document need to know of it.

A description, no behaviour. The table of them is `api/routes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from api.requests import Call
    from base.errors import AppError

OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"
TEXT: Final = "text/plain"
SVG: Final = "image/svg+xml"
PROJECT: Final = "/api/projects/{project_id}"
ZIP: Final = "application/zip"
VERSION: Final = "version"
"""The part of a path that is the number of a bundle."""
NAME: Final = "name"
"""The part of a path that is a name and no id: it may hold slashes."""
BRANCH: Final = "branch"
"""The part of a path that is the name of a branch, which holds none."""


class Auth(Enum):
    """Whether a route wants to know who is asking."""

    NONE = auto()
    OPTIONAL = auto()
    """Anyone may ask, also a guest with a share link, but what is sent has to be good."""
    REQUIRED = auto()
    """Somebody with an account: signed in, or with an API key."""
    SESSION = auto()
    """Somebody who has signed in: what no program with a key should do."""
    ADMIN = auto()
    """An administrator of the server, signed in."""


class Limit(Enum):
    """How often a route may be asked in a minute."""

    NONE = auto()
    USUAL = auto()
    """`rate_limit_per_minute`, all such routes together."""
    STRICT = auto()
    """`rate_limit_auth_per_minute`, this route by itself; refused while Redis is away."""


@dataclass(frozen=True)
class Octets:
    """A body that is bytes: its media type, and what it holds, in a sentence."""

    media_type: str
    meaning: str


Body: TypeAlias = "type[msgspec.Struct] | Octets | None"
Answer: TypeAlias = "type[msgspec.Struct] | tuple[Octets, ...] | None"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path.

    handler: takes the call; gives the `answer` type, a finished Response, or None for no body.
    body: a Struct is read as JSON before the handler runs; Octets are read by the handler.
    raises: the errors of its own; what every route may answer is added by `openapi`.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[object]]
    summary: str
    tag: str
    auth: Auth = Auth.NONE
    limit: Limit = Limit.USUAL
    query: type[msgspec.Struct] | None = None
    body: Body = None
    answer: Answer = None
    status: int = 200
    also: tuple[int, ...] = ()
    raises: tuple[type[AppError], ...] = ()

    @property
    def may_be_empty(self) -> bool:
        """Whether all of the body may be left out, so that no body is `{}`."""
        if not isinstance(self.body, type):
            return False
        return not any(field.required for field in msgspec.structs.fields(self.body))

    @property
    def of_account(self) -> bool:
        """Whether it is about somebody and not about one project."""
        return "{project_id}" not in self.path

    @property
    def operation(self) -> str:
        """A name that is unique in the table: `projects_create`."""
        module = self.handler.__module__.rpartition(".")[2]
        return f"{module}_{self.handler.__name__}"
