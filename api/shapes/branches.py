"""Branches, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.shapes.common import Refused, documented, utc
from api.shapes.points import OfBranch
from auth.permissions import Right
from docstore.history.branches import LONGEST

if TYPE_CHECKING:
    from auth.permissions import Access
    from docstore import projects
    from docstore.history import branches
    from docstore.history.apart import Apart

Name = Annotated[str, documented(minLength=1, maxLength=LONGEST, examples=["slower intro"])]


class NewBranch(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A branch to make, from a commit or from another branch as it is now.

    At most one of `sourceCommit` and `sourceBranch`; with neither, from `main` as it is now.
    """

    name: Name
    source_commit: UUID | UnsetType = UNSET
    source_branch: OfBranch | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.source_commit is not UNSET and self.source_branch is not UNSET:
            raise Refused("$", "Expected at most one of `sourceCommit` and `sourceBranch`")


class BranchChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to change of a branch; what is left out stays."""

    name: Name | UnsetType = UNSET
    protected: bool | UnsetType = UNSET


class DeleteQuery(msgspec.Struct, rename="camel"):
    """How to delete a branch."""

    force: Annotated[bool, Meta(description="Also when it holds work that is nowhere else.")] = (
        False
    )


class Branch(msgspec.Struct, frozen=True, rename="camel"):
    """A line of work. `room` is where it is edited live: `/sync/{room}`.

    `head`: its newest commit. `ahead` and `behind`: commits that it has and `main` has not, and
    the other way round. `originCommit`: what it was made from, if that was a commit. `createdBy`
    is told to who may see the people of the project; null also for `main`. `mayEdit`: whether the
    asker may edit it live, which nobody does on a protected one.
    """

    name: str
    room: str
    head: UUID | None
    protected: bool
    may_edit: bool
    ahead: int
    behind: int
    origin_commit: UUID | None
    epoch: int
    created_by: UUID | None
    created_at: datetime

    @classmethod
    def of(
        cls,
        stored: branches.Branch,
        project: projects.Project,
        apart: Apart,
        access: Access,
    ) -> Branch:
        """From the record, for somebody with this access."""
        return cls(
            name=stored.name,
            room=f"{project.room_id}@{quote(stored.name, safe='')}",
            head=stored.head,
            protected=stored.protected,
            may_edit=Right.DOCUMENT_EDIT in access.rights and not stored.protected,
            ahead=apart.ahead,
            behind=apart.behind,
            origin_commit=stored.origin_commit,
            epoch=stored.epoch,
            created_by=stored.created_by if Right.ACCESS_READ in access.rights else None,
            created_at=utc(stored.created_at),
        )


class BranchNow(Branch, frozen=True, rename="camel", kw_only=True):
    """A line of work, looked at closely.

    As in the list, and `uncommitted`: whether it says something else than its newest commit.
    """

    uncommitted: bool

    @classmethod
    def now(cls, listed: Branch, *, uncommitted: bool) -> BranchNow:
        """The same, with what the live document says."""
        return cls(**msgspec.structs.asdict(listed), uncommitted=uncommitted)


class Branches(msgspec.Struct, frozen=True, rename="camel"):
    """The branches of a project: `main` first, then the youngest."""

    items: list[Branch]
