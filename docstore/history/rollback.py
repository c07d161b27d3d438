"""What a document would say, had some people in some hours not done what they did.

The rows are told again to a copy that forgets nothing, and what each transaction inserted and
deleted is noted: by the chosen rows, or by the others. Then the copy's state is written again
without the former (`docstore/history/omission.py`). No UndoManager: it puts the values of a map
back in an order of its own, so that an old one may come out on top of a newer one by somebody else.

The outcome says what is *wanted*. Its update is not for other replicas: `reach` brings a live
document there by ordinary operations.
Pure: bytes and values.
"""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import pycrdt

from docstore import crdt, numbers, outline
from docstore.history import omission
from docstore.history.reach import reach
from docstore.history.replay import replay

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from uuid import UUID

    from docstore.history.content import Path
    from docstore.history.replay import Row

_TRANSACTION: Final = 1000
"""Rows in one transaction."""


def undone(
    base: bytes | None,
    rows: Iterable[Row],
    *,
    by: Collection[UUID | None] | None,
    since: datetime,
    until: datetime,
    entities: Collection[Path] | None,
    now_state: bytes,
) -> bytes:
    """`now_state` without what these authors did between two instants (both included).

    `rows` are all that came after `base`, and `base` is older than `since`. `by` None is everyone;
    `entities` None is everything, otherwise nothing but these places becomes other than it is now.
    What somebody else did inside of something that is taken back goes with it.
    Raises MalformedUpdate, PoisonUpdate.
    """

    def chosen(row: Row) -> bool:
        return since <= row.created_at <= until and (by is None or row.author in by)

    past = replay(base, rows, _remembering)
    copy = _Copy(past.base)
    for ours, steps in groupby(past.steps, lambda step: chosen(step.row)):
        # As few transactions as possible, none of them with rows of both kinds in it.
        while updates := [step.update for step in islice(steps, _TRANSACTION)]:
            copy.apply(updates, ours=ours)
    copy.apply([now_state], ours=False)
    wanted = copy.without_ours()
    return wanted if entities is None else _only(now_state, wanted, entities)


def _remembering() -> crdt.Document:
    return pycrdt.Doc(skip_gc=True)


class _Change(Protocol):
    """What yrs says of a transaction, beside its update."""

    before_state: bytes
    after_state: bytes
    delete_set: bytes


class _Copy:
    """A document that collects nothing, and knows what became of it by the chosen rows."""

    def __init__(self, base: bytes | None) -> None:
        self._doc = _remembering()
        if base is not None:
            crdt.apply_all(self._doc, (base,))
        self._inserted: list[tuple[int, int, int]] = []
        self._deleted: list[tuple[int, int, int]] = []
        self._taken_by_others: list[tuple[int, int, int]] = []

    def apply(self, updates: list[bytes], *, ours: bool) -> None:
        """Apply updates of the chosen rows, or of others."""
        if not ours and not self._inserted and not self._deleted:
            crdt.apply_all(self._doc, updates)  # from before the first of ours
            return
        changes: list[tuple[bytes, bytes, bytes]] = []

        def listen(event: object) -> None:
            change = cast("_Change", event)
            changes.append((change.before_state, change.after_state, change.delete_set))

        subscription = self._doc.observe(listen)
        try:
            crdt.apply_all(self._doc, updates)
        finally:
            self._doc.unobserve(subscription)
        for before, after, gone in changes:
            deleted = crdt.delete_ranges(gone)
            if ours:
                self._inserted += _growth(before, after)
                self._deleted += deleted
            else:
                # What went without anybody saying so had come too late: into something that one
                # of ours had deleted, or under a key that one of ours had set. It comes back.
                said = omission.Ranges(_said(updates))
                self._deleted += omission.Ranges(deleted) - said
                self._taken_by_others += deleted

    def without_ours(self) -> bytes:
        """The state as if the chosen rows had not been."""
        with crdt.guarded():
            state = self._doc.get_update()
        if not self._inserted and not self._deleted:
            return state
        return omission.without(
            state,
            omission.Ranges(self._inserted),
            omission.Ranges(self._deleted),
            omission.Ranges(self._taken_by_others),
        )


def _growth(before: bytes, after: bytes) -> list[tuple[int, int, int]]:
    old = numbers.decode_state_vector(before)
    return [
        (client, old.get(client, 0), clock - old.get(client, 0))
        for client, clock in numbers.decode_state_vector(after).items()
        if clock > old.get(client, 0)
    ]


def _said(updates: list[bytes]) -> list[tuple[int, int, int]]:
    """What these updates themselves say to be deleted."""
    return [
        deletion
        for update in updates
        for deletion in outline.outline(update, lenient=True).deletions
    ]


def _only(now_state: bytes, wanted: bytes, entities: Collection[Path]) -> bytes:
    """`now_state` with these places as they are in `wanted`."""
    client = pycrdt.Doc[Any]().client_id
    update = reach(now_state, wanted, client_id=client, only=entities)
    if update is None:
        return now_state
    doc: crdt.Document = pycrdt.Doc()
    crdt.apply_all(doc, (now_state, update))
    with crdt.guarded():
        return doc.get_update()
