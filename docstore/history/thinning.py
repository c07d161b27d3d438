"""The detail of a journal given up: what one author did within one hour becomes one row. Pure.

Promise: told again up to any full hour, and up to now, the document is what it was before. What
lies in between, and who typed which letter first within the hour, is no longer known.

Rollbacks know what they took back by its times, and are known by their operations: no row is joined
across the beginning or the end of one, and theirs stay by themselves.

Rows are not joined as they were stored: some repeat others, some wait for others. The past is told
once in the order of its times, and what each row added to the document is joined. Where that cannot
be done exactly, a row stays as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pycrdt

from docstore import crdt, halves, outline
from docstore.history import replay, retention
from docstore.numbers import write_var_uint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from docstore.history.rollback import Earlier


class Thin(NamedTuple):
    """A row as it is to be kept."""

    seq: int
    author: UUID | None
    payload: bytes
    created_at: datetime


class Part(NamedTuple):
    """A part of a past, thinned, and what the next one begins with."""

    rows: list[Thin]
    state: bytes
    """The document at its end, with all that was deleted, as one full update."""
    waiting: list[replay.Row]
    """Rows that are not, or not entirely, in that."""


class _Added(NamedTuple):
    """What a row, or a part of it, added to the document."""

    row: replay.Row
    update: bytes
    outline: outline.Outline


def thin(
    base: bytes | None,
    rows: Sequence[replay.Row],
    chosen: Collection[int],
    rollbacks: Sequence[Earlier] = (),
) -> list[Thin]:
    """What takes the place of the rows whose numbers are chosen, by number.

    rows: all of the document up to the youngest that is chosen, or more. A new row has the number
    and the time of the last that went into it. rollbacks: all of the document.
    Raises MalformedUpdate, PoisonUpdate for a past that cannot be told.
    """
    return _thin(_told(base, rows), chosen, rollbacks)


def part(
    base: bytes | None,
    rows: Sequence[replay.Row],
    chosen: Collection[int],
    rollbacks: Sequence[Earlier] = (),
) -> Part:
    """The same for a part of a long past, from one instant (`base`) to another, and how to go on.

    rows: all of that time, and those that were waiting when it began. Raises as `thin` does.
    """
    told = _told(base, rows)
    with crdt.guarded():
        state = told.replay.doc.get_update()
    waiting = [told.ordered[row.seq] for row in told.replay.missing]
    return Part(_thin(told, chosen, rollbacks) if chosen else [], state, waiting)


class _Told(NamedTuple):
    base: bytes | None
    ordered: Sequence[replay.Row]
    """By time, with the numbers that they were stored with."""
    numbered: Sequence[Thin]
    """The same, with their places there for numbers."""
    replay: replay.Replay
    """Of the latter."""


def _told(base: bytes | None, rows: Sequence[replay.Row]) -> _Told:
    ordered = sorted(rows, key=lambda row: (row.created_at, row.seq))
    # By time: whoever asks for a moment gets what was stored until then, whatever its number.
    numbered = [Thin(at, row.author, row.payload, row.created_at) for at, row in enumerate(ordered)]
    return _Told(base, ordered, numbered, replay.replay(base, numbered, fresh=_keeping))


def _thin(past: _Told, chosen: Collection[int], rollbacks: Sequence[Earlier]) -> list[Thin]:
    base, ordered, numbered, told = past
    stay = {row.seq for row in told.missing} | _late(told.steps) | _cut(base, numbered)
    added = list(_added(told, stay))
    bounds = _bounds(rollbacks)
    clients = {each.client_id for each in rollbacks}
    groups: dict[tuple[UUID | None, datetime, int], list[_Added]] = {}
    for one in added:
        row = ordered[one.row.seq]
        if row.seq in chosen and one.row.seq not in stay:
            # Those of a rollback are a group of their own, by a number that no span has.
            is_rollback = any(section.client in clients for section in one.outline.sections)
            span = -row.seq - 1 if is_rollback else bisect_right(bounds, row.created_at)
            key = (row.author, retention.hour_of(row.created_at), span)
            groups.setdefault(key, []).append(one)
    thinned = [
        Thin(row.seq, row.author, row.payload, row.created_at)
        for at, row in enumerate(ordered)
        if at in stay and row.seq in chosen
    ]
    for (author, _, _), parts in groups.items():
        parts.sort(key=lambda part: part.row.seq)
        for joined in _joined(parts):
            last = max((ordered[part.row.seq] for part in joined.parts), key=lambda row: row.seq)
            latest = max(ordered[part.row.seq].created_at for part in joined.parts)
            thinned.append(Thin(last.seq, author, joined.update, latest))
    return sorted(thinned, key=lambda row: row.seq)


def _bounds(rollbacks: Sequence[Earlier]) -> list[datetime]:
    """Instants at which what one rollback took back begins, or has ended."""
    begins = {each.since for each in rollbacks if each.since is not None}
    ends = {each.until + timedelta.resolution for each in rollbacks}
    return sorted(begins | ends)


def _keeping() -> crdt.Document:
    """A document that lets go of nothing, so that what was added is what was sent."""
    return pycrdt.Doc(skip_gc=True)


def _late(steps: Sequence[replay.Step]) -> set[int]:
    """Rows that waited for younger ones, or something of them.

    What they did to others when their time had come (a value took another's place) must not be
    done before.
    """
    late: set[int] = set()
    last = -1
    for row, _ in steps:
        if row.seq <= last:
            late.add(row.seq)
        last = max(last, row.seq)
    return late


def _cut(base: bytes | None, rows: Sequence[replay.Row]) -> set[int]:
    """Rows with characters that are cut in half later: they show as a whole until then."""
    states = [] if base is None else [base]
    _, cut = halves.survey([*states, *(row.payload for row in rows)])
    if not cut:
        return set()
    found: set[int] = set()
    for row in rows:
        try:
            if halves.mend(row.payload, cut) != row.payload:
                found.add(row.seq)
        except outline.Unfit:
            found.add(row.seq)
    return found


def _added(told: replay.Replay, stay: set[int]) -> Iterator[_Added]:
    """What each step adds. Rows of which that cannot be read as Yjs would write it are to stay."""
    doc = _keeping()
    if told.base is not None:
        crdt.apply_all(doc, (told.base,))
    emitted: list[bytes] = []
    subscription = doc.observe(lambda event: emitted.append(event.update))
    for row, update in told.steps:
        emitted.clear()
        crdt.apply_all(doc, (update,))
        for delta in emitted:
            try:
                found = crdt.read(delta)
            except crdt.MalformedUpdate:
                stay.add(row.seq)
            else:
                yield _Added(row, delta, found)
    doc.unobserve(subscription)


class _Joined:
    """Updates of one author in one hour, as one: each client's structs without a gap."""

    def __init__(self) -> None:
        self.parts: list[_Added] = []
        self._sections: dict[int, tuple[int, int, int, list[bytes]]] = {}
        """By client: first clock, the one behind the last, how many structs, their bytes."""
        self._deletions: dict[int, list[tuple[int, int]]] = {}

    def take(self, part: _Added) -> bool:
        """Add an update; False, and nothing is done, where it does not follow."""
        for section in part.outline.sections:
            if section.client in self._sections:
                _, end, _, _ = self._sections[section.client]
                if section.clock != end:
                    return False
        for section in part.outline.sections:
            first, _, structs, pieces = self._sections.get(
                section.client, (section.clock, 0, 0, [])
            )
            pieces.append(part.update[section.start : section.stop])
            self._sections[section.client] = first, section.end, structs + section.structs, pieces
        for client, clock, length in part.outline.deletions:
            self._deletions.setdefault(client, []).append((clock, clock + length))
        self.parts.append(part)
        return True

    @property
    def update(self) -> bytes:
        out = [write_var_uint(len(self._sections))]
        # Yjs writes the greatest client first.
        for client, (clock, _, structs, pieces) in sorted(self._sections.items(), reverse=True):
            out += (write_var_uint(structs), write_var_uint(client), write_var_uint(clock), *pieces)
        out.append(write_var_uint(len(self._deletions)))
        for client, ranges in sorted(self._deletions.items(), reverse=True):
            whole = _merged(ranges)
            out += (write_var_uint(client), write_var_uint(len(whole)))
            for start, end in whole:
                out += (write_var_uint(start), write_var_uint(end - start))
        return b"".join(out)


def _joined(parts: Sequence[_Added]) -> list[_Joined]:
    """As few as there can be without gaps."""
    done: list[_Joined] = []
    for part in parts:
        if not done or not done[-1].take(part):
            fresh = _Joined()
            fresh.take(part)
            done.append(fresh)
    return done


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    whole: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(end, whole[-1][1])
        else:
            whole.append((start, end))
    return whole
