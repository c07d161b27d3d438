"""What a compaction computes: a snapshot and updates in, a newer snapshot out.

Pure. Also the program of the process that does it for large documents (`docstore/aside.py`):
records come in and go out as MessagePack.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pycrdt

from docstore import crdt, loading, snapshots, waiting
from docstore.errors import SnapshotDamaged

if TYPE_CHECKING:
    from collections.abc import Sequence


class Update(NamedTuple):
    """One row of the journal."""

    payload: bytes
    waiting: bool = False
    """Whether it waited for others when it was stored."""


class Folded(NamedTuple):
    """A newer snapshot, and what of the updates is not in it."""

    snapshot: snapshots.Packed
    staying: tuple[int, ...]
    """Indexes of updates that are not, or not entirely, in it: they wait for updates that were not
    there, or cannot be applied."""
    client_ids: tuple[int, ...]
    """Yjs clients that wrote something new in these updates."""


class Task(NamedTuple):
    """What to fold."""

    snapshot: snapshots.Packed | None
    updates: list[Update]


class Outcome(NamedTuple):
    """What came of it: a result, or the name and the words of an error."""

    folded: Folded | None
    error: str = ""
    message: str = ""


ERRORS = {
    kind.__name__: kind for kind in (crdt.MalformedUpdate, crdt.PoisonUpdate, SnapshotDamaged)
}
"""What stored bytes may turn out to be, by the name under which it crosses to us."""


def fold(snapshot: snapshots.Packed | None, updates: Sequence[Update]) -> Folded:
    """Apply updates to a snapshot. Raises SnapshotDamaged, MalformedUpdate, PoisonUpdate."""
    packed = None if snapshot is None else snapshots.unpack(*snapshot)
    applied = [index for index, update in enumerate(updates) if not update.waiting]
    staying: list[int] = []
    kept: list[waiting.Waiting] = []
    for index, update in enumerate(updates):
        if update.waiting:
            try:
                kept.append(waiting.Waiting(update.payload, row=index))
            except crdt.MalformedUpdate:
                staying.append(index)
    stored = loading.prepare(packed, [updates[index].payload for index in applied], kept)
    built = loading.build(pycrdt.Doc, stored)
    staying += [applied[at] for at in (*built.left_out, *built.late)]
    staying += [one.row for one in (*built.waiting, *built.refused) if one.row is not None]
    with crdt.guarded():
        before = {} if packed is None else crdt.decode_state_vector(pycrdt.get_state(packed))
        after = crdt.decode_state_vector(built.doc.get_state())
        full = built.doc.get_update()
    wrote = tuple(sorted(client for client in after if after[client] > before.get(client, 0)))
    return Folded(snapshots.pack(full), tuple(sorted(staying)), wrote)


def main() -> None:
    """Fold what stdin says, and say on stdout what came of it."""
    os.nice(5)  # the server's own process goes first
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Task)
    try:
        outcome = Outcome(fold(task.snapshot, task.updates))
    except (crdt.MalformedUpdate, crdt.PoisonUpdate, SnapshotDamaged) as error:
        outcome = Outcome(None, type(error).__name__, str(error))
    sys.stdout.buffer.write(msgspec.msgpack.encode(outcome))
    sys.stdout.buffer.flush()
