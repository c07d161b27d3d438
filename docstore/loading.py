"""A document made of what is stored of it: a snapshot, the updates since, and those that wait.

A document must open. What cannot be applied any more is left out, and named, so that the rest can
be had; it stays where it is stored. Pure: bytes and documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from docstore import crdt, halves, outline, screening, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MANY_TYPES: Final = 100_000
"""From so many shared types on they are counted, which takes 2 microseconds for each struct."""

MOST_LEFT_OUT: Final = 20
"""Applied updates that may be left out of a document before it counts as damaged."""


class Stored(NamedTuple):
    """What is stored of a document, ready for `build`."""

    snapshot: bytes | None
    """A full state."""
    updates: Sequence[bytes]
    """What was applied since, in that order."""
    kept: Sequence[waiting.Waiting]
    """What could not be applied yet, or not entirely."""
    middles: set[halves.Place]
    """Where its characters could be cut in half."""
    types: int = 0
    """Shared types that were made in it, if they are many; no more than these."""


def prepare(
    snapshot: bytes | None, updates: Sequence[bytes], kept: Sequence[waiting.Waiting]
) -> Stored:
    """Mend what is stored where characters were cut in half; see `docstore/halves.py`.

    No yrs in it: it may be done in a thread, which is kind where it takes long (2 microseconds for
    each struct of a document with such characters, next to nothing for others).
    """
    states = () if snapshot is None else (snapshot,)
    middles, cut = halves.survey([*states, *updates])
    if cut:
        snapshot = None if snapshot is None else _mended(snapshot, cut)
        updates = [_mended(update, cut) for update in updates]
    return Stored(snapshot, updates, kept, middles, _types([*states, *updates]))


def _mended(update: bytes, cut: set[halves.Place]) -> bytes:
    try:
        return halves.mend(update, cut)
    except outline.Unfit:
        return update  # whether it can be applied is not for us to say


def _types(updates: Sequence[bytes]) -> int:
    """How many shared types these make, at most: exact where it matters."""
    guessed = sum(map(screening.most_types, updates))
    if guessed < _MANY_TYPES:
        return guessed
    counted = 0
    for update in updates:
        try:
            counted += outline.outline(update, lenient=True).types
        except outline.Unfit:
            counted += screening.most_types(update)
    return counted


class Built(NamedTuple):
    """A document, and what of the stored updates is not, or not entirely, in it."""

    doc: crdt.Document
    waiting: list[waiting.Waiting]
    """Those that wait on."""
    refused: list[waiting.Waiting]
    """Those that cannot be applied although nothing is missing."""
    left_out: list[int]
    """Indexes of updates that were applied once, and cannot be applied any more."""
    late: list[int]
    """Indexes of updates that were applied once, and wait now: what they need is gone."""
    middles: set[halves.Place]
    """Where its characters could be cut in half."""
    loose: list[waiting.Loose]
    """What had been kept and is in the document now. Nobody has been told of it."""


def build(fresh: Callable[[], crdt.Document], stored: Stored) -> Built:
    """Apply the snapshot, the updates in their order, and what is ready of those that were kept.

    `fresh` makes an empty document; its last one is the result. Raises PoisonUpdate or
    MalformedUpdate when the snapshot cannot be applied, or too many of the updates.
    """
    snapshot, updates = stored.snapshot, stored.updates
    left_out: list[int] = []
    doc = _together(fresh, snapshot, updates, left_out)
    made: dict[waiting.Waiting, int] = {}
    early = _first_that_waits(doc, updates, left_out)
    if early is not None:
        # yrs holds a part of it, and may not be given more. It was stored as applied: something
        # that it needs is gone. So it waits now, and what comes after it is looked at closely.
        for index in range(early, len(updates)):
            if index not in left_out:
                try:
                    made[waiting.Waiting(updates[index])] = index
                except crdt.MalformedUpdate:
                    left_out.append(index)
        doc = _together(fresh, snapshot, updates[:early], left_out)
    built = _with_kept(fresh, doc, [*made, *stored.kept], set(stored.middles))
    left_out += [made[one] for one in built.refused if one in made]
    return built._replace(
        refused=[one for one in built.refused if one not in made],
        left_out=left_out,
        late=[made[one] for one in built.waiting if one in made],
    )


def _together(
    fresh: Callable[[], crdt.Document],
    snapshot: bytes | None,
    updates: Sequence[bytes],
    left_out: list[int],
) -> crdt.Document:
    """All at once if that is possible; those that fail are added to `left_out`."""
    doc = fresh()
    whole = [update for index, update in enumerate(updates) if index not in left_out]
    try:
        crdt.apply_all(doc, whole if snapshot is None else [snapshot, *whole])
    except (crdt.PoisonUpdate, crdt.MalformedUpdate):
        return _singly(fresh, snapshot, updates, left_out)
    return doc


def _singly(
    fresh: Callable[[], crdt.Document],
    snapshot: bytes | None,
    updates: Sequence[bytes],
    left_out: list[int],
) -> crdt.Document:
    """Each update in a transaction of its own, as it once was, without those that fail.

    yrs may fail on updates together that it took one by one.
    """
    while True:
        doc = fresh()
        if snapshot is not None:
            crdt.apply_all(doc, [snapshot])
        index = 0
        try:
            for index, update in enumerate(updates):
                if index not in left_out:
                    crdt.apply_all(doc, [update])
        except (crdt.PoisonUpdate, crdt.MalformedUpdate):
            if len(left_out) >= MOST_LEFT_OUT:
                raise
            left_out.append(index)
            continue
        return doc


def _first_that_waits(
    doc: crdt.Document, updates: Sequence[bytes], left_out: Sequence[int]
) -> int | None:
    with crdt.guarded():
        state = doc.get_state()
        for index, update in enumerate(updates):
            if index not in left_out and not crdt.is_integrated(update, state):
                return index
    return None


def _with_kept(
    fresh: Callable[[], crdt.Document],
    doc: crdt.Document,
    late: list[waiting.Waiting],
    middles: set[halves.Place],
) -> Built:
    refused: list[waiting.Waiting] = []
    if not late:
        return Built(doc, [], refused, [], [], middles, [])
    with crdt.guarded():
        full = doc.get_update()
    while True:
        before = set(middles)
        try:
            still, loose = waiting.advance_document(doc, late, middles)
        except waiting.StuckUpdate as stuck:
            refused.append(stuck.waiting)
            late = [one for one in late if one is not stuck.waiting]
        except waiting.CutCharacters as cut:
            full = halves.mend(full, cut.places)
            late = [one.mended(cut.places) for one in late]
            before -= cut.places
        else:
            return Built(doc, still, refused, [], [], middles, loose)
        middles = before
        doc = fresh()
        crdt.apply_all(doc, [full])
