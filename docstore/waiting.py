"""Updates that wait for others: kept as they came, applied as soon as what they need is there.

A kept update is applied in parts if it has to be: what is ready of it never waits for the rest.
Pure: bytes and documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from docstore import crdt, halves, numbers, readiness
from docstore import outline as outlines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from uuid import UUID

    from docstore.outline import Outline


_MANY: Final = 16
"""Clients whose clocks are looked up one by one in a state vector."""


class Waiting:
    """An update of which something waits for updates that have not come."""

    __slots__ = ("author", "outline", "row", "update")

    def __init__(
        self,
        update: bytes,
        *,
        author: UUID | None = None,
        row: int | None = None,
        outline: Outline | None = None,
    ) -> None:
        """`row`: its number in the journal, if it was read from there.

        Raises MalformedUpdate for what must not be applied at all.
        """
        self.update = update
        self.author = author
        self.row = row
        self.outline = crdt.read(update) if outline is None else outline

    def mended(self, cut: Collection[halves.Place]) -> Waiting:
        """The same without the characters that were cut in half."""
        update = halves.mend(self.update, cut)
        return self if update == self.update else Waiting(update, author=self.author, row=self.row)


class Loose(NamedTuple):
    """What became of an update that had waited, or of a part of it."""

    author: UUID | None
    update: bytes


class StuckUpdate(Exception):
    """What had become ready could not be applied; the document is to be thrown away."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__("an update that had waited cannot be applied")
        self.waiting = waiting


class CutCharacters(Exception):
    """What had become ready cuts characters in half: they must be replaced first."""

    def __init__(self, places: set[halves.Place]) -> None:
        super().__init__("an update that had waited cuts characters in half")
        self.places = places


class Clocks(dict[int, int]):
    """How much a document has of each client: read from a state vector when asked, and remembered."""

    def __init__(self, state: bytes) -> None:
        super().__init__()
        self._state: bytes | None = state
        self._asked = 0

    def __missing__(self, client: int) -> int:
        state = self._state
        if state is None:
            return 0
        self._asked += 1
        if self._asked > _MANY:
            # Each question looks through all of it: from here on it is cheaper to read it once.
            known = dict(self)
            self.update(numbers.decode_state_vector(state))
            self.update(known)
            self._state = None
            return self.get(client, 0)
        clock = self[client] = numbers.clock_in(state, numbers.write_var_uint(client))
        return clock

    def begin(self, state: bytes) -> None:
        """Begin again with this state vector."""
        self.clear()
        self._state = state
        self._asked = 0


def ready(update: bytes, found: Outline, clocks: Clocks) -> tuple[bytes, bool]:
    """What a document can take of an update now, and whether that is all.

    `clocks` say afterwards what the document has once that part is applied.
    """
    upto = readiness.reached(found, clocks.__getitem__)
    part = readiness.part(update, found, upto, clocks.__getitem__)
    # Of a struct that is known in part yrs takes the rest, so it is cut there.
    cut = [
        (section.client, clocks[section.client])
        for section in found.sections
        if section.clock < clocks[section.client] < upto.clocks[section.client]
    ]
    clocks.update(upto.clocks)
    return halves.mend(part, cut) if cut else part, upto.whole


def settled(update: bytes, state: bytes = b"\x00") -> bytes:
    """Of what yrs has written what needs nothing that is neither in it nor in a document of `state`.

    A full state, or the delta of a transaction, may include some of what waits: structs behind a
    gap. Raises MalformedUpdate.
    """
    try:
        found = outlines.outline(update, lenient=True)
    except outlines.Unfit as unfit:
        raise crdt.MalformedUpdate(f"what yrs wrote {unfit}") from unfit
    return ready(update, found, Clocks(state))[0]


def must_wait(update: bytes, state: bytes) -> bool:
    """Whether yrs keeps a part of an update that it was given, in a document of this state.

    Also of one whose structs are known: yrs wants what they need all the same.
    """
    if update[:1] == b"\x00":
        return not crdt.is_integrated(update, state)
    try:
        found = outlines.outline(update)
    except outlines.Unfit:
        return True
    clocks = Clocks(state)
    return not ready(update, found, clocks)[1] or any(
        clocks[need.client] <= need.clock for section in found.sections for need in section.needs
    )


def advance(
    kept: Iterable[Waiting], state: bytes, apply: Callable[[Waiting, bytes], None]
) -> list[Waiting]:
    """Apply what has become ready, in as many rounds as help; what of `kept` waits on.

    `state` is the document's state vector, `apply` gives it a part of one that waited.
    """
    clocks = Clocks(state)
    left = list(kept)
    moved = True
    while left and moved:
        moved = False
        still: list[Waiting] = []
        for one in left:
            before = [clocks[section.client] for section in one.outline.sections]
            update, whole = ready(one.update, one.outline, clocks)
            if update != crdt.NOTHING:
                apply(one, update)
                moved |= before != [clocks[section.client] for section in one.outline.sections]
            if not whole:
                still.append(one)
        left = still
    return left


def advance_document(
    doc: crdt.Document, kept: Iterable[Waiting], middles: set[halves.Place]
) -> tuple[list[Waiting], list[Loose]]:
    """`advance` for a document that nobody watches: what waits on, and what was applied.

    Raises StuckUpdate, CutCharacters.
    """
    loose: list[Loose] = []
    emitted: list[bytes] = []

    def apply(one: Waiting, update: bytes) -> None:
        if cut := halves.cut_by(update, middles):
            raise CutCharacters(cut)
        emitted.clear()
        try:
            crdt.apply_all(doc, (update,))
            # Deletions that are done already are ready each time, and change nothing.
            for delta in emitted:
                if delta != crdt.NOTHING:
                    crdt.read(delta)
                    loose.append(Loose(one.author, delta))
        except (crdt.PoisonUpdate, crdt.MalformedUpdate) as cause:
            raise StuckUpdate(one) from cause

    subscription = doc.observe(lambda event: emitted.append(event.update))
    try:
        return advance(kept, doc.get_state(), apply), loose
    finally:
        doc.unobserve(subscription)
