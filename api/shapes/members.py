"""Collaborators, invitations and share links, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from api.shapes.common import Refused, documented, line, plain, utc
from api.shapes.projects import Permissions
from auth.permissions import held

if TYPE_CHECKING:
    from auth import invitations, links, members
    from auth.permissions import Membership

GivenRole = Literal["admin", "editor", "viewer"]
HeldRole = Literal["owner", "admin", "editor", "viewer"]
LinkRole = Literal["editor", "viewer"]

LINK_NAME_LONGEST = 100
TOKEN_LONGEST = 200


class PermissionChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Fine permissions to give or take; what is left out stays, or is the role's own.

    `canAddStems` and `canDeleteStems` are recorded and told, and not yet enforced inside a document.
    """

    can_edit: bool | UnsetType = UNSET
    can_add_stems: bool | UnsetType = UNSET
    can_delete_stems: bool | UnsetType = UNSET
    can_invite_others: bool | UnsetType = UNSET
    can_export: bool | UnsetType = UNSET

    def named(self) -> dict[str, bool]:
        """Those that were given, by the names that they have in a collaborator's record."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: yes for name, yes in given.items() if yes is not UNSET}


class NewCollaborator(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who is to work on a project: exactly one of `email`, `username` and `userId`."""

    role: GivenRole
    email: Annotated[str, documented(format="email", maxLength=254)] | UnsetType = UNSET
    username: Annotated[str, documented(minLength=3, maxLength=32)] | UnsetType = UNSET
    user_id: UUID | UnsetType = UNSET
    permissions: PermissionChanges = msgspec.field(default_factory=PermissionChanges)

    def __post_init__(self) -> None:
        for field in ("email", "username"):
            text = getattr(self, field)
            if text is not UNSET:
                plain(f"$.{field}", text)
        if sum(given is not UNSET for given in (self.email, self.username, self.user_id)) != 1:
            raise Refused("$", "Expected exactly one of `email`, `username` and `userId`")


class CollaboratorChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to change of a collaborator; what is left out stays, as far as the role can have it."""

    role: GivenRole | UnsetType = UNSET
    permissions: PermissionChanges = msgspec.field(default_factory=PermissionChanges)


class NewOwner(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who is to own a project: one of its collaborators."""

    user_id: UUID


class InvitationToken(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What stood in the letter."""

    token: Annotated[str, documented(maxLength=TOKEN_LONGEST)]

    def __post_init__(self) -> None:
        self.token = line("$.token", self.token, least=1, most=TOKEN_LONGEST)


class NewLink(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A share link to make. Without `expiresAt` it opens until it is taken back."""

    role: LinkRole
    name: Annotated[str, documented(maxLength=LINK_NAME_LONGEST)] = ""
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        self.name = line("$.name", self.name, least=0, most=LINK_NAME_LONGEST)


class Collaborator(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody who works on a project, and what they may do there."""

    user_id: UUID
    username: str
    display_name: str
    avatar_url: str | None
    role: HeldRole
    permissions: Permissions
    joined_at: datetime
    invited_by: UUID | None

    @classmethod
    def of(cls, stored: members.Collaborator) -> Collaborator:
        """From the record."""
        return cls(
            stored.user_id,
            stored.username,
            stored.display_name,
            stored.avatar_url,
            cast("HeldRole", stored.member.role.value),
            permissions_of(stored.member),
            utc(stored.joined_at),
            stored.invited_by,
        )


class Invitation(msgspec.Struct, frozen=True, rename="camel"):
    """An invitation that nobody has taken yet."""

    id: UUID
    email: str
    role: GivenRole
    permissions: Permissions
    invited_by: UUID
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, stored: invitations.Pending) -> Invitation:
        """From the record."""
        return cls(
            stored.id,
            stored.email,
            cast("GivenRole", stored.member.role.value),
            permissions_of(stored.member),
            stored.invited_by,
            utc(stored.created_at),
            utc(stored.expires_at),
        )


class Crew(msgspec.Struct, frozen=True, rename="camel"):
    """Who works on a project: the owner, then the others as they joined.

    `invitations`: those that nobody has taken yet; all of them for who may change access, one's
    own for who may invite, none for others.
    """

    items: list[Collaborator]
    invitations: list[Invitation]


class Joined(msgspec.Struct, frozen=True, rename="camel"):
    """What became of it: somebody with an account was `added`, an address was `invited`."""

    status: Literal["added", "invited"]
    collaborator: Collaborator | None = None
    invitation: Invitation | None = None


class Offer(msgspec.Struct, frozen=True, rename="camel"):
    """An invitation to you."""

    id: UUID
    project_id: UUID
    project_name: str
    role: GivenRole
    permissions: Permissions
    invited_by: UUID
    inviter_username: str
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, stored: invitations.Offer) -> Offer:
        """From the record."""
        return cls(
            stored.id,
            stored.project_id,
            stored.project,
            cast("GivenRole", stored.member.role.value),
            permissions_of(stored.member),
            stored.invited_by,
            stored.inviter,
            utc(stored.created_at),
            utc(stored.expires_at),
        )


class Offers(msgspec.Struct, frozen=True, rename="camel"):
    """The invitations to your address, newest first."""

    items: list[Offer]


class Accepted(msgspec.Struct, frozen=True, rename="camel"):
    """Where you may work now, and as what. An older role there stays."""

    project_id: UUID
    role: HeldRole


class Link(msgspec.Struct, frozen=True, rename="camel"):
    """A share link, without the token that opens it."""

    id: UUID
    name: str
    role: LinkRole
    created_by: UUID
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, stored: links.Link) -> Link:
        """From the record."""
        return cls(
            stored.id,
            stored.name,
            cast("LinkRole", stored.role),
            stored.created_by,
            utc(stored.created_at),
            None if stored.expires_at is None else utc(stored.expires_at),
        )


class Links(msgspec.Struct, frozen=True, rename="camel"):
    """The share links of a project, newest first; also those whose time is over."""

    items: list[Link]


class MadeLink(msgspec.Struct, frozen=True, rename="camel"):
    """A new share link. `token` opens the project and is told only now."""

    link: Link
    token: str


def permissions_of(member: Membership) -> Permissions:
    """The fine permissions of a collaborator, as they are in effect."""
    return Permissions(**held(member).fine)
