"""Who may do what with a project: one list of rights, one table of roles (no I/O).

Every edge asks the same way: `judge(access_for(facts, who…), right)`. REST asks for each request, a
room when somebody enters and again when something changed. Knows what a project says about people;
not projects, requests or sockets. docs/rights.md has the table for readers.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID


class Right(StrEnum):
    """resource:action, alphabetical."""

    ACCESS_CHANGE = "access:change"
    """Change the role of others, or take it away."""
    ACCESS_INVITE = "access:invite"
    ACCESS_READ = "access:read"
    """See who else may do what."""
    ACCESS_SHARE = "access:share"
    """Make links, let guests in, publish."""
    BRANCH_KEEP = "branch:keep"
    """Protect branches; commit, merge and restore on protected ones."""
    DOCUMENT_EDIT = "document:edit"
    DOCUMENT_EXPORT = "document:export"
    DOCUMENT_READ = "document:read"
    HISTORY_DROP = "history:drop"
    """Give detail of the past up for good: prune, squash."""
    PROJECT_CHANGE = "project:change"
    PROJECT_DELETE = "project:delete"
    PROJECT_READ = "project:read"
    PROJECT_TRANSFER = "project:transfer"
    STEM_ADD = "stem:add"
    STEM_DELETE = "stem:delete"


class Role(StrEnum):
    """What somebody is to a project, strongest first."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"
    NONE = "none"

    @property
    def rank(self) -> int:
        """Comparable: a higher one includes the lower."""
        return _RANK[self]


_RANK: Final[Mapping[Role, int]] = {role: -place for place, role in enumerate(Role)}


class Verdict(Enum):
    """May they? HIDDEN: they may not even learn that the project exists."""

    ALLOWED = auto()
    REFUSED = auto()
    HIDDEN = auto()


_VIEW: Final = frozenset({Right.DOCUMENT_EXPORT, Right.DOCUMENT_READ, Right.PROJECT_READ})
_EDIT: Final = frozenset({Right.DOCUMENT_EDIT, Right.STEM_ADD, Right.STEM_DELETE})
_MEMBER: Final = frozenset({Right.ACCESS_READ})
_OWNER_ONLY: Final = frozenset({Right.HISTORY_DROP, Right.PROJECT_DELETE, Right.PROJECT_TRANSFER})

RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset(Right) - _OWNER_ONLY,
    Role.EDITOR: _VIEW | _EDIT | _MEMBER,
    Role.VIEWER: _VIEW | _MEMBER,
    Role.NONE: frozenset(),
}

FINE: Final[Mapping[str, Right]] = {
    "can_edit": Right.DOCUMENT_EDIT,
    "can_add_stems": Right.STEM_ADD,
    "can_delete_stems": Right.STEM_DELETE,
    "can_invite_others": Right.ACCESS_INVITE,
    "can_export": Right.DOCUMENT_EXPORT,
}
"""The rights that can be given and taken one by one, by their names in a collaborator's record."""

ADJUSTABLE: Final[Mapping[Role, frozenset[str]]] = {
    Role.EDITOR: frozenset(FINE),
    Role.VIEWER: frozenset({"can_invite_others", "can_export"}),
}
"""For whom which of them may differ from the role's own. Owners and admins have them all."""


class Membership(NamedTuple):
    """A collaborator: a role, and where it differs from the table (True given, False taken)."""

    role: Role
    fine: Mapping[str, bool] = {}


class Facts(NamedTuple):
    """What a project says about people it does not name."""

    owner_id: UUID
    is_public: bool
    guest_role: Role = Role.NONE
    """What anyone may be who knows the address, also without an account: none, viewer or editor."""

    @property
    def shut(self) -> Facts:
        """The same without its doors: people are what they are by name, and nothing else."""
        return Facts(self.owner_id, is_public=False)


class Says(Protocol):
    """What says so: a project, or a row that names its columns alike."""

    @property
    def owner_id(self) -> UUID:
        """Whose it is."""
        ...

    @property
    def is_public(self) -> bool:
        """Whether everybody may view it."""
        ...

    @property
    def guest_role(self) -> str:
        """A `Role` by its name."""
        ...


def facts_of(project: Says) -> Facts:
    """What a project says, in the words of this table."""
    return Facts(project.owner_id, project.is_public, Role(project.guest_role))


