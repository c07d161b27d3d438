"""What a document would say, had some people in some hours not done what they did.

The rows are told again to a copy that forgets nothing, and what each transaction inserted and
deleted is noted: by the chosen rows, or by the others. Then the copy's state is written again
without the former (`docstore/history/omission.py`). No UndoManager: it puts the values of a map
back in an order of its own, so that an old one may come out on top of a newer one by somebody else.

What was taken back before is in the journal twice: as what was done, and as the rollback, which put
it back in new operations. Where the two are about the same rows, both are left out: otherwise what
was deleted would come back a second time beside itself.

The outcome says what is *wanted*. Its update is not for other replicas: `reach` brings a live
document there by ordinary operations.
Pure: bytes and values.
"""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

import pycrdt

from docstore import crdt, numbers, outline
from docstore.history import omission
from docstore.history.reach import reach
from docstore.history.replay import replay

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime
    from uuid import UUID

    from docstore.history.content import Path
    from docstore.history.replay import Replay, Row

_TRANSACTION: Final = 1000
"""Rows in one transaction."""


class Earlier(NamedTuple):
    """A rollback that was made before."""

    client_id: int
    """Whose operations did it."""
    by: UUID | None
    """Whose rows it took back; None: everybody's."""
    since: datetime | None
    """From when on; None: all."""
    until: datetime
    entities: Collection[Path] | None
    """In which places; None: everywhere."""

    def took(self, row: Row) -> bool:
        """Whether a row is one of those."""
        return (
            (self.since is None or self.since <= row.created_at)
            and row.created_at <= self.until
            and (self.by is None or row.author == self.by)
        )


def undone(
    base: bytes | None,
    rows: Iterable[Row],
    *,
    by: Collection[UUID | None] | None,
    since: datetime,
    until: datetime,
    entities: Collection[Path] | None,
    now_state: bytes,
    earlier: Sequence[Earlier] = (),
) -> bytes:
    """`now_state` without what these authors did between two instants (both included).

    `rows` are all that came after `base`, and `base` is older than `since`. `by` None is everyone;
    `entities` None is everything, otherwise nothing but these places becomes other than it is now.
    What somebody else did inside of something that is taken back goes with it. `earlier`: the
    rollbacks that are among the rows, the oldest first; what is itself taken back here is in force
    no longer. Raises MalformedUpdate, PoisonUpdate.
    """
    rows = list(rows)
    out = {
        row.seq
        for row in rows
        if since <= row.created_at <= until and (by is None or row.author in by)
    }
    noted = [(made, mine) for made in earlier if (mine := _rows_of(made.client_id, rows))]
    out -= _settled(out, rows, noted, earlier, entities)
    if not out:
        return now_state
    past = replay(base, rows, _remembering)
    in_force = [each for each in noted if not any(seq in out for seq in each[1])]
    everywhere = [each for each in in_force if _covers(each[0].entities, entities)]
    out = _with_earlier(out, rows, everywhere)
    wanted = _left(past, out, now_state)
    for each in in_force:
        places = each[0].entities
        if places is not None and each not in everywhere:
            both = _with_earlier(out, rows, [each])
            if both != out:
                wanted = _only(wanted, _left(past, both, now_state), places)
    return wanted if entities is None else _only(now_state, wanted, entities)


def _left(past: Replay, out: AbstractSet[int], now_state: bytes) -> bytes:
    """The state without these rows."""
    copy = _Copy(past.base)
    for ours, steps in groupby(past.steps, lambda step: step.row.seq in out):
        # As few transactions as possible, none of them with rows of both kinds in it.
        while updates := [step.update for step in islice(steps, _TRANSACTION)]:
            copy.apply(updates, ours=ours)
    copy.apply([now_state], ours=False)
    return copy.without_ours()


def _settled(
    out: set[int],
    rows: Sequence[Row],
    noted: Sequence[tuple[Earlier, Sequence[int]]],
    earlier: Sequence[Earlier],
    entities: Collection[Path] | None,
) -> set[int]:
    """Those of the chosen rows about which nothing is left to do: a rollback is in force for them.

    To take them back once more, and that rollback with them, would say the same, but others may
    have written beside what it put there. So they are left alone where all that is chosen from
    before it was settled by it, or by one before it. A rollback that is chosen itself is one of
    them, if all that it took back is chosen too: the two cancel each other.
    """
    of_number = {row.seq: row for row in rows}
    settled: set[int] = set()
    for made, mine in noted:
        # Those that only deleted something too: nobody finds them in the journal.
        later = earlier[earlier.index(made) + 1 :]
        if not _covers(made.entities, entities) or any(
            other.took(of_number[seq]) for other in later for seq in mine
        ):
            continue
        before = {seq for seq in out if seq < mine[0]}
        taken = {seq for seq in before if made.took(of_number[seq])}
        own = out.intersection(mine)
        if own and any(made.took(row) for row in rows if row.seq < mine[0] and row.seq not in out):
            continue
        if own.issuperset(mine if own else ()) and before <= taken | settled:
            settled |= taken | own
    return settled


def _with_earlier(
    out: AbstractSet[int], rows: Sequence[Row], made: Sequence[tuple[Earlier, Sequence[int]]]
) -> set[int]:
    """These rows, and with them those of each rollback that took back some of them."""
    found = set(out)
    left = list(made)
    while True:
        near = [each for each in left if any(each[0].took(row) for row in rows if row.seq in found)]
        if not near:
            return found
        for one, mine in near:
            found |= {row.seq for row in rows if one.took(row)}
            found |= set(mine)
        left = [each for each in left if each not in near]


def _rows_of(client_id: int, rows: Sequence[Row]) -> list[int]:
    """The rows in which a client wrote something, by number.

    None, if others wrote in them too: a row is left out whole, or not at all.
    """
    name = numbers.write_var_uint(client_id)
    found: list[int] = []
    for row in rows:
        if name in row.payload:
            # yrs, asked for the clients of an update, leaves out those that go on from before.
            sections = outline.outline(row.payload, lenient=True).sections
            if any(section.client == client_id for section in sections):
                if len(sections) > 1:
                    return []
                found.append(row.seq)
    return found


def _covers(above: Collection[Path] | None, below: Collection[Path] | None) -> bool:
    """Whether all of the one are at or in places of the other."""
    if above is None:
        return True
    return below is not None and all(
        any(path[: len(place)] == tuple(place) for place in above) for path in below
    )


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
