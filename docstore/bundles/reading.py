"""A bundle of anybody's, checked to the last byte and laid out in a folder. Runs in a process.

Promise: what is in the folder afterwards can be written into a database as it is. Every checksum is
right, every state is one that yrs can bear and says what its commit promises, every commit comes
behind its parents, every name is one that could have been given here. Otherwise one of the errors of
`docstore/bundles/errors.py`, or DocumentUnreadable, DocumentTooDeep for a document that nobody reads.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast
from uuid import UUID

import msgspec

from base import ids
from docstore import crdt, readiness, seeding
from docstore.bundles import layout, opendaw, scratch, unzip
from docstore.bundles.errors import BundleDamaged, BundleTooLarge, BundleUnknown
from docstore.errors import SnapshotDamaged
from docstore.history import branches, branching, chain, content, render, tags
from docstore.history.errors import BranchNameInvalid, TagInvalid
from docstore.history.summary import MOST_COUNTS
from docstore.projects import MAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

UPLOAD: Final = "upload"
"""The bundle, in its folder."""

_OPEN_DAW: Final = b"OPEN"
"""A project file without its bundle."""

MOST_VALUES: Final = 2_000_000
"""Plain values in a document: 250,000 notes have as many. To read them takes some four seconds and
300 MB, and a document of nothing but small ones is ten times as large in memory as at rest."""

MOST_TYPES: Final = 250_000
"""Shared types in a document: as many as a room lets be made (syncserver/replica.py)."""

_LONGEST_NAME: Final = 200
_LONGEST_MESSAGE: Final = 2_000
_LONGEST_DESCRIPTION: Final = 5_000

T = TypeVar("T")


class Bounds(NamedTuple):
    """What is taken at most."""

    document_bytes: int
    """Of one state."""
    unpacked_bytes: int
    """Of all entries together."""
    states_bytes: int
    """Of all states together."""
    memory_bytes: int
    """That the process may take for it."""


class Checked(NamedTuple):
    """What was found; the states themselves are in the folder."""

    history: bytes
    """A `layout.History`, in msgpack, that can be believed."""
    content_sha256: bytes
    """Of what the document says."""
    left_out: int
    """Files of a bundle of openDAW's that this server does not keep: samples, pictures."""


def check(folder: str, now: datetime, bounds: Bounds) -> Checked:
    """Check the upload in this folder; `project.yjs` and `states.bin` are beside it then."""
    try:
        with scratch.memory(bounds.memory_bytes):
            return _check(Path(folder), now, bounds)
    except MemoryError as wrong:
        raise BundleTooLarge("To read the bundle takes too much memory.") from wrong


def _check(home: Path, now: datetime, bounds: Bounds) -> Checked:
    with (home / UPLOAD).open("rb") as file:
        begins = file.read(4)
    if begins == _OPEN_DAW:
        if (home / UPLOAD).stat().st_size > bounds.document_bytes:
            raise BundleTooLarge(limit_bytes=bounds.document_bytes)
        return _from_opendaw(home, (home / UPLOAD).read_bytes(), {}, now, bounds, 0)
    with unzip.opened(
        home / UPLOAD, most_entries=layout.MOST_ENTRIES, most_bytes=bounds.unpacked_bytes
    ) as packed:
        names = packed.names
        for prefix in ("", layout.FOLDER):
            if prefix + layout.MANIFEST in names:
                return _from_ours(home, packed, prefix, now, bounds)
        if layout.ODB_PROJECT in names:
            if packed.bytes(layout.ODB_VERSION, 100).strip() != b"1":
                raise BundleUnknown("This bundle of openDAW's has an unknown version.")
            data = packed.bytes(layout.ODB_PROJECT, bounds.document_bytes)
            meta: dict[str, Any] = {}
            if layout.ODB_META in names:
                body = packed.bytes(layout.ODB_META, layout.META_BYTES)
                meta = _json(body, layout.ODB_META, dict[str, Any])
            ours = {layout.ODB_VERSION, layout.ODB_UUID, layout.ODB_PROJECT, layout.ODB_META}
            left_out = len(set(names) - ours)
            return _from_opendaw(home, data, meta, now, bounds, left_out)
    raise BundleUnknown


# ---------------------------------------------------------------- openDAW's


