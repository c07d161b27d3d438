"""The contents of two states of one document, and where they can differ. Pure.

Of a state and one that came of it only the first is read whole; of the other, what was touched on
the way. States of two branches, which each have what the other has not, are both read whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from docstore import crdt
from docstore.history import content
from docstore.history.living import Living, Touched, opened

if TYPE_CHECKING:
    from docstore.history.content import Content


class Both(NamedTuple):
    """Two contents."""

    before: Content
    after: Content
    within: Touched | None
    """Nothing else differs; None: not known. As `diff.diff` takes it."""


def read(before: bytes, after: bytes) -> Both:
    """Two full states. Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep."""
    first, second = opened(before), opened(after)
    with crdt.guarded():
        turned = _is_older(second, first)
    older, newer = (second, first) if turned else (first, second)
    living = Living(older)
    try:
        was = living.known.content
        with crdt.guarded():
            update = newer.get_update(living.state_vector)
        now, within = living.apply(update).content, living.touched
        with crdt.guarded():
            same = _is_same(living.doc, newer)
    finally:
        living.close()
    if not same:
        now, within = content.read_doc(newer), None
    return Both(now, was, within) if turned else Both(was, now, within)


def _clocks(doc: crdt.Document) -> dict[int, int]:
    return crdt.decode_state_vector(doc.get_state())


def _is_older(one: crdt.Document, other: crdt.Document) -> bool:
    """Whether one can have become the other, rather than the other way round."""
    mine, theirs = _clocks(one), _clocks(other)
    if mine == theirs:  # something was only deleted
        return len(_deleted(one)) < len(_deleted(other))
    return all(clock <= theirs.get(client, 0) for client, clock in mine.items())


def _is_same(one: crdt.Document, other: crdt.Document) -> bool:
    """Whether two documents hold the same, and not only what one wrote after the other."""
    if _clocks(one) != _clocks(other):
        return False
    mine, theirs = _deleted(one), _deleted(other)
    return mine == theirs or _ranges(mine) == _ranges(theirs)


def _deleted(doc: crdt.Document) -> bytes:
    """All deletions, as an update."""
    return doc.get_update(doc.get_state())


def _ranges(update: bytes) -> list[tuple[int, int, int]]:
    """The same as client, from, to; neighbours are one."""
    found: list[tuple[int, int, int]] = []
    for client, clock, length in sorted(crdt.delete_ranges(update, 1)):
        if found and found[-1][0] == client and found[-1][2] == clock:
            found[-1] = client, found[-1][1], clock + length
        else:
            found.append((client, clock, clock + length))
    return found
