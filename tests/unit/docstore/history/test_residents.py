"""What is kept between commits, what is asked for again, and that it is let go."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pycrdt
import pytest

from docstore import crdt
from docstore.errors import DocumentUnreadable, SnapshotDamaged
from docstore.history import chain, content, diff, residents, summary

if TYPE_CHECKING:
    from docstore.history.living import Living


class Room:
    """A live document, and the asking for its commits."""

    def __init__(self, document_id: int, stems: int = 3) -> None:
        self.document_id = document_id
        self.incarnation = 1
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self.stems = self.doc.get("stems", type=pycrdt.Map)
        for number in range(stems):
            self.stems[str(number)] = pycrdt.Map({"name": f"Stem {number}"})
        self.sent: bytes | None = None

    def ask(self, **changes: Any) -> residents.Ask:
        """The whole document the first time, then what is new."""
        asked: dict[str, Any] = {
            "document_id": self.document_id,
            "incarnation": self.incarnation,
            "whole": self.sent is None,
            "update": self.doc.get_update(self.sent or b"\0"),
            "state_vector": self.doc.get_state(),
            "before": None,
            "base": None,
            "anyway": False,
        }
        self.sent = self.doc.get_state()
        return residents.Ask(**(asked | changes))


def made(kept: residents.Residents, ask: residents.Ask) -> tuple[residents.Made, chain.Packed]:
    answer = kept.answer(ask)
    assert isinstance(answer, residents.Made)
    assert answer.packed is not None
    return answer, answer.packed


def test_a_commit_and_the_next() -> None:
    kept, room = residents.Residents(), Room(1)
    first, whole = made(kept, room.ask())
    was = content.read(chain.unpack([whole]))
    room.stems["1"]["name"] = "Bass"
    del room.stems["2"]
    second, part = made(kept, room.ask(before=first.content_sha256, base=whole.sha256))
    now = content.read(chain.unpack([whole, part] if not part.whole else [part]))
    assert now == content.read_doc(room.doc)
    assert second.content_sha256 == content.digest(now)
    assert second.changes == summary.numbers(diff.diff(was, now))
    assert kept.answer(room.ask(before=second.content_sha256)) == residents.Made(
        second.content_sha256, {}, None
    )
    again, _ = made(kept, room.ask(before=second.content_sha256, anyway=True))
    assert again.changes["summary"] == "nothing changed"


def test_what_is_not_here_is_asked_for_and_nothing_is_done() -> None:
    kept, room = residents.Residents(), Room(1)
    room.sent = b"\0"
    nothing = residents.Missing(document=True, before=True, base=True)
    assert kept.answer(room.ask(before=b"1" * 32, base=b"2" * 32)) == nothing
    room.sent = None
    first, whole = made(kept, room.ask())
    room.stems["9"] = 9
    sent = room.sent
    asked = room.ask(before=b"1" * 32, base=whole.sha256)
    missing = residents.Missing(document=False, before=True, base=False)
    assert kept.answer(asked) == missing
    room.sent = sent
    second, _ = made(kept, room.ask(before=first.content_sha256, base=whole.sha256))
    assert second.changes["counts"]


def test_what_was_asked_for_is_taken_as_it_was_stored() -> None:
    other, room = residents.Residents(), Room(1)
    first, whole = made(other, room.ask())
    kept = residents.Residents()
    room.stems["9"] = 9
    room.sent = None
    asked = {"before": first.content_sha256, "base": whole.sha256}
    second, part = made(kept, room.ask(**asked, before_chain=[whole], base_chain=[whole]))
    assert second.changes["summary"] == "1 stem added"
    assert content.read(chain.unpack([whole, part] if not part.whole else [part])) == (
        content.read_doc(room.doc)
    )
    room.sent = None
    torn = whole._replace(body=whole.body[:-1])
    with pytest.raises(SnapshotDamaged):
        residents.Residents().answer(room.ask(**asked, before_chain=[torn], base_chain=[whole]))


def test_another_incarnation_is_another_document() -> None:
    kept, room = residents.Residents(), Room(1)
    first, _ = made(kept, room.ask())
    fresh = Room(1, stems=1)
    fresh.incarnation = 2
    fresh.sent = b"\0"
    missing = kept.answer(fresh.ask(before=first.content_sha256))
    assert missing == residents.Missing(document=True, before=False, base=False)
    fresh.sent = None
    second, _ = made(kept, fresh.ask(before=first.content_sha256))
    assert second.content_sha256 == content.digest(content.read_doc(fresh.doc))


def test_a_document_that_lacks_something_is_not_believed() -> None:
    kept, room = residents.Residents(), Room(1)
    first, _ = made(kept, room.ask())
    room.stems["8"] = 8
    room.ask()  # lost on the way
    room.stems["9"] = 9
    missing = residents.Missing(document=True, before=False, base=False)
    assert kept.answer(room.ask(before=first.content_sha256)) == missing
    room.sent = None
    with pytest.raises(DocumentUnreadable):
        kept.answer(room.ask(state_vector=b"\x01\x07\x07"))


def test_the_least_used_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residents, "MOST_DOCUMENTS", 2)
    kept, rooms = residents.Residents(), [Room(number) for number in range(3)]
    gone: list[weakref.ref[Living]] = []
    for room in rooms:
        made(kept, room.ask())
        gone.append(weakref.ref(kept._documents[room.document_id].living))
    assert list(kept._documents) == [1, 2]
    gc.collect()
    assert gone[0]() is None, "yrs still holds what watches it"
    assert gone[1]() is not None
    monkeypatch.setattr(residents, "STATES_BYTES", 10)
    made(kept, rooms[2].ask(anyway=True))
    assert len(kept._states) == 1
    monkeypatch.setattr(residents, "DOCUMENTS_BYTES", 10)
    made(kept, rooms[2].ask(anyway=True))
    assert not kept._documents


def test_a_broken_document_is_let_go() -> None:
    kept, room = residents.Residents(), Room(1)
    made(kept, room.ask())
    with pytest.raises(DocumentUnreadable) as caught:
        kept.answer(room.ask(update=b"\x01\x01"))
    assert isinstance(caught.value.__cause__, crdt.MalformedUpdate)
    assert not kept._documents