class Access(NamedTuple):
    """What somebody is to a project, and all that they may do with it."""

    role: Role
    rights: frozenset[Right]

    def within(self, rights: frozenset[Right]) -> Access:
        """As far as these rights reach, too: those of an API key."""
        return self._replace(rights=self.rights & rights)

    def capped(self, role: Role) -> Access:
        """At most this role: of a ticket that asks for less than its holder has."""
        least = min(self.role, role, key=lambda each: each.rank)
        return Access(least, self.rights & RIGHTS[role])

    @property
    def fine(self) -> dict[str, bool]:
        """The fine permissions as they are in effect."""
        return {name: right in self.rights for name, right in FINE.items()}


NOTHING: Final = Access(Role.NONE, frozenset())


def access_for(
    facts: Facts,
    user: UUID | None,
    *,
    member: Membership | None = None,
    link: Role = Role.NONE,
) -> Access:
    """What a user (None: nobody has signed in) may do.

    member: the user's collaboration; link: the role of a share link that the asker holds. A link or
    an open door adds to what a collaborator has, but gives nobody back what was taken by name.
    """
    if user is not None and user == facts.owner_id:
        return Access(Role.OWNER, RIGHTS[Role.OWNER])
    door = max(
        Role.VIEWER if facts.is_public else Role.NONE,
        facts.guest_role,
        link,
        key=lambda each: each.rank,
    )
    if member is None:
        # Who comes by the door sees the music, not the people.
        return Access(door, RIGHTS[door] - _MEMBER)
    role = max(member.role, door, key=lambda each: each.rank)
    return Access(role, _adjusted(RIGHTS[role], role, member.fine))


def held(member: Membership) -> Access:
    """What a role with its differences gives by itself, without any open door."""
    return Access(member.role, _adjusted(RIGHTS[member.role], member.role, member.fine))


def _adjusted(rights: frozenset[Right], role: Role, fine: Mapping[str, bool]) -> frozenset[Right]:
    """These rights with what was given and taken by name, as far as the role can have it."""
    for name in ADJUSTABLE.get(role, frozenset()) & fine.keys():
        right = FINE[name]
        rights = rights | {right} if fine[name] else rights - {right}
    # Whoever may not edit does not add stems either: that is an edit, too.
    return rights if Right.DOCUMENT_EDIT in rights else rights - _EDIT


def differences(role: Role, wanted: Mapping[str, bool]) -> dict[str, bool]:
    """Of fine permissions that somebody asks for, those that are not the role's own anyway."""
    return {name: yes for name, yes in wanted.items() if yes is not (FINE[name] in RIGHTS[role])}


def kept(role: Role, old: Mapping[str, bool], wanted: Mapping[str, bool]) -> dict[str, bool]:
    """What stays of older differences when a role is given and `wanted` is asked for.

    What was taken by name stays taken until it is given back by name, also through roles that never
    had it. What was given goes with the role that could have it.
    """
    fits = ADJUSTABLE.get(role, frozenset())
    return {
        name: yes
        for name, yes in old.items()
        if wanted.get(name, yes) is yes and (not yes or name in fits)
    }


def unfit(role: Role, fine: Mapping[str, bool]) -> list[str]:
    """The names among these differences that this role cannot have."""
    return sorted(fine.keys() - ADJUSTABLE.get(role, frozenset()))


def judge(access: Access, right: Right) -> Verdict:
    """Whether this right is there; a stranger's question gets no answer at all."""
    if right in access.rights:
        return Verdict.ALLOWED
    return Verdict.REFUSED if Right.PROJECT_READ in access.rights else Verdict.HIDDEN


def may_grant(granter: Access, role: Role, fine: Mapping[str, bool]) -> bool:
    """Whether somebody may give a role with these differences.

    granter: what they are by name (`Facts.shut`): an open door is everybody's, not theirs to give.
    An owner gives every role but ownership (that is a transfer); an admin gives editor and viewer;
    who may invite gives no role above their own. Nobody gives what they do not have themselves,
    which also binds an API key of few scopes in an owner's hand.
    """
    if role in (Role.OWNER, Role.NONE):
        return False
    if granter.role is Role.OWNER:
        high_enough = True
    elif granter.role is Role.ADMIN:
        high_enough = role.rank < Role.ADMIN.rank
    else:
        high_enough = Right.ACCESS_INVITE in granter.rights and role.rank <= granter.role.rank
    return high_enough and held(Membership(role, fine)).rights <= granter.rights


def may_change(granter: Access, target: Role) -> bool:
    """Whether somebody may change or remove a collaborator of this role."""
    if Right.ACCESS_CHANGE not in granter.rights or target is Role.OWNER:
        return False
    return granter.role.rank > target.rank
