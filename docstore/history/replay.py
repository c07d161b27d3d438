"""A document's past, told again from its journal: what it was at a moment.

Rows come as they were stored: their numbers are nearly, not quite, in the order of their times,
and some waited for others. yrs gets them in an order, and in parts if need be, in which none of
them waits (`docstore/readiness.py` says why); so a part of a row may come later than the row.
Nearly always they can come just as they are, which takes a quarter of the time; that is tried first.
Pure: bytes and values.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import pycrdt

from docstore import crdt, halves, loading, outline, readiness
from docstore.waiting import Clocks, Waiting, ready

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID


_TRANSACTION: Final = 1000
"""Rows in one transaction."""


class Row(Protocol):
    """A row of the journal, as `docstore.segments.Row`."""

    @property
    def seq(self) -> int:
        """Its number."""
        ...

    @property
    def author(self) -> UUID | None:
        """Who wrote it, if that is known."""
        ...

    @property
    def payload(self) -> bytes:
        """An update."""
        ...

    @property
    def created_at(self) -> datetime:
        """When it was stored."""
        ...


class Step(NamedTuple):
    """A row, or a part of it, at the place where it can be applied."""

    row: Row
    update: bytes


class Replay(NamedTuple):
    """How a document came to be, ready to be told again."""

    base: bytes | None
    """A full state to begin with."""
    steps: list[Step]
    """To be applied in this order; none of them waits, none is refused."""
    doc: crdt.Document
    """What comes of it."""
    missing: list[Row]
    """Rows that are not, or not entirely, in it: they wait for others, or cannot be applied."""


def replay(
    base: bytes | None,
    rows: Iterable[Row],
    fresh: Callable[[], crdt.Document] = pycrdt.Doc,
) -> Replay:
    """Put rows in an order in which they can be applied to `base`, and apply them.

    `fresh` makes an empty document; on which kind depends what can be applied.
    Raises MalformedUpdate, PoisonUpdate when the base cannot be applied, or too many of the rows.
    """
    left = sorted(rows, key=lambda row: row.seq)
    doc = fresh()
    if straight(doc, base, left):
        return Replay(base, [Step(row, row.payload) for row in left], doc, [])
    refused: list[Row] = []
    for _ in range(loading.MOST_LEFT_OUT):
        steps, missing = _schedule(base, left)
        stored = loading.prepare(base, [step.update for step in steps], ())
        built = loading.build(fresh, stored)
        out = built.left_out or built.late[:1]
        if not out:
            told = zip(steps, stored.updates, strict=True)
            again = [Step(step.row, update) for step, update in told]
            return Replay(stored.snapshot, again, built.doc, refused + missing)
        # Without these rows others may have to wait, so it begins again without them.
        bad = {steps[index].row.seq for index in out}
        refused += [row for row in left if row.seq in bad]
        left = [row for row in left if row.seq not in bad]
    raise crdt.PoisonUpdate(f"{len(refused)} rows of the journal cannot be applied")


def state_at(base: bytes | None, rows: Iterable[Row], until: datetime) -> bytes:
    """What the document was at an instant, as a full update: with all rows stored up to then.

    `base` must not be younger. Raises MalformedUpdate, PoisonUpdate.
    """
    doc = replay(base, [row for row in rows if row.created_at <= until]).doc
    with crdt.guarded():
        return doc.get_update()


# ---------------------------------------------------------------- as they are


def straight(
    doc: crdt.Document,
    base: bytes | None,
    rows: Sequence[Row],
    before: Callable[[Row], None] | None = None,
) -> bool:
    """Apply `base` and rows, in the order of their numbers, just as they are; whether that is all.

    Otherwise one of them waits for another, cannot be applied, or cuts a character in half, and the
    document is not to be used. before: called before each row, which then has its own transaction.
    """
    try:
        wide = _wide(base, rows)
        if wide is None:
            return False
        if base is not None:
            crdt.apply_all(doc, (base,))
            if not crdt.is_integrated(base, doc.get_state()):
                return False
        if before is not None:
            for row in rows:
                before(row)
                with crdt.guarded(), doc.transaction():
                    if not _taken(doc, row, wide):
                        return False
            return True
        for start in range(0, len(rows), _TRANSACTION):
            with crdt.guarded(), doc.transaction():
                for row in rows[start : start + _TRANSACTION]:
                    if not _taken(doc, row, wide):
                        return False
    except (crdt.MalformedUpdate, crdt.PoisonUpdate):
        return False
    return True


def _taken(doc: crdt.Document, row: Row, wide: Collection[int]) -> bool:
    """Apply a row; whether all of it is in, and yrs never got more after something that waits."""
    if row.seq in wide and _overlaps(row.payload, doc.get_state()):
        return False
    doc.apply_update(row.payload)
    return crdt.is_integrated(row.payload, doc.get_state())


def _overlaps(update: bytes, state: bytes) -> bool:
    """Whether something of an update is known: yrs would cut it there, perhaps in a character."""
    clocks = Clocks(state)
    sections = outline.outline(update, lenient=True).sections
    return any(section.clock < clocks[section.client] for section in sections)


def _wide(base: bytes | None, rows: Sequence[Row]) -> set[int] | None:
    """The rows with characters that could be cut in half, by number; None if one of them is."""
    wide = {row.seq for row in rows if halves.may_have(row.payload)}
    updates = [row.payload for row in rows]
    updates = updates if base is None else [base, *updates]
    held, cut = halves.survey([update for update in updates if halves.may_have(update)])
    if not held and not cut:
        return set()
    return None if cut or halves.survey(updates)[1] else wide


# ---------------------------------------------------------------- order


class _Schedule:
    """Takes rows in their order and makes steps of them, in which nothing waits."""

    def __init__(self, state: bytes) -> None:
        self.steps: list[Step] = []
        self.asleep: dict[int, tuple[Row, Waiting]] = {}
        """Rows of which something waits, by number."""
        self._clocks = Clocks(state)
        self._alarms: dict[int, list[tuple[int, int]]] = {}
        """By client, as a heap: the clock that must be passed, and the number of who waits."""

    def take(self, row: Row) -> None:
        """Take a row, and what can follow because of it. Raises MalformedUpdate."""
        due = deque([(row, Waiting(row.payload))])
        while due:
            row, one = due.popleft()
            update, whole = ready(one.update, one.outline, self._clocks)
            if not whole:
                self._sleep(row, one)
            if update != crdt.NOTHING:
                self.steps.append(Step(row, update))
                for section in one.outline.sections:
                    due.extend(self._woken_by(section.client))

    def _sleep(self, row: Row, one: Waiting) -> None:
        self.asleep[row.seq] = row, one
        for client, clock in _needs(one, self._clocks):
            heapq.heappush(self._alarms.setdefault(client, []), (clock, row.seq))

    def _woken_by(self, client: int) -> Iterator[tuple[Row, Waiting]]:
        alarms = self._alarms.get(client, [])
        while alarms and alarms[0][0] < self._clocks[client]:
            sleeper = self.asleep.pop(heapq.heappop(alarms)[1], None)
            if sleeper is not None:
                yield sleeper


def _schedule(base: bytes | None, rows: Iterable[Row]) -> tuple[list[Step], list[Row]]:
    """Steps in which no row waits; and the rows of which something is in none of them."""
    with crdt.guarded():
        schedule = _Schedule(b"\x00" if base is None else pycrdt.get_state(base))
    refused: list[Row] = []
    for row in rows:
        try:
            schedule.take(row)
        except crdt.MalformedUpdate:
            refused.append(row)
    return schedule.steps, refused + [row for row, _ in schedule.asleep.values()]


def _needs(one: Waiting, clocks: Clocks) -> list[tuple[int, int]]:
    """What a row waits for: clients, and the clock of each that must be passed to go on."""
    upto = readiness.reached(one.outline, clocks.__getitem__)
    needs: list[tuple[int, int]] = []
    for section in one.outline.sections:
        if upto.clocks[section.client] < section.clock:
            needs.append((section.client, section.clock - 1))
        elif stop := upto.stops.get(section.client):
            needs.append((stop.client, stop.clock))
    for client, clock, length in one.outline.deletions:
        known = clocks[client]
        if known < clock + length:
            needs.append((client, max(known, clock)))
    return needs
