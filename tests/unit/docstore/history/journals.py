"""Journals of made-up work: rows as the server stores them. Not a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pycrdt import Doc, Map

from docstore.segments import Row

if TYPE_CHECKING:
    from collections.abc import Callable

ANNA, BERT, CARL = (UUID(int=0x0189 << 112 | number) for number in (1, 2, 3))

START = datetime(2026, 9, 1, 12, tzinfo=UTC)
END = START + timedelta(days=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Journal:
    """Rows, one second apart."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, author: UUID | None, payload: bytes) -> Row:
        seq = len(self.rows)
        self.rows.append(Row(seq, author, payload, at(seq)))
        return self.rows[-1]


class Desk(Journal):
    """A document at which several people work in turns: each always knows what the others did."""

    def __init__(self, base: bytes | None = None) -> None:
        super().__init__()
        self.base = base
        self._docs: dict[UUID | None, Doc[Any]] = {}

    def doc(self, author: UUID | None) -> Doc[Any]:
        """An author's copy of the document, with all that is in the journal."""
        if author not in self._docs:
            client = 100 if author is None else 100 + author.int % 10
            doc = self._docs[author] = Doc(client_id=client)
            if self.base is not None:
                doc.apply_update(self.base)
            for row in self.rows:
                doc.apply_update(row.payload)
        return self._docs[author]

    def edit(self, author: UUID | None, change: Callable[[Doc[Any]], object]) -> None:
        """What an author changes becomes a row, and everybody's."""
        doc = self.doc(author)
        emitted: list[bytes] = []
        subscription = doc.observe(lambda event: emitted.append(event.update))
        with doc.transaction():
            change(doc)
        doc.unobserve(subscription)
        for update in emitted:
            self.add(author, update)
            for other in self._docs.values():
                if other is not doc:
                    other.apply_update(update)

    @property
    def state(self) -> bytes:
        """What the document is now."""
        doc: Doc[Any] = Doc()
        if self.base is not None:
            doc.apply_update(self.base)
        for row in self.rows:
            doc.apply_update(row.payload)
        return doc.get_update()


def root(doc: Doc[Any], name: str) -> Map[Any]:
    return doc.get(name, type=Map[Any])


def apart(old: Doc[Any], change: Callable[[Doc[Any]], object], client: int) -> bytes:
    """The update of somebody who knows a document as it is, changes it, and is not heard yet."""
    doc: Doc[Any] = Doc(client_id=client)
    doc.apply_update(old.get_update())
    before = doc.get_state()
    with doc.transaction():
        change(doc)
    return doc.get_update(before)
