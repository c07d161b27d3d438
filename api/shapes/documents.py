"""Documents, as JSON: how to write one down, what became of an update."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.shapes.points import OfBranch
from docstore.projects import MAIN


class SnapshotQuery(msgspec.Struct, rename="camel"):
    """How to write a state down."""

    format: Annotated[
        Literal["yjs", "json"],
        Meta(description="`yjs`: one Yjs update, version 1. `json`: the content of every root."),
    ] = "yjs"


class LiveQuery(SnapshotQuery, rename="camel"):
    """Which document, and how to write it down."""

    branch: OfBranch = MAIN


class UpdateQuery(msgspec.Struct, rename="camel"):
    """Which document."""

    branch: OfBranch = MAIN


class UpdateApplied(msgspec.Struct, frozen=True, rename="camel"):
    """What became of an update.

    `applied`: the document differs from before. `pending`: something of it waits for updates that
    it depends on. `durable`: it is committed to the journal (always true in this answer).
    """

    applied: bool
    pending: bool
    durable: Literal[True] = True