def _from_opendaw(
    home: Path,
    data: bytes,
    meta: Mapping[str, Any],
    now: datetime,
    bounds: Bounds,
    left_out: int,
) -> Checked:
    """A project without any history."""
    client_id = ids.new_client_id()
    state = opendaw.read(data, client_id=client_id)
    (home / layout.STATES).write_bytes(b"")
    (home / layout.STATE).write_bytes(state)
    digest = _digest(state, layout.ODB_PROJECT, bounds)
    name, description = meta.get("name"), meta.get("description")
    facts = layout.Facts(
        UUID(int=0),
        _line(name, _LONGEST_NAME) if isinstance(name, str) else "",
        "opendaw",
        _prose(description, _LONGEST_DESCRIPTION) if isinstance(description, str) else "",
    )
    history = layout.History(facts, MAIN, None, now, [layout.Branch(MAIN, None)], [], [])
    return Checked(msgspec.msgpack.encode(history), digest, left_out)


# ---------------------------------------------------------------- ours


def _from_ours(
    home: Path, packed: unzip.Archive, prefix: str, now: datetime, bounds: Bounds
) -> Checked:
    manifest = prefix + layout.MANIFEST
    said = _json(packed.bytes(manifest, layout.MANIFEST_BYTES), manifest, layout.Manifest)
    if said.format != layout.FORMAT or said.version != layout.VERSION:
        raise BundleUnknown("This bundle has a layout that this server does not read.")
    if set(packed.names) != {*said.entries, manifest}:
        odd = min(set(packed.names) ^ {*said.entries, manifest})
        raise BundleDamaged("An entry is missing, or too much.", entry=unzip.shown(odd))
    for name, entry in said.entries.items():
        if packed.measured(name) != (entry.bytes, entry.sha256):
            raise BundleDamaged("An entry is not what was written.", entry=unzip.shown(name))
    name = prefix + layout.HISTORY
    history = _history(packed.bytes(name, layout.HISTORY_BYTES), name)
    believable(history, now, name)
    packed.into(prefix + layout.STATE, home / layout.STATE, bounds.document_bytes)
    packed.into(prefix + layout.STATES, home / layout.STATES, bounds.unpacked_bytes)
    said_at = _states(home, prefix + layout.STATES, history.project.lineage, bounds)
    _check_commits(history, said_at, name)
    state = (home / layout.STATE).read_bytes()
    _check_lineages(history, said_at, hashlib.sha256(state).digest(), name)
    digest = _digest(state, prefix + layout.STATE, bounds)
    return Checked(msgspec.msgpack.encode(history), digest, 0)


def _history(body: bytes, name: str) -> layout.History:
    """`history.json`. What commits say of themselves is brought into shape one by one.

    Otherwise a few bytes of each, which stand for nothing, would fill the memory: `[]` takes 60.
    """
    said = _json(body, name, layout.Unread)
    commits: list[layout.Commit] = []
    for each in said.commits:
        if len(memoryview(each)) > layout.COMMIT_BYTES:
            raise BundleTooLarge(entry=unzip.shown(name), limit_bytes=layout.COMMIT_BYTES)
        commit = _json(each, name, layout.Commit)
        commit.changes = _changes(commit.changes)
        commits.append(commit)
    return layout.History(
        said.project,
        said.branch,
        said.commit,
        said.time,
        said.branches,
        commits,
        said.tags,
        said.squashes,
    )


