"""What has to be worked out of whole documents, without holding up the rooms meanwhile.

Reading a document keeps the interpreter for as long as it takes: 40 ms for each 500 kB. Small
states are read in a thread; larger ones in one of a few processes that stay for a while, because
starting one takes longer than most of the work. What goes there and comes back is bytes. A process
that a document takes down does not take the server with it, and one that it keeps busy is ended.
"""

from __future__ import annotations

import hashlib
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
import anyio.lowlevel
import anyio.to_process
import anyio.to_thread
import msgspec

from docstore import crdt
from docstore.errors import DocumentUnreadable
from docstore.history import content, render
from docstore.history import diff as diffs
from docstore.history import reach as reaching
from docstore.history.changes_json import diff_json

if TYPE_CHECKING:
    from collections.abc import Callable

THREAD_BYTES: Final = 16 * 1024
"""Up to here states are read in a thread: it keeps the interpreter for a millisecond."""

AT_ONCE: Final = 2
"""Pieces of work under way; the others wait for their turn."""

SECONDS: Final = 60.0
"""How long a piece may take; some 300 MB take as long."""

MOST_COUNTS: Final = 50
"""Counts that are kept with a commit, whatever is in it."""

_LONGEST_NAME: Final = 100

_places: Final = anyio.lowlevel.RunVar[anyio.CapacityLimiter]("history work")

Form: TypeAlias = Literal["json", "text"]

_A = TypeVarTuple("_A")
_T = TypeVar("_T")


class Compared(NamedTuple):
    """A state beside the one before it."""

    content_sha256: bytes
    """Of what the later one says, by which equal contents are known."""
    changes: dict[str, Any]
    """What changed, in numbers: `summary`, `counts`, and how many more `counts` there are."""


class Reached(NamedTuple):
    """How to get from one state to another."""

    update: bytes | None
    """None: nothing has to be done."""
    summary: str
    """What that changes, in one line."""


async def compare(before: bytes | None, after: bytes) -> Compared:
    """What a commit says of itself. `before`: its parent's state.

    As all of these, raises DocumentUnreadable for a state that cannot be read, DocumentTooDeep.
    """
    return await _elsewhere(len(after) + len(before or b""), _compare, before, after)


async def digest(state: bytes) -> bytes:
    """The digest of the content of a state."""
    return await _elsewhere(len(state), _digest, state)


async def diff(before: bytes, after: bytes, form: Form = "json") -> bytes:
    """What leads from one state to another, in UTF-8: a JSON object, or text for people."""
    return await _elsewhere(len(before) + len(after), _diff, before, after, form)


async def reach(live: bytes, wanted: bytes, *, client_id: int) -> Reached:
    """Forward operations from one state to the content of another. Raises ContentUnreachable.

    client_id: whose operations these are; one that has never written to the document.
    """
    return await _elsewhere(len(live) + len(wanted), _reach, live, wanted, client_id)


async def _elsewhere(size: int, function: Callable[[Unpack[_A]], _T], *args: *_A) -> _T:
    places = _places.get(None)
    if places is None:
        places = anyio.CapacityLimiter(AT_ONCE)
        _places.set(places)
    async with places:
        try:
            if size <= THREAD_BYTES:
                return await anyio.to_thread.run_sync(function, *args)
            with anyio.fail_after(SECONDS):
                return await anyio.to_process.run_sync(function, *args, cancellable=True)
        except (
            TimeoutError,
            anyio.BrokenWorkerProcess,
            crdt.MalformedUpdate,
            crdt.PoisonUpdate,
        ) as problem:
            raise DocumentUnreadable from problem


# ---------------------------------------------------------------- over there


def _compare(before: bytes | None, after: bytes) -> Compared:
    was = {} if before is None else _read(before)
    now = _read(after)
    return Compared(content.digest(now), numbers(diffs.diff(was, now)))


def _digest(state: bytes) -> bytes:
    return content.digest(content.read(state))


def _diff(before: bytes, after: bytes, form: Form) -> bytes:
    found = diffs.diff(content.read(before), content.read(after))
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
    sha256 = hashlib.sha256(state).digest()
    last, found = _kept
    if last != sha256:
        found = content.read(state)
        _kept = sha256, found
    return found


def numbers(found: diffs.Diff) -> dict[str, Any]:
    """A diff in numbers, small and fit for a database, whatever is in the document."""
    counts = [_count(each) for each in found.counts[:MOST_COUNTS]]
    kept: dict[str, Any] = {"summary": short(found), "counts": counts}
    if len(found.counts) > MOST_COUNTS:
        kept["more"] = len(found.counts) - MOST_COUNTS
    return kept


def short(found: diffs.Diff) -> str:
    """A diff's summary, on one line, without characters that steer terminals."""
    return render.clean(found.summary, 500)


def _count(count: diffs.Count) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "kind": count.kind,
        "type": count.type,
        "noun": count.noun,
        "number": count.number,
    }
    if count.holder is not None:
        name = count.holder_name or count.holder.id
        kept["in"] = render.clean(name, _LONGEST_NAME)
    return kept
