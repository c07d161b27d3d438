"""What changes the document of a room: a turn's updates go through here into the document and the journal.

Decides about each update: taken, kept because it waits for others, or refused; and about a document that can no
longer be trusted. Writes to no socket but to refuse; the room tells the others.

Promises, cited in the code by number as in `room`:
2. What a client receives is what was journaled: a failed update reaches neither a peer nor the journal.
4. An update whose dependencies have not arrived is journaled as it was received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from base import clock, log, metrics
from docstore import journal, waiting
from syncserver import connection, replica
from syncserver.group import Group, Source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

_log = log.get("syncserver.intake")

_FEW: Final = 16
"""Updates that wait and are looked at in each turn that brings something new: some 50 microseconds."""

_FEW_BYTES: Final = 16 * 1024
_PACE: Final = 20
"""More than these are looked at by the tick, and no sooner than so many times as long as it took the last time."""

_PENDING_BYTES: Final = 4 * 1024 * 1024
"""What may wait in one room."""

_OFFENCES: Final = 3
_OFFENCE_SECONDS: Final = 60.0
"""So many broken documents in so short a time, and whoever comes with that account after the first is not listened to
until it has passed: each costs a reading of the whole document."""


class Journal(Protocol):
    """The part of `docstore.journal.Journal` that a room needs."""

    def append(self, entry: journal.Entry) -> int:
        """Queue for the next group commit; the ticket that will become durable."""
        ...


class Limits(NamedTuple):
    """Bounds on one room."""

    document_bytes: int
    pending_updates: int


class Changes(NamedTuple):
    """What a turn did to the document."""

    deltas: list[bytes]
    """Everything that is new, journaled, to be told."""
    sources: set[int]
    """`id` of those who know all of it; more than one, or 0, when nobody does."""
    kept: int
    """Updates that are kept because they wait for others."""


class Intake:
    """The document of a room, and the way into it.

    `suspect`: the document may be half changed; it is asked nothing more until `replace` brings a clean one.
    `rebuilds` counts the clean documents since anything was applied.
    """

    def __init__(
        self, *, document_id: int, document: replica.Replica, writer: Journal, limits: Limits
    ) -> None:
        self.document_id = document_id
        self.replica = document
        self.suspect = False
        self.rebuilds = 0
        self.last_ticket = 0
        self.rows_since_snapshot = 0
        self.bytes_since_snapshot = 0
        self.received = 0.0
        """When the first update of this turn came."""
        self._journal = writer
        self._limits = limits
        self._updates: dict[UUID | None, Group] = {}
        self._one_by_one = False
        self._unsettled = False
        self._loose: list[bytes] = []
        self._look_not_before = 0.0
        self._offences: dict[UUID | None, list[float]] = {}
        self._let_loose(document.loose)

    @property
    def waits(self) -> bool:
        """Whether there is something to apply, or to tell."""
        return bool(self._updates or self._loose)

    def submit(self, source: Source, update: bytes) -> bool:
        """An update to apply at the end of this turn; whether it is the first."""
        updates = self._updates
        group = updates.get(source.author)
        if group is not None:
            group.sources.append(source)
            group.updates.append(update)
            return False
        updates[source.author] = Group([source], [update])
        return len(updates) == 1

    def take(self) -> Changes:
        """Apply and journal everything that was submitted. Stops when the document becomes suspect."""
        deltas: list[bytes] = []
        sources: set[int] = set()
        kept = self._apply_all(deltas, sources) if self._updates else 0
        if self._loose:
            deltas += self._loose
            self._loose = []
            sources.add(0)
        return Changes(deltas, sources, kept)

    def replace(self, document: replica.Replica) -> None:
        """A clean document for the suspect one; what was left of the turn is still to be taken."""
        self.replica = document
        self.suspect = False
        for one in document.refused:
            self._blame(one.author)
        self._let_loose(document.loose)

    def tick(self, now: float) -> None:
        """Look at what waits, if there was no time for it before."""
        if self._unsettled and not self.suspect and now >= self._look_not_before:
            self.received = now
            self._settle()
            took = clock.monotonic() - now
            self._look_not_before = now + took * _PACE

    def _blame(self, author: UUID | None) -> None:
        self._offences.setdefault(author, []).append(clock.monotonic())

    def barred(self, source: Source, now: float) -> bool:
        """Whether this account has broken the document too often lately for a newcomer to be listened to.

        Whoever was there before it began goes on: a person's other windows are not to blame.
        """
        times = self._offences.get(source.author)
        if times is None:
            return False
        recent = [at for at in times if now - at < _OFFENCE_SECONDS]
        if not recent:
            del self._offences[source.author]
            return False
        self._offences[source.author] = recent
        return len(recent) >= _OFFENCES and source.since > recent[0]

    def _apply_all(self, deltas: list[bytes], sources: set[int]) -> int:
        """Every author's updates of this turn; how many of them are kept because they wait for others.

        Stops at poison, and keeps the rest for the rebuilt document.
        """
        authors, self._updates = self._updates, {}
        one_by_one, self._one_by_one = self._one_by_one, False
        kept = 0
        while authors:
            author, group = next(iter(authors.items()))
            del authors[author]
            metrics.updates_in_total.inc(len(group.updates))
            if self._offences:
                group = self._without_barred(group)
            try:
                if self._outgrows(group):
                    group = self._within_size(group)
            except replica.Poisoned as poison:
                _log.warning("poison_document", document=self.document_id, cause=str(poison))
                self.suspect = True
                self._updates = {author: group, **authors}
                return kept
            parts = [group] if group.updates else []
            if one_by_one:
                pairs = zip(group.sources, group.updates, strict=True)
                parts = [Group([source], [update]) for source, update in pairs]
            for done, part in enumerate(parts, 1):
                try:
                    kept += self._apply(author, part, deltas, sources)
                except replica.Poisoned as poison:
                    rest, offender = self._without_offender(part, poison)
                    for later in parts[done:]:
                        rest.extend(later.without(offender))
                    self._updates = {author: rest, **authors} if rest.updates else authors
                    self._one_by_one = self._one_by_one or one_by_one
                    return kept
        if deltas and self.replica.pending:
            if len(self.replica.pending) <= _FEW and self.replica.pending_bytes <= _FEW_BYTES:
                self._settle()
            else:
                self._unsettled = True
        return kept

    def _apply(
        self, author: UUID | None, group: Group, deltas: list[bytes], sources: set[int]
    ) -> int:
        """Apply updates of one author in one transaction; how many of them are kept waiting.

        Raises replica.Poisoned: then nothing of them counts (promise 2).
        """
        result = self.replica.apply(group.updates)
        for index, why in result.refused:
            refuse(group.sources[index], why)
        self.rebuilds = 0
        for delta in result.deltas:
            deltas.append(delta)
            self._write(author, delta)
        if result.deltas:
            sources.update(map(id, group.sources))
        kept = 0
        for index, one in result.waiting:
            kept += self._keep(author, group.sources[index], one)
        return kept

    def _without_offender(
        self, group: Group, poison: replica.Poisoned
    ) -> tuple[Group, Source | None]:
        """The document is suspect and not asked again; what of the group is to be applied to a clean one.

        And whose update it was, if that is known: what it sent later is not taken.
        """
        self.suspect = True
        _log.warning("poison_update", document=self.document_id, cause=str(poison))
        if poison.index is None and len(group.updates) > 1:
            # It showed only at the commit: each alone, on the clean document, tells whose it was.
            self._one_by_one = True
            return group, None
        offender = group.sources[poison.index or 0]
        self._blame(offender.author)
        refuse(offender, connection.POISON)
        first = poison.index or 0
        before = group.only(lambda index: index < first)
        before.extend(group.only(lambda index: index > first).without(offender))
        return before, offender

    def _write(self, author: UUID | None, payload: bytes, *, waiting: bool = False) -> None:
        self.last_ticket = self._journal.append(
            journal.Entry(
                self.document_id, author, payload, self.received or clock.monotonic(), waiting
            )
        )
        self.rows_since_snapshot += 1
        self.bytes_since_snapshot += len(payload)

    def _keep(self, author: UUID | None, source: Source, one: waiting.Waiting) -> int:
        """Promise 4, within bounds: an update that waits for what it builds upon; 1 if it is kept."""
        pending = self.replica.pending
        if any(one.update == other.update for other in pending):
            return 1  # a client that reconnects sends again what it knows to be waiting
        full = self.replica.pending_bytes + len(one.update) > _PENDING_BYTES
        if len(pending) >= self._limits.pending_updates or full:
            refuse(source, connection.PENDING_FULL)
            return 0
        one.author = author
        pending.append(one)
        self._write(author, one.update, waiting=True)
        return 1

    def _settle(self) -> None:
        """Something new came while others waited: what comes loose is journaled and told like any change.

        Looking costs time in proportion to what waits: with more than a few it is done by the tick.
        """
        self._unsettled = False
        try:
            loose = self.replica.settle()
        except replica.Poisoned as poison:
            # One that waited cannot be applied. The rebuilt document is without it; nobody else is to blame.
            _log.warning("poison_update", document=self.document_id, cause=str(poison))
            self.suspect = True
            return
        self._let_loose(loose)

    def _let_loose(self, loose: Iterable[waiting.Loose]) -> None:
        for author, update in loose:
            self._write(author, update)
            self._loose.append(update)

    def _without_barred(self, group: Group) -> Group:
        now = clock.monotonic()
        barred = [self.barred(source, now) for source in group.sources]
        for source, out in zip(group.sources, barred, strict=True):
            if out:
                refuse(source, connection.BARRED)
        return group.only(lambda index: not barred[index])

    def _outgrows(self, group: Group) -> bool:
        return self.replica.occupied + sum(map(len, group.updates)) > self._limits.document_bytes

    def _within_size(self, group: Group) -> Group:
        self.replica.full()  # corrects the estimate
        fits: list[bool] = []
        size = self.replica.occupied
        for source, update in zip(group.sources, group.updates, strict=True):
            fits.append(size + len(update) <= self._limits.document_bytes)
            if fits[-1]:
                size += len(update)
            else:
                refuse(source, connection.DOCUMENT_FULL)
        return group.only(fits.__getitem__)


def refuse(source: Source, why: connection.Refusal) -> None:
    """Tell whoever sent an update that it was not taken."""
    metrics.rejected_updates_total.labels(why.name).inc()
    source.refuse(why)
