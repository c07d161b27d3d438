"""Projects, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from api.shapes.common import DESCRIPTION_LONGEST, NAME_LONGEST, documented, line, prose, utc

if TYPE_CHECKING:
    from auth.permissions import Access
    from docstore.projects import Project as Stored

Kind = Literal["studio", "pattern", "opendaw"]
Name = Annotated[str, documented(minLength=1, maxLength=NAME_LONGEST, examples=["Night drive"])]
GuestRole = Literal["none", "viewer", "editor"]
Description = Annotated[str, documented(maxLength=DESCRIPTION_LONGEST)]


class NewProject(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A project to create."""

    name: Name
    kind: Kind = "studio"
    description: Description = ""
    is_public: bool = False
    guest_role: GuestRole = "none"

    def __post_init__(self) -> None:
        self.name = line("$.name", self.name, least=1, most=NAME_LONGEST)
        self.description = prose("$.description", self.description, most=DESCRIPTION_LONGEST)


class ProjectChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to change of a project; what is left out stays."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    guest_role: GuestRole | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.name is not UNSET:
            self.name = line("$.name", self.name, least=1, most=NAME_LONGEST)
        if self.description is not UNSET:
            self.description = prose("$.description", self.description, most=DESCRIPTION_LONGEST)


class Permissions(msgspec.Struct, frozen=True, rename="camel"):
    """What somebody may do, each for itself.

    `canAddStems` and `canDeleteStems` are recorded and told, and not yet enforced inside a document.
    Who must not change anything needs `canEdit` off.
    """

    can_edit: bool
    can_add_stems: bool
    can_delete_stems: bool
    can_invite_others: bool
    can_export: bool


class Project(msgspec.Struct, frozen=True, rename="camel"):
    """A project. `role` and `permissions` are what the asker may do.

    `isPublic`: everybody may view it. `guestRole`: what everybody may be who knows its address.
    """

    id: UUID
    room_id: str
    owner_id: UUID
    name: str
    kind: str
    description: str
    is_public: bool
    guest_role: GuestRole
    role: Annotated[str, documented(enum=["owner", "admin", "editor", "viewer"])]
    permissions: Permissions
    epoch: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: Stored, access: Access) -> Project:
        """From the record, for somebody with this access."""
        return cls(
            id=stored.id,
            room_id=stored.room_id,
            owner_id=stored.owner_id,
            name=stored.name,
            kind=stored.kind,
            description=stored.description,
            is_public=stored.is_public,
            guest_role=cast("GuestRole", stored.guest_role),
            role=access.role.value,
            permissions=Permissions(**access.fine),
            epoch=stored.epoch,
            created_at=utc(stored.created_at),
            updated_at=utc(stored.updated_at),
        )


class Projects(msgspec.Struct, frozen=True, rename="camel"):
    """A page of projects, newest first; `nextCursor` is null on the last page."""

    items: list[Project]
    next_cursor: str | None
