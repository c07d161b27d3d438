"""The load generator counts exactly: whatever a server merges, splits or loses."""

from __future__ import annotations

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load import dialects, frames, yjs
from benchmarks.load.inbox import Inbox


def from_server(message: bytes) -> bytes:
    """One unmasked frame."""
    size = len(message)
    if size < 126:
        return bytes((frames.BINARY, size)) + message
    if size < 65536:
        return bytes((frames.BINARY, 126)) + size.to_bytes(2, "big") + message
    return bytes((frames.BINARY, 127)) + size.to_bytes(8, "big") + message


def merged(updates: list[bytes], batch: int) -> list[bytes]:
    """What a server emits that applies `batch` updates in one transaction."""
    document: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    emitted: list[bytes] = []
    subscription = document.observe(lambda event: emitted.append(event.update))
    for first in range(0, len(updates), batch):
        with document.transaction():
            for update in updates[first : first + batch]:
                document.apply_update(update)
    document.unobserve(subscription)
    return emitted


@pytest.mark.parametrize("batch", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("width", [8, 100])
def test_every_marker_is_counted_however_the_server_merges(batch: int, width: int) -> None:
    writer = yjs.MarkedWriter(3, width=width)
    emitted = merged([writer.update(n) for n in range(2100)], batch)
    inbox = Inbox(0, width)
    arrived = 0
    for update in emitted:
        for number, first, stop in inbox.feed(from_server(dialects.y_websocket().update(update))):
            assert number == 3
            assert first == arrived
            arrived = stop
    assert arrived == 2100
    assert inbox.complete({3: 2100})


def test_updates_of_several_writers_in_one_frame_are_told_apart() -> None:
    writers = [yjs.MarkedWriter(n) for n in range(3)]
    updates = [writer.update(n) for n in range(50) for writer in writers]
    inbox = Inbox(0)
    for update in merged(updates, 150):
        inbox.feed(from_server(dialects.y_websocket().update(update)))
    assert inbox.next == {0: 50, 1: 50, 2: 50}


@pytest.mark.parametrize("lost", [0, 1, 57, 1024])
def test_a_lost_update_shows(lost: int) -> None:
    writer = yjs.MarkedWriter(0)
    inbox = Inbox(0)
    for n in range(1100):
        if n != lost:
            inbox.feed(from_server(dialects.y_websocket().update(writer.update(n))))
    assert inbox.missing({0: 1100}) == 1
    inbox.feed(from_server(dialects.y_websocket().update(writer.update(lost))))
    assert inbox.complete({0: 1100})


@given(st.lists(st.integers(1, 400), min_size=1))
def test_pieces_of_any_size_make_the_same_frames(sizes: list[int]) -> None:
    dialect = dialects.hocuspocus("room")
    writer = yjs.MarkedWriter(0)
    stream = b"".join(from_server(dialect.update(writer.update(n))) for n in range(40))
    stream += bytes((frames.CLOSE, 6)) + (1013).to_bytes(2, "big") + b"slow"
    inbox = Inbox(len(dialect.prefix))
    at = turn = 0
    while at < len(stream):
        piece = stream[at : at + sizes[turn % len(sizes)]]
        inbox.feed(piece)
        at += len(piece)
        turn += 1
    assert inbox.complete({0: 40})
    assert inbox.closed == (1013, "slow")


def test_a_large_document_is_valid_and_has_its_size() -> None:
    document: pycrdt.Doc[pycrdt.Map[str]] = pycrdt.Doc()
    updates = yjs.many_entries(2500, 80, per_update=1000)
    for update in updates:
        document.apply_update(update)
    regions = document.get("regions", type=pycrdt.Map)
    assert len(regions) == 2500
    assert len(regions["00000042"]) == 80
    assert (
        sum(found.stop - found.start for found in yjs.scan(document.get_update()).structs) == 2500
    )
