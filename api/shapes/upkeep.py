"""Giving up the past, as JSON: what is asked for, and what it came to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from api.shapes.common import documented, prose, utc
from api.shapes.history import MESSAGE_LONGEST
from api.shapes.points import OfBranch, moment

if TYPE_CHECKING:
    from docstore.history import prune, squash

MESSAGE: str = "Before the squash"
"""Of the commits of what was not committed."""


class Prune(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Up to when the past of a branch is given up."""

    before: Annotated[
        str,
        Meta(
            description="What the branch said earlier than this (RFC 3339, in the past) cannot be "
            "had any more.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    branch: OfBranch = "main"
    dry_run: Annotated[bool, Meta(description="Only say what it comes to.")] = False

    def __post_init__(self) -> None:
        moment("$.before", self.before)

    @property
    def moment(self) -> datetime:
        """`before`, as a time in UTC."""
        found = moment("$.before", self.before)
        try:
            return found.astimezone(UTC)
        except OverflowError:  # within a day of the first or the last year
            return found.replace(tzinfo=UTC)


class Pruned(msgspec.Struct, frozen=True, rename="camel"):
    """What was given up; with `dryRun`, what would be."""

    branch: str
    begins: Annotated[datetime, Meta(description="From then on it is known what it said.")]
    rows: Annotated[int, Meta(description="Rows of the journal.")]
    bytes: Annotated[int, Meta(description="Of those, as they were stored.")]
    dry_run: bool

    @classmethod
    def of(cls, asked: Prune, done: prune.Pruned) -> Pruned:
        """The answer."""
        return cls(asked.branch, utc(done.begins), done.rows, done.bytes, asked.dry_run)


class Squash(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What the commits of what was not committed are to say."""

    message: Annotated[str, documented(minLength=0, maxLength=MESSAGE_LONGEST)] = MESSAGE

    def __post_init__(self) -> None:
        self.message = prose("$.message", self.message, most=MESSAGE_LONGEST) or MESSAGE


class Squashed(msgspec.Struct, frozen=True, rename="camel"):
    """What a squash did."""

    lineage: Annotated[
        int, Meta(description="Counts up with every branch that begins anew; this is `main`'s.")
    ]
    branches: int
    bytes_before: Annotated[int, Meta(description="Of the states of all branches, as updates.")]
    bytes_after: int

    @classmethod
    def of(cls, done: squash.Squashed) -> Squashed:
        """The answer."""
        return cls(done.lineage, done.branches, done.bytes_before, done.bytes_after)
