"""What merges come to is the same wherever it is worked out, and names people as far as it pays."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from base import ids
from docstore import segments
from docstore.errors import DocumentUnreadable
from docstore.history import content, outcomes, work
from docstore.history.joining import Mark, Outcome, Terms
from docstore.history.merge import UnknownConflict
from docstore.history.retelling import Packed
from tests.integration.docstore import histories
from tests.integration.docstore.histories import NOW, Song

ANNA, BERT = ids.new_id(), ids.new_id()


@pytest.fixture(params=["in a thread", "in a process"])
def base(request: pytest.FixtureRequest) -> bytes:
    """A small document and a large one, with a stem that all change."""
    song = Song() if request.param == "in a thread" else histories.large()
    return song.stem("bass").state


def side(base: bytes, volume: float) -> bytes:
    song = Song(base)
    song.stems["bass"]["volume"] = volume
    return song.state


def past(base: bytes, state: bytes, author: Any) -> Packed:
    rows = [segments.Row(1, author, state, NOW)]
    return Packed(base, [segments.pack(rows)], [])


def terms(**taken: Any) -> Terms:
    return Terms(9, {("stems", key, "volume"): side for key, side in taken.items()}, True)


def conflict(outcome: Outcome) -> dict[str, Any]:
    (found,) = msgspec.json.decode(outcome.told)["conflicts"]
    return found


async def test_a_merge_is_worked_out(base: bytes) -> None:
    ours, theirs = side(base, 2), side(base, 3)
    assert (len(base) > work.THREAD_BYTES) == (len(base) > 10_000)
    pasts = past(base, ours, ANNA), past(base, theirs, BERT)
    found = await outcomes.union([base], ours, theirs, pasts, terms(), "theirs")
    assert found.update is not None
    song = Song(ours)
    song.doc.apply_update(found.update)
    assert content.read(song.state) == content.read(theirs)
    told = conflict(found)
    assert (told["base"], told["ours"], told["theirs"], told["stands"]) == (1, 2, 3, "theirs")
    assert told["entity"]["name"] == "Bass"
    assert (told["ourChange"]["by"], told["theirChange"]["by"]) == (str(ANNA), str(BERT))
    with pytest.raises(UnknownConflict) as refused:
        await outcomes.union([base], ours, theirs, pasts, terms(lead="ours"), "crdt")
    assert refused.value.data == {"path": ["stems", "lead", "volume"]}


async def test_a_change_is_carried(base: bytes) -> None:
    ours, theirs = side(base, 2), side(base, 3)
    mine, mark = past(base, ours, ANNA), Mark(BERT, NOW)
    found = await outcomes.carried(base, theirs, ours, mine, mark, terms(), "ours")
    assert found.update is None
    told = conflict(found)
    assert (told["stands"], told["ourChange"]["by"]) == ("ours", str(ANNA))
    assert told["theirChange"]["by"] == str(BERT)
    found = await outcomes.carried(base, theirs, ours, mine, None, terms(), "theirs")
    assert found.update is not None
    assert conflict(found)["theirChange"] is None


async def test_of_a_very_long_past_nobody_is_named(
    base: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = side(base, 2), side(base, 3)
    whole, mark = past(base, ours, ANNA), Mark(BERT, NOW)
    monkeypatch.setattr(outcomes, "MOST_TOLD", whole.size - 1)
    found = await outcomes.carried(base, theirs, ours, whole, mark, terms(), "theirs")
    assert conflict(found)["ourChange"] is None
    assert conflict(found)["theirChange"]["by"] == str(BERT)


@pytest.mark.parametrize("size", [10, 100_000])
async def test_what_is_no_document_is_told(size: int) -> None:
    broken, nothing = b"\x01" + b"\xff" * size, b"\x00\x00"
    none = Packed(None, [], [])
    with pytest.raises(DocumentUnreadable):
        await outcomes.union([], nothing, broken, (none, none), terms(), "crdt")
    with pytest.raises(DocumentUnreadable):
        await outcomes.carried(nothing, broken, nothing, none, None, terms(), "theirs")