def _json(body: bytes | msgspec.Raw, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    # RecursionError: brackets within brackets, deeper than the parser follows.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as wrong:
        raise BundleDamaged("An entry cannot be read.", entry=unzip.shown(name)) from wrong


def believable(history: layout.History, now: datetime, entry: str) -> None:
    """Bring texts and times into the form that they have here; refuse what could not be here.

    Raises BundleDamaged.
    """
    try:
        _names(history)
        _graph(history)
    except (BranchNameInvalid, TagInvalid, _Unbelievable) as wrong:
        raise BundleDamaged(str(wrong), entry=unzip.shown(entry)) from wrong
    facts = history.project
    facts.name = _line(facts.name, _LONGEST_NAME)
    facts.description = _prose(facts.description, _LONGEST_DESCRIPTION)
    for commit in history.commits:
        commit.message = _prose(commit.message, _LONGEST_MESSAGE) or "-"
        commit.time = _time(commit.time, now)
        if commit.author is not None:
            commit.changes[layout.AUTHOR] = _line(commit.author, _LONGEST_NAME)
    for tag in history.tags:
        tag.time = _time(tag.time, now)


class _Unbelievable(ValueError):
    """Of a history that cannot have been written here."""


def _names(history: layout.History) -> None:
    if history.project.kind not in seeding.KINDS:
        raise _Unbelievable("The project is of an unknown kind.")
    history.branch = branches.named(history.branch)
    for branch in history.branches:
        branch.name = branches.named(branch.name)
    for commit in history.commits:
        commit.branch = branches.named(commit.branch)
    for tag in history.tags:
        tag.name = tags.named(tag.name)
    lines = {branch.name for branch in history.branches}
    alike = {name.casefold() for name in lines}
    if len(alike) < len(history.branches) or not {MAIN, history.branch} <= lines:
        raise _Unbelievable("A branch is missing, or there twice.")
    if len(lines) > branching.MOST:
        raise _Unbelievable("There are too many branches.")
    if len({tag.name for tag in history.tags}) < len(history.tags):
        raise _Unbelievable("A tag is there twice.")
    if len(history.tags) > tags.MOST:
        raise _Unbelievable("There are too many tags.")
    last = history.project.lineage
    if any(not 1 <= branch.lineage <= last for branch in history.branches):
        raise _Unbelievable("A branch is of a lineage that never began.")
    began = [squash.lineage for squash in history.squashes]
    # Each squash begins one, or several, and nothing else does before the first one.
    if began != sorted(set(began)) or [one for one in began if not 2 <= one <= last]:
        raise _Unbelievable("A squash is there twice, or began nothing.")
    if (last > 1) != bool(began) or began[:1] not in ([], [2]):
        raise _Unbelievable("A squash is missing.")


def _graph(history: layout.History) -> None:
    known: set[UUID] = set()
    for commit in history.commits:
        if commit.id in known or len(set(commit.parents)) < len(commit.parents):
            raise _Unbelievable("A commit, or a parent, is there twice.")
        if not known.issuperset(commit.parents):
            raise _Unbelievable("A commit comes before its parents, or they are missing.")
        known.add(commit.id)
    named = [branch.head for branch in history.branches if branch.head is not None]
    named += [tag.commit for tag in history.tags]
    named += [] if history.commit is None else [history.commit]
    if not known.issuperset(named):
        raise _Unbelievable("A branch or a tag is of a commit that is missing.")


def _check_commits(history: layout.History, said_at: Mapping[int, _Said], entry: str) -> None:
    for commit in history.commits:
        said = said_at.get(commit.state)
        if said is None or said.content_hash != commit.content_hash:
            raise BundleDamaged(
                "A commit does not say what it promises.",
                entry=unzip.shown(entry),
                commit=str(commit.id),
            )


def _check_lineages(
    history: layout.History, said_at: Mapping[int, _Said], sha256: bytes, entry: str
) -> None:
    """Whether branches are of the lineages of what they begin with. sha256: of the document."""
    numbers = {commit.id: commit.state for commit in history.commits}
    known = {said.sha256: said.lineage for said in said_at.values()}
    for branch in history.branches:
        if branch.name == history.branch:
            wanted = known.get(sha256, branch.lineage)
        elif branch.head is not None:
            wanted = said_at[numbers[branch.head]].lineage
        else:
            continue
        if branch.lineage != wanted:
            raise BundleDamaged("A branch is of another lineage.", entry=unzip.shown(entry))


def _changes(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a commit says of itself, in the shape of `summary.numbers`, whatever was there."""
    summary = said.get("summary")
    counts = said.get("counts")
    more = said.get("more")
    kept: dict[str, Any] = {
        "summary": render.clean(summary if isinstance(summary, str) else "", 500)
    }
    read = cast("list[object]", counts) if isinstance(counts, list) else []
    kept["counts"] = [one for each in read[:MOST_COUNTS] if (one := _count(each))]
    if isinstance(more, int) and 0 < more < 2**31:
        kept["more"] = more
    return kept


def _count(said: object) -> dict[str, Any] | None:
    try:
        found = msgspec.convert(said, _Count)
    except msgspec.ValidationError:
        return None
    texts = {key: render.clean(getattr(found, key), 100) for key in ("type", "noun")}
    kept: dict[str, Any] = {"kind": found.kind, **texts, "number": found.number}
    if isinstance(found.holder, _Holder):
        kept["in"] = msgspec.to_builtins(found.holder)
    return kept


class _Holder(msgspec.Struct, omit_defaults=True):
    """What holds the things that are counted, as `changes_json.holder_json` tells it."""

    type: str
    id: str
    path: list[str]
    name: str | None = None
    box: str | None = None

    def __post_init__(self) -> None:
        self.type, self.id = render.clean(self.type, 100), render.clean(self.id, 100)
        self.path = [render.clean(each, 100) for each in self.path[:16]]
        self.name = None if self.name is None else render.clean(self.name, 100)
        self.box = None if self.box is None else render.clean(self.box, 100)


class _Count(msgspec.Struct):
    """One of `counts`, as `summary.numbers` makes them."""

    kind: layout.CountKind
    type: str
    noun: str
    number: layout.Natural
    holder: _Holder | str | None = msgspec.field(name="in", default=None)
    """Earlier bundles have a mere name here; that is in the summary too."""


_NOT_IN_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NOT_IN_LINES: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What REST refuses from whoever types it: here it is left out."""


def _line(text: str, longest: int) -> str:
    return _prose(_NOT_IN_LINES.sub("", text[:longest]), longest)


def _prose(text: str, longest: int) -> str:
    text = unicodedata.normalize("NFC", _NOT_IN_TEXT.sub("", text[:longest]).strip())
    return text[:longest]


def _time(moment: datetime, now: datetime) -> datetime:
    """In UTC, and not in the future. A time without a zone is taken for UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    try:
        return min(moment.astimezone(UTC), now)
    except OverflowError:
        return now


# ---------------------------------------------------------------- states


class _Said(NamedTuple):
    """A state that was read."""

    content_hash: str
    lineage: int
    sha256: bytes


def _states(home: Path, entry: str, lineages: int, bounds: Bounds) -> dict[int, _Said]:
    """What each state says, by its number.

    Of the states on the way to the one being read only files are kept: a chain is as deep as its
    number has bits, and each may be as large as a document can be.
    """
    found: dict[int, _Said] = {}
    left = bounds.states_bytes
    seen: set[bytes] = set()
    kept: list[int] = []
    try:
        with (home / layout.STATES).open("rb") as file:
            while state := layout.read_state(file, bounds.document_bytes):
                number, base, lineage, packed = state
                left -= packed.size
                if left < 0:
                    limit = bounds.states_bytes
                    raise BundleTooLarge(entry=unzip.shown(entry), limit_bytes=limit)
                path = chain.path_to(number)
                if found and number <= next(reversed(found)):
                    raise layout.Broken
                for gone in [each for each in kept if each not in path]:
                    kept.remove(gone)
                    _kept(home, gone).unlink()
                odd = base is not None and base not in kept
                if odd or packed.sha256 in seen or lineage > lineages:
                    raise layout.Broken
                before = None if base is None else _kept(home, base).read_bytes()
                unpacked = chain.unpack_on(packed, before)
                digest = _digest(unpacked, entry, bounds).hex()
                found[number] = _Said(digest, lineage, packed.sha256)
                seen.add(packed.sha256)
                _kept(home, number).write_bytes(unpacked)
                kept.append(number)
    except (layout.Broken, SnapshotDamaged) as wrong:
        raise BundleDamaged(
            "The states are not what was written.", entry=unzip.shown(entry)
        ) from wrong
    for number in kept:
        _kept(home, number).unlink()
    return found


def _kept(home: Path, number: int) -> Path:
    return home / f"state-{number}"


def _digest(state: bytes, entry: str, bounds: Bounds) -> bytes:
    """Of what a foreign state says. Refuses what yrs could not bear, and what is not whole."""
    if len(state) > bounds.document_bytes:
        raise BundleTooLarge(entry=unzip.shown(entry), limit_bytes=bounds.document_bytes)
    try:
        found = crdt.read(state)
        if found.values > MOST_VALUES or found.types > MOST_TYPES:
            raise BundleTooLarge(
                "There are too many values in a state.",
                entry=unzip.shown(entry),
                limit_values=MOST_VALUES,
            )
        if not readiness.reached(found, lambda _client: 0).whole:
            raise crdt.MalformedUpdate("something that it needs is missing")
        return content.digest(content.read(state))
    except (crdt.MalformedUpdate, crdt.PoisonUpdate) as wrong:
        raise BundleDamaged("A state is none.", entry=unzip.shown(entry)) from wrong
