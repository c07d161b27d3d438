"""What is in a bundle: the names of its entries, and how history is written down in them.

A bundle is a zip. `project.yjs` is what the document says, `history.json` how it came to say it,
`states.bin` what it said at its commits, as differences (docstore/history/chain.py), `project.json`
the document for people, and `manifest.json` the checksum of everything. In an `.odb` these are in
the folder `syncsphere/`, beside what openDAW reads. docs/bundles.md tells it to readers. Pure.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from docstore.history import chain

if TYPE_CHECKING:
    from typing import IO

Kind: TypeAlias = Literal["odb", "zip"]

CountKind: TypeAlias = Literal["added", "removed", "changed", "moved"]

FORMAT: Final = "syncsphere-bundle"
VERSION: Final = 1
"""Of this layout. A reader refuses what is newer than itself."""

STATE: Final = "project.yjs"
JSON: Final = "project.json"
HISTORY: Final = "history.json"
STATES: Final = "states.bin"
MANIFEST: Final = "manifest.json"
FOLDER: Final = "syncsphere/"
"""Where these are in an `.odb`."""

ODB_VERSION: Final = "version"
ODB_UUID: Final = "uuid"
ODB_PROJECT: Final = "project.od"
ODB_META: Final = "meta.json"

MOST_ENTRIES: Final = 10_000
HISTORY_BYTES: Final = 64 * 1024 * 1024
MANIFEST_BYTES: Final = 4 * 1024 * 1024
META_BYTES: Final = 1024 * 1024
MOST_COMMITS: Final = 100_000
MOST_PARENTS: Final = 100
MOST_SQUASHES: Final = 1_000

AUTHOR: Final = "author"
"""Who made a commit that came in a bundle, in its `changes`: a name, which no account need have."""

COMMIT_BYTES: Final = 1024 * 1024
"""Of one commit in `history.json`: none of ours has a hundredth of it."""

Natural = Annotated[int, Meta(ge=0, lt=2**31)]

Lineage = Annotated[int, Meta(ge=1, lt=2**24)]
"""Far from where the database ends: a project that goes on from there begins others."""


class Facts(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Of the project. `lineage`: the last number that was given to one."""

    id: UUID
    name: Annotated[str, Meta(max_length=1000)]
    kind: Annotated[str, Meta(max_length=100)]
    description: Annotated[str, Meta(max_length=100_000)]
    lineage: Lineage = 1


class Branch(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A branch and its newest commit. `lineage`: those of one share their operations."""

    name: Annotated[str, Meta(max_length=1000)]
    head: UUID | None
    protected: bool = False
    lineage: Lineage = 1


class Commit(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A commit. `author`: a name, if names were wanted. `state`: its number in `states.bin`."""

    id: UUID
    branch: Annotated[str, Meta(max_length=1000)]
    parents: Annotated[list[UUID], Meta(max_length=MOST_PARENTS)]
    message: Annotated[str, Meta(max_length=100_000)]
    time: datetime
    author: Annotated[str, Meta(max_length=1000)] | None
    content_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    state: Natural
    changes: dict[str, Any]


class Tag(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A name for a commit."""

    name: Annotated[str, Meta(max_length=1000)]
    commit: UUID
    time: datetime


class Squash(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The first of the lineages that a squash began."""

    lineage: Lineage


class History(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """All of `history.json`. `commits`: the oldest first. `branch`: whose state is the document.

    `commit`: what the document is the state of, unless it is what the branch said at `time`.
    """

    project: Facts
    branch: Annotated[str, Meta(max_length=1000)]
    commit: UUID | None
    time: datetime
    branches: Annotated[list[Branch], Meta(min_length=1, max_length=1_000)]
    commits: Annotated[list[Commit], Meta(max_length=MOST_COMMITS)]
    tags: Annotated[list[Tag], Meta(max_length=10_000)]
    squashes: Annotated[list[Squash], Meta(max_length=MOST_SQUASHES)] = []


class Unread(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A `History` of anybody's whose commits are still JSON, to be read one at a time."""

    project: Facts
    branch: Annotated[str, Meta(max_length=1000)]
    commit: UUID | None
    time: datetime
    branches: Annotated[list[Branch], Meta(min_length=1, max_length=1_000)]
    commits: Annotated[list[msgspec.Raw], Meta(max_length=MOST_COMMITS)]
    tags: Annotated[list[Tag], Meta(max_length=10_000)]
    squashes: Annotated[list[Squash], Meta(max_length=MOST_SQUASHES)] = []


class Entry(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What an entry must be."""

    bytes: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Manifest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """All of `manifest.json`: every other entry, by the name that it has in the zip."""

    format: str
    version: int
    entries: dict[str, Entry]


# ---------------------------------------------------------------- states.bin

_HEAD: Final = struct.Struct(">iiiQQ32s")
"""Number, base (-1: none), lineage, bytes of the state, bytes of the body, SHA-256 of the state."""


_NUMBERS: Final = 2**24
"""Of states are below: a project that goes on from there must not run out of them."""


class State(NamedTuple):
    """A state as it is stored, and where."""

    number: int
    base: int | None
    """The number of the state that it is stored against; None: it is whole."""
    lineage: int
    packed: chain.Packed


class Broken(ValueError):
    """What is there cannot have been written by `write_state`."""


def write_state(file: IO[bytes], state: State) -> None:
    """Add one to the file."""
    packed = state.packed
    base = -1 if state.base is None else state.base
    head = (state.number, base, state.lineage, packed.size, len(packed.body), packed.sha256)
    file.write(_HEAD.pack(*head))
    file.write(packed.body)


def read_state(file: IO[bytes], longest: int) -> State | None:
    """The next one; None at the end. longest: bytes of a state, or of its body. Raises Broken."""
    head = file.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise Broken
    number, base, lineage, size, length, sha256 = _HEAD.unpack(head)
    # A number's path to its base is as long as it has bits, so negative ones have none.
    if not 0 <= number < _NUMBERS or base < -1 or lineage < 1 or size > longest or length > longest:
        raise Broken
    body = file.read(length)
    if len(body) < length:
        raise Broken
    whole = base == -1
    packed = chain.Packed(body, size, sha256, whole)
    return State(number, None if whole else base, lineage, packed)
