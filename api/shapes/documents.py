"""Documents, as JSON: how to write one down, what became of an update."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class SnapshotQuery(msgspec.Struct, rename="camel"):
    """How to write a document down."""

    format: Annotated[
        Literal["yjs", "json"],
        Meta(description="`yjs`: one Yjs update, version 1. `json`: the content of every root."),
    ] = "yjs"


class UpdateApplied(msgspec.Struct, frozen=True, rename="camel"):
    """What became of an update.

    `applied`: the document differs from before. `pending`: something of it waits for updates that
    it depends on. `durable`: it is committed to the journal (always true in this answer).
    """

    applied: bool
    pending: bool
    durable: Literal[True] = True
