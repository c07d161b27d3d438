"""Bundles, as JSON: what to make one of, which there are, what came in one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.shapes.common import NAME_LONGEST, Refused, documented, line, prose, utc
from api.shapes.points import Point
from api.shapes.projects import Project
from docstore.history.branches import LONGEST as BRANCH_LONGEST
from docstore.history.tags import LONGEST as TAG_LONGEST

if TYPE_CHECKING:
    from docstore.bundles import store

NOTE_LONGEST = 2000

Kind = Literal["odb", "zip"]
Branch = Annotated[str, Meta(min_length=1, max_length=BRANCH_LONGEST)]


class NewBundle(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to make a bundle of: a branch as it is now (`main`), or a commit by its id or a tag.

    `kind`: `odb` opens in openDAW and is usual for projects of its kind; `zip` is for all others.
    `authors`: name who made the commits. Such a bundle is only for who may see them.
    """

    branch: Branch | UnsetType = UNSET
    commit_id: UUID | UnsetType = UNSET
    tag: Annotated[str, documented(minLength=1, maxLength=TAG_LONGEST)] | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    note: Annotated[str, documented(maxLength=NOTE_LONGEST)] = ""
    authors: bool = False

    def __post_init__(self) -> None:
        if sum(each is not UNSET for each in (self.branch, self.commit_id, self.tag)) > 1:
            raise Refused("$", "Expected at most one of `branch`, `commitId` and `tag`")
        self.note = prose("$.note", self.note, most=NOTE_LONGEST)

    @property
    def point(self) -> Point:
        """The state that is meant."""
        return Point(
            commit=None if self.commit_id is UNSET else self.commit_id,
            tag=None if self.tag is UNSET else self.tag,
            branch=None if self.branch is UNSET else self.branch,
        )


class Bundle(msgspec.Struct, frozen=True, rename="camel"):
    """A project as a file. It never changes, and its version is never given out again.

    `commitId`: what it was made of; null: what the branch said at that moment. `fileHash`: SHA-256
    of the file, `contentHash`: of what the document says. `authors`: they are named in it. `createdBy` is
    told to who may see the people of the project, and null to others.
    """

    version: int
    branch: str
    commit_id: UUID | None
    kind: Kind
    filename: str
    bytes: int
    file_hash: str
    content_hash: str
    note: str
    authors: bool
    created_by: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, stored: store.Bundle, *, people: bool) -> Bundle:
        """From the record."""
        return cls(
            stored.version,
            stored.branch,
            stored.commit_id,
            "odb" if stored.kind == "odb" else "zip",
            stored.filename,
            stored.bytes,
            stored.sha256.hex(),
            stored.content_sha256.hex(),
            stored.note,
            stored.people,
            stored.created_by if people else None,
            utc(stored.created_at),
        )


class Bundles(msgspec.Struct, frozen=True, rename="camel"):
    """All bundles of a project, the newest first."""

    items: list[Bundle]


class ImportQuery(msgspec.Struct, rename="camel"):
    """Where what is in a bundle goes: into a new project, or into a new branch of `project`."""

    name: Annotated[
        str | None,
        Meta(
            description="What the new project is called; as in the bundle if absent.",
            extra_json_schema={"maxLength": NAME_LONGEST},
        ),
    ] = None
    project: Annotated[UUID | None, Meta(description="The project to get a new branch.")] = None
    branch: Annotated[
        str | None,
        Meta(
            description="What the new branch is called; needed with `project`, and only there.",
            extra_json_schema={"minLength": 1, "maxLength": BRANCH_LONGEST},
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.name is not None:
            self.name = line("$.name", self.name, least=1, most=NAME_LONGEST)
        if (self.project is None) != (self.branch is None):
            raise Refused("$", "Expected both of `project` and `branch`, or neither")
        if self.name is not None and self.project is not None:
            raise Refused("$", "Expected one of `name` and `project`")


class Imported(msgspec.Struct, frozen=True, rename="camel"):
    """What came of a bundle. `branch`: the one that says what the bundle did.

    `commits`, `branches`, `tags`: how many there are that came with it. `leftOut`: files in it that
    are not kept here, as samples in a bundle of openDAW's.
    """

    project: Project
    branch: str
    content_hash: str
    commits: int
    branches: int
    tags: int
    left_out: int
