"""What a merge comes to, or one commit's change done somewhere else; before anything is done.

All that has to be worked out of whole documents for it. Pure: bytes and values.

An outcome is one update for the live document, whoever edits it meanwhile, and what people are
told: where the sides are in conflict, who wrote which side when, what stands now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import pycrdt

from docstore import crdt
from docstore.history import blame, content, merge
from docstore.history import diff as diffs
from docstore.history.changes_json import conflict_json, short_change_json
from docstore.history.directory import Directory
from docstore.history.reach import reach_content
from docstore.history.summary import short
from docstore.history.threeway import applied

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from docstore.history.changes_json import Json
    from docstore.history.content import Content, Path
    from docstore.history.merge import Conflict, Side, Strategy
    from docstore.history.replay import Row
    from docstore.history.threeway import Favour

MOST_SHOWN: Final = 500
"""Conflicts that are told of, and changes of a preview; of the rest, how many there are."""


class Told(NamedTuple):
    """How a branch came to be what it is."""

    base: bytes | None
    rows: Callable[[], Sequence[Row]]
    """Gives what came after, if it is asked for."""


class Mark(NamedTuple):
    """Who wrote one side of a conflict, and when."""

    by: UUID | None
    at: datetime


class Sides(NamedTuple):
    """Who wrote what: branches by their journals, a commit by its author; None: nobody knows."""

    ours: Told | None
    theirs: Told | Mark | None


class Terms(NamedTuple):
    """How to settle what is in conflict, and what to tell."""

    client_id: int
    """Whose operations these are; one that has never written to the document."""
    resolutions: Mapping[Path, Side]
    is_preview: bool
    """Tell every change too."""


class Outcome(NamedTuple):
    """What is to be done, and what is to be said."""

    update: bytes | None
    """For the live document; None: it says, and knows, all of it already."""
    summary: str
    """What that changes, in one line."""
    told: bytes
    """In UTF-8, a JSON object: `conflicts`, how many `more`, and, of a preview, `changes` and
    `moreChanges`."""
    is_theirs: bool
    """It says then exactly what the other side says."""


def union(
    bases: Sequence[bytes],
    ours: bytes,
    theirs: bytes,
    sides: Sides,
    terms: Terms,
    strategy: Strategy,
) -> Outcome:
    """Everything of `theirs` brought into `ours`, two states of documents that share operations.

    bases: states that both sides had, of which the union counts; none: they began with nothing.
    Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep, UnknownConflict, ContentUnreachable.
    """
    doc = _document((ours,), terms.client_id)
    was, other = content.read_doc(doc), content.read(theirs)
    base = content.read_doc(_document(bases, terms.client_id))
    with crdt.guarded():
        before = doc.get_state()
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    crdt.apply_all(doc, (theirs,))
    found = merge.conflicts(base, was, other)
    merged = content.read_doc(doc)
    wanted = merge.settled(merged, found, strategy, terms.resolutions)
    if wanted != merged:
        with crdt.guarded():
            state = doc.get_update()
        settling = reach_content(state, wanted, client_id=terms.client_id)
        if settling is not None:
            crdt.apply_all(doc, (settling,))
    doc.unobserve(subscription)
    update = None
    if len(updates) == 1:
        update = updates[0]
    elif updates:
        with crdt.guarded():
            update = doc.get_update(before)
    return _outcome(update, base, was, other, wanted, found, sides, terms)


def across(
    bases: Sequence[bytes],
    ours: bytes,
    theirs: bytes,
    sides: Sides,
    terms: Terms,
    strategy: Strategy,
) -> Outcome:
    """The same of two states that share no operations: what led from the bases to `theirs`.

    Where both changed one place ours stands, unless the strategy is theirs. The bases share theirs
    with one another. Raises the same.
    """
    base = content.read_doc(_document(bases, terms.client_id))
    favour: Favour = "theirs" if strategy == "theirs" else "ours"
    return _carried(base, theirs, ours, sides, terms, favour, strategy)


def carried(
    base: bytes, theirs: bytes, ours: bytes, sides: Sides, terms: Terms, favour: Favour
) -> Outcome:
    """What leads from `base` to `theirs` done to `ours`; the three need share nothing.

    Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep, UnknownConflict, ContentUnreachable.
    """
    return _carried(content.read(base), theirs, ours, sides, terms, favour, "crdt")


def _carried(
    before: Content,
    theirs: bytes,
    ours: bytes,
    sides: Sides,
    terms: Terms,
    favour: Favour,
    strategy: Strategy,
) -> Outcome:
    other, was = content.read(theirs), content.read(ours)
    found = merge.conflicts(before, was, other)
    wanted = applied(before, other, was, favour)
    wanted = merge.settled(wanted, found, strategy, terms.resolutions)
    update = reach_content(ours, wanted, client_id=terms.client_id)
    return _outcome(update, before, was, other, wanted, found, sides, terms)


def digest_after(state: bytes, update: bytes) -> bytes:
    """The digest of what a state says once an update is applied to it. Raises as the others do."""
    doc: crdt.Document = pycrdt.Doc()
    crdt.apply_all(doc, (state, update))
    return content.digest(content.read_doc(doc))


def _document(states: Sequence[bytes], client_id: int) -> crdt.Document:
    doc: crdt.Document = pycrdt.Doc(client_id=client_id)
    crdt.apply_all(doc, states)
    return doc


# ---------------------------------------------------------------- telling


def _outcome(
    update: bytes | None,
    base: Content,
    ours: Content,
    theirs: Content,
    wanted: Content,
    found: Sequence[Conflict],
    sides: Sides,
    terms: Terms,
) -> Outcome:
    shown = found[:MOST_SHOWN]
    names = Directory(ours, theirs, base)
    mine, other = (_Writers(side, shown) for side in sides)
    told: Json = {
        "conflicts": [
            conflict_json(each, merge.stands(each, wanted), names)
            | {
                "ourChange": mine.of(each.path),
                "theirChange": other.of(each.path),
            }
            for each in shown
        ],
        "more": len(found) - len(shown),
    }
    changed = diffs.diff(ours, wanted)
    if terms.is_preview:
        told["changes"] = [short_change_json(each) for each in changed.changes[:MOST_SHOWN]]
        told["moreChanges"] = max(0, len(changed.changes) - MOST_SHOWN)
    return Outcome(update, short(changed), msgspec.json.encode(told), wanted == theirs)


class _Writers:
    """Who wrote one side of each conflict."""

    def __init__(self, side: Told | Mark | None, shown: Collection[Conflict]) -> None:
        self._mark = side if isinstance(side, Mark) else None
        self._touches: Mapping[Path, blame.Touch] = {}
        if isinstance(side, Told) and shown:
            above = {each.path[:length] for each in shown for length in _lengths(each.path)}
            self._touches = blame.blame(side.base, side.rows(), above)

    def of(self, path: Path) -> Json | None:
        """Who, and when; None: that is not known, or the side left it alone."""
        if self._mark is not None:
            return {"by": self._mark.by, "at": self._mark.at}
        for length in _lengths(path):
            touch = self._touches.get(path[:length])
            # What is above counts only where it was taken away, with all that was in it.
            if touch is not None and (length == _lengths(path)[0] or touch.removed):
                return {"by": touch.author, "at": touch.at}
        return None


def _lengths(path: Path) -> range:
    """How much of a path to look for, all of it (or as much as is known) first."""
    return range(min(len(path), blame.DEEPEST), 0, -1)
