"""Who may do what with a project: one list of rights, one table of roles (no I/O).

Every edge asks the same way: `judge(role_for(facts, user), right)`. Knows two facts of a project;
not projects, requests or sockets. Collaborators will add to `role_for`, not to its callers.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID


class Right(StrEnum):
    """resource:action, alphabetical."""

    DOCUMENT_EDIT = "document:edit"
    DOCUMENT_READ = "document:read"
    PROJECT_CHANGE = "project:change"
    PROJECT_DELETE = "project:delete"
    PROJECT_READ = "project:read"


class Role(StrEnum):
    """What somebody is to a project."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"
    NONE = "none"


class Verdict(Enum):
    """May they? HIDDEN: they may not even learn that the project exists."""

    ALLOWED = auto()
    REFUSED = auto()
    HIDDEN = auto()


class Facts(NamedTuple):
    """All that permissions need to know of a project."""

    owner_id: UUID
    is_public: bool


_VIEW: Final = frozenset({Right.DOCUMENT_READ, Right.PROJECT_READ})

RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.OWNER: frozenset(Right),
    Role.EDITOR: _VIEW | {Right.DOCUMENT_EDIT},
    Role.VIEWER: _VIEW,
    Role.NONE: frozenset(),
}


def role_for(facts: Facts, user: UUID | None) -> Role:
    """The role of a user (None: nobody has signed in) in a project."""
    if user is not None and user == facts.owner_id:
        return Role.OWNER
    return Role.VIEWER if facts.is_public else Role.NONE


def judge(role: Role, right: Right) -> Verdict:
    """Whether a role includes a right; a stranger's question gets no answer at all."""
    if right in RIGHTS[role]:
        return Verdict.ALLOWED
    return Verdict.HIDDEN if role is Role.NONE else Verdict.REFUSED
