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

from docstore import crdt, snapshots
from docstore.errors import SnapshotDamaged

if TYPE_CHECKING:
    from collections.abc import Sequence


class Folded(NamedTuple):
    """A newer snapshot, and what of the updates is not in it."""

    snapshot: snapshots.Packed
    waiting: tuple[int, ...]
    """Indexes of updates of which something waits for updates that were not there."""
    client_ids: tuple[int, ...]
    """Yjs clients that wrote something new in these updates."""


class Task(NamedTuple):
    """What to fold."""

    snapshot: snapshots.Packed | None
    updates: list[bytes]


class Outcome(NamedTuple):
    """What came of it: a result, or the name and the words of an error."""

    folded: Folded | None
    error: str = ""
    message: str = ""


ERRORS = {
    kind.__name__: kind for kind in (crdt.MalformedUpdate, crdt.PoisonUpdate, SnapshotDamaged)
}
"""What stored bytes may turn out to be, by the name under which it crosses to us."""


def fold(snapshot: snapshots.Packed | None, updates: Sequence[bytes]) -> Folded:
    """Apply updates to a snapshot. Raises SnapshotDamaged, MalformedUpdate, PoisonUpdate."""
    doc: crdt.Document = pycrdt.Doc()
    if snapshot is not None:
        crdt.apply_all(doc, (snapshots.unpack(*snapshot),))
    before = crdt.decode_state_vector(doc.get_state())
    crdt.apply_all(doc, updates)
    waiting = crdt.settle(doc, updates)
    with crdt.guarded():
        state = doc.get_state()
        # May leave out what waits; those rows stay in the journal.
        full = doc.get_update()
    after = crdt.decode_state_vector(state)
    wrote = tuple(sorted(client for client in after if after[client] > before.get(client, 0)))
    return Folded(snapshots.pack(full), waiting, wrote)


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
