"""Projects, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from api.shapes.common import DESCRIPTION_LONGEST, NAME_LONGEST, documented, line, prose, utc

if TYPE_CHECKING:
    from auth.permissions import Role
    from docstore.projects import Project as Stored

Kind = Literal["studio", "pattern", "opendaw"]
Name = Annotated[str, documented(minLength=1, maxLength=NAME_LONGEST, examples=["Night drive"])]
Description = Annotated[str, documented(maxLength=DESCRIPTION_LONGEST)]


class NewProject(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A project to create."""

    name: Name
    kind: Kind = "studio"
    description: Description = ""
    is_public: bool = False

    def __post_init__(self) -> None:
        self.name = line("$.name", self.name, least=1, most=NAME_LONGEST)
        self.description = prose("$.description", self.description, most=DESCRIPTION_LONGEST)


class ProjectChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to change of a project; what is left out stays."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.name is not UNSET:
            self.name = line("$.name", self.name, least=1, most=NAME_LONGEST)
        if self.description is not UNSET:
            self.description = prose("$.description", self.description, most=DESCRIPTION_LONGEST)


class Project(msgspec.Struct, frozen=True, rename="camel"):
    """A project. `role` is what the asker may do: owner, editor or viewer."""

    id: UUID
    room_id: str
    owner_id: UUID
    name: str
    kind: str
    description: str
    is_public: bool
    role: Annotated[str, documented(enum=["owner", "editor", "viewer"])]
    epoch: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: Stored, role: Role) -> Project:
        """From the record, for somebody of this role."""
        return cls(
            id=stored.id,
            room_id=stored.room_id,
            owner_id=stored.owner_id,
            name=stored.name,
            kind=stored.kind,
            description=stored.description,
            is_public=stored.is_public,
            role=role.value,
            epoch=stored.epoch,
            created_at=utc(stored.created_at),
            updated_at=utc(stored.updated_at),
        )


class Projects(msgspec.Struct, frozen=True, rename="camel"):
    """A page of projects, newest first; `nextCursor` is null on the last page."""

    items: list[Project]
    next_cursor: str | None
