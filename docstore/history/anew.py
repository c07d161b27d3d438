"""Documents begun anew: the same content, without what was deleted and without who wrote what. Pure.

Each is told by operations of its own, as one that writes its content into an empty document. No two
of them share any: what one of them never had, it must not seem to have deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pycrdt

from docstore import crdt, loading, waiting
from docstore.history import content, reach

if TYPE_CHECKING:
    from collections.abc import Sequence


class Old(NamedTuple):
    """What is stored of a document's present."""

    snapshot: bytes | None
    tail: Sequence[bytes]
    waiting: Sequence[bytes]


class Opened(NamedTuple):
    """A document as a room would open it."""

    state: bytes
    """As one full update, without what waits."""
    clients: set[int]
    """Yjs clients that wrote something of it, or of what waits."""


def opened(old: Old) -> Opened:
    """Raises MalformedUpdate, PoisonUpdate for what cannot be opened."""
    kept = [one for update in old.waiting if (one := _waiting(update)) is not None]
    built = loading.build(pycrdt.Doc, loading.prepare(old.snapshot, old.tail, kept))
    with crdt.guarded():
        clients = set(crdt.decode_state_vector(built.doc.get_state()))
        state = built.doc.get_update()
    for one in (*kept, *built.waiting):
        clients.update(section.client for section in one.outline.sections)
    return Opened(state, clients)


def begin(state: bytes, client: int) -> bytes:
    """A document that says what this one says. Raises ContentUnreachable.

    client: who writes it, and never wrote to any other document of the project.
    """
    update = reach.reach_content(crdt.NOTHING, content.read(state), client_id=client)
    if update is None:
        return crdt.NOTHING
    doc: crdt.Document = pycrdt.Doc()
    crdt.apply_all(doc, (update,))
    with crdt.guarded():
        return doc.get_update()


def _waiting(update: bytes) -> waiting.Waiting | None:
    try:
        return waiting.Waiting(update)
    except crdt.MalformedUpdate:
        return None
