"""What has to be worked out of whole documents, without holding up the rooms meanwhile.

Reading a document keeps the interpreter for as long as it takes: 40 ms for each 500 kB. Small
states are read in a thread; larger ones in one of a few processes that stay for a while, because
starting one takes longer than most of the work. What goes there and comes back is bytes. A process
that a document takes down does not take the server with it, and one that it keeps busy is ended.

Nobody waits long for what somebody else wants: small states have places of their own, so have
commits, and in all of them askers take turns (`base/places.py`), one piece of each at a time.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    TypeVarTuple,
    Unpack,
)

import anyio
import anyio.to_process
import anyio.to_thread
import msgspec

from base.places import FairPlaces, Places
from docstore import crdt, segments
from docstore.errors import DocumentUnreadable, TooCostly
from docstore.history import align, anew, both, content, forgetting, render, thinning
from docstore.history import diff as diffs
from docstore.history import reach as reaching
from docstore.history.changes_json import diff_json
from docstore.history.summary import MOST_COUNTS as MOST_COUNTS
from docstore.history.summary import numbers as numbers
from docstore.history.summary import short as short

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from docstore.history.rollback import Earlier

THREAD_BYTES: Final = 16 * 1024
"""Up to here states are read in a thread: it keeps the interpreter for a millisecond."""

AT_ONCE: Final = 2
"""Pieces of one kind under way; the others wait for their turn."""

SECONDS: Final = 60.0
"""How long a piece may take; some 300 MB take as long."""

_HASHED_BYTES: Final = 256 * 1024
"""From here on a state is hashed in a thread."""

_MOST_DIGESTS: Final = 4_096
"""Digests of contents that are remembered, of 64 bytes each."""


class _Lane(NamedTuple):
    """Places for one kind of work, and as many processes."""

    places: FairPlaces | Places
    processes: Places


# Processes are begun as they are needed, and shared: a lane only says how many it may have.
_small: Final = _Lane(FairPlaces("small history work", 4), Places("small history processes", 2))
_large: Final = _Lane(FairPlaces("history work", AT_ONCE), Places("history processes", AT_ONCE))
_commits: Final = _Lane(FairPlaces("commits", AT_ONCE), Places("commit processes", AT_ONCE))
_upkeep: Final = _Lane(Places("history upkeep", 1), Places("history upkeep process", 1))

_digests: Final[OrderedDict[bytes, bytes]] = OrderedDict()
"""Of contents, by the SHA-256 of states: what was asked for last at the end."""

Form: TypeAlias = Literal["json", "text"]

_A = TypeVarTuple("_A")
_T = TypeVar("_T")


class Compared(NamedTuple):
    """A state beside the one before it."""

    content_sha256: bytes
    """Of what the later one says, by which equal contents are known."""
    changes: dict[str, Any]
    """What changed, in numbers: `summary`, `counts`, and how many more `counts` there are."""


class Thinned(NamedTuple):
    """A part of a journal without its detail."""

    rows: list[segments.Row]
    state: bytes
    """What the next part begins with,"""
    waiting: list[segments.Row]
    """and with these rows."""


class Left(NamedTuple):
    """How a journal goes on without its past."""

    state: bytes
    """What it begins with."""
    staying: dict[int, list[segments.Row]]
    """Of each segment that loses something: what stays."""


class Reached(NamedTuple):
    """How to get from one state to another."""

    update: bytes | None
    """None: nothing has to be done."""
    summary: str
    """What that changes, in one line."""


async def compare(before: bytes | None, after: bytes) -> Compared:
    """What a commit says of itself. `before`: its parent's state.

    As all of these, raises DocumentUnreadable for a state that cannot be read, DocumentTooDeep, and
    TooCostly for what takes longer than a minute.
    """
    size = len(after) + len(before or b"")
    return await _elsewhere(size, _compare, before, after, lane=_commits)


async def digest(state: bytes) -> bytes:
    """The digest of the content of a state, which may have been asked for before."""
    if len(state) > _HASHED_BYTES:
        sha256 = await anyio.to_thread.run_sync(_sha256, state)
    else:
        sha256 = _sha256(state)
    found = _digests.get(sha256)
    if found is None:
        found = _digests[sha256] = await _elsewhere(len(state), _digest, state)
        while len(_digests) > _MOST_DIGESTS:
            _digests.popitem(last=False)
    else:
        _digests.move_to_end(sha256)
    return found


async def diff(before: bytes, after: bytes, form: Form = "json") -> bytes:
    """What leads from one state to another, in UTF-8: a JSON object, or text for people."""
    return await _elsewhere(len(before) + len(after), _diff, before, after, form)


async def reach(live: bytes, wanted: bytes, *, client_id: int) -> Reached:
    """Forward operations from one state to the content of another. Raises ContentUnreachable.

    client_id: whose operations these are; one that has never written to the document.
    """
    return await _elsewhere(len(live) + len(wanted), _reach, live, wanted, client_id)


async def as_json(state: bytes) -> bytes:
    """The content of every root of a state as JSON, in UTF-8.

    Always in a process: a thread that reads in a circle could not be ended.
    """
    return await _elsewhere(len(state), _as_json, state, in_thread=False)


async def elsewhere(size: int, function: Callable[[Unpack[_A]], _T], *args: *_A) -> _T:
    """Call a function of another module where these are worked out. size: bytes that it looks at."""
    return await _elsewhere(size, function, *args)


async def thin(
    base: bytes | None,
    chosen: Sequence[segments.Packed],
    others: Sequence[segments.Packed],
    tail: Sequence[segments.Row],
    rollbacks: Sequence[Earlier] = (),
) -> Thinned:
    """A part of a past, thinned: `thinning.part`. Raises SnapshotDamaged too.

    One at a time, and not in the places of those whom somebody waits for.
    """
    size = len(base or b"") + sum(part.size for part in (*chosen, *others))
    size += sum(len(row.payload) for row in tail)
    return await _elsewhere(size, _thin, base, chosen, others, tail, rollbacks, lane=_upkeep)


async def forget(
    base: bytes | None,
    parts: Mapping[int, segments.Packed],
    tail: Sequence[segments.Row],
    before: datetime,
) -> Left:
    """What a journal needs without its past: `forgetting.forget`. Raises SnapshotDamaged too."""
    size = len(base or b"") + sum(part.size for part in parts.values())
    return await _elsewhere(size, _forget, base, parts, tail, before)


async def opened(old: anew.Old) -> anew.Opened:
    """A stored document as a room would open it."""
    size = len(old.snapshot or b"") + sum(map(len, old.tail))
    return await _elsewhere(size, anew.opened, old)


async def begin_anew(state: bytes, client: int) -> bytes:
    """A document without its past: `anew.begin`. Raises ContentUnreachable too."""
    return await _elsewhere(len(state), anew.begin, state, client)


async def _elsewhere(
    size: int,
    function: Callable[[Unpack[_A]], _T],
    *args: *_A,
    lane: _Lane = _large,
    in_thread: bool = True,
) -> _T:
    is_small = size <= THREAD_BYTES and lane is not _upkeep
    lane = _small if is_small else lane
    async with lane.places():
        try:
            if is_small and in_thread:
                return await anyio.to_thread.run_sync(_bounded, function, *args)
            with anyio.fail_after(SECONDS):
                return await anyio.to_process.run_sync(
                    _bounded, function, *args, cancellable=True, limiter=lane.processes()
                )
        except TimeoutError as problem:
            raise TooCostly from problem
        except (
            anyio.BrokenWorkerProcess,
            crdt.MalformedUpdate,
            crdt.PoisonUpdate,
        ) as problem:
            raise DocumentUnreadable from problem


def _sha256(state: bytes) -> bytes:
    return hashlib.sha256(state).digest()


# ---------------------------------------------------------------- over there


def _bounded(function: Callable[[Unpack[_A]], _T], *args: *_A) -> _T:
    with align.bounded():
        return function(*args)


def _compare(before: bytes | None, after: bytes) -> Compared:
    was = {} if before is None else _read(before)
    now = _read(after)
    return Compared(content.digest(now), numbers(diffs.diff(was, now)))


def _thin(
    base: bytes | None,
    chosen: Sequence[segments.Packed],
    others: Sequence[segments.Packed],
    tail: Sequence[segments.Row],
    rollbacks: Sequence[Earlier],
) -> Thinned:
    rows = [row for part in chosen for row in segments.unpack(*part)]
    rest = [row for part in others for row in segments.unpack(*part)]
    waiting = {row.seq: row for row in (*rest, *rows, *tail)}
    part = thinning.part(base, [*rows, *rest, *tail], {row.seq for row in rows}, rollbacks)
    return Thinned(
        [segments.Row(*row) for row in part.rows],
        part.state,
        [waiting[row.seq] for row in part.waiting],
    )


def _forget(
    base: bytes | None,
    parts: Mapping[int, segments.Packed],
    tail: Sequence[segments.Row],
    before: datetime,
) -> Left:
    rows = {number: segments.unpack(*part) for number, part in parts.items()}
    told = forgetting.forget(base, rows, tail, before)
    staying: dict[int, list[segments.Row]] = {}
    for number, kept in told.staying.items():
        numbers = set(kept)
        staying[number] = [row for row in rows[number] if row.seq in numbers]
    return Left(told.state, staying)


def _as_json(state: bytes) -> bytes:
    return msgspec.json.encode(crdt.to_json(state))


def _digest(state: bytes) -> bytes:
    return content.digest(content.read(state))


def _diff(before: bytes, after: bytes, form: Form) -> bytes:
    found = diffs.diff(*both.read(before, after))
    if form == "text":
        return render.diff_text(found).encode()
    return msgspec.json.encode(diff_json(found))


def _reach(live: bytes, wanted: bytes, client_id: int) -> Reached:
    update = reaching.reach(live, wanted, client_id=client_id)
    found = diffs.diff(content.read(live), content.read(wanted))
    return Reached(update, short(found))


_KEPT_BYTES: Final = 4 * 1024 * 1024
"""Up to here a process keeps what it read last: the next commit will be compared with it."""

_kept: tuple[bytes, content.Content] = b"", {}


def _read(state: bytes) -> content.Content:
    """The content of a state, which may be the one that was read last."""
    global _kept
    if not THREAD_BYTES < len(state) <= _KEPT_BYTES:
        return content.read(state)
    sha256 = _sha256(state)
    last, found = _kept
    if last != sha256:
        found = content.read(state)
        _kept = sha256, found
    return found
