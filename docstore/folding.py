"""What a compaction computes: a snapshot and updates in, a newer snapshot out.

Pure, and made to run elsewhere: arguments and results are plain records that can be sent to
another process, because yrs holds the interpreter while it works.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pycrdt

from docstore import crdt, snapshots

if TYPE_CHECKING:
    from collections.abc import Sequence


class Folded(NamedTuple):
    """A newer snapshot, and what of the updates is not in it."""

    snapshot: snapshots.Packed
    waiting: tuple[int, ...]
    """Indexes of updates of which something waits for updates that were not there."""
    client_ids: tuple[int, ...]
    """Yjs clients that wrote something new in these updates."""


def fold(snapshot: snapshots.Packed | None, updates: Sequence[bytes]) -> Folded:
    """Apply updates to a snapshot. Raises SnapshotDamaged, MalformedUpdate, PoisonUpdate."""
    doc: crdt.Document = pycrdt.Doc()
    if snapshot is not None:
        crdt.apply_all(doc, (snapshots.unpack(*snapshot),))
    before = crdt.decode_state_vector(doc.get_state())
    crdt.apply_all(doc, updates)
    with crdt.guarded():
        state = doc.get_state()
        # May leave out what waits; those rows stay in the journal.
        full = doc.get_update()
    waiting = tuple(
        index for index, update in enumerate(updates) if not crdt.is_integrated(update, state)
    )
    after = crdt.decode_state_vector(state)
    wrote = tuple(sorted(client for client in after if after[client] > before.get(client, 0)))
    return Folded(snapshots.pack(full), waiting, wrote)


def fold_aside(snapshot: snapshots.Packed | None, updates: Sequence[bytes]) -> Folded:
    """`fold` in a process of its own, which lets the server's go first."""
    _step_back()
    return fold(snapshot, updates)


@cache
def _step_back() -> None:
    os.nice(5)
