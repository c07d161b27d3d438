"""syncserver.wire.frames: WebSocket frames as another implementation reads them."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, State
from websockets.protocol import Protocol as Peer

from syncserver.wire import frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_a_client_reads_the_payload_back_at_every_length_form(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    peer = Peer(CLIENT, state=State.OPEN, max_size=None)
    peer.receive_data(frames.binary(payload) + frames.binary(b"next"))
    first, second = peer.events_received()
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert (first.opcode, bytes(first.data), first.fin) == (Opcode.BINARY, payload, True)
    assert bytes(second.data) == b"next"


def test_a_reason_is_cut_at_a_characters_edge() -> None:
    assert frames.reason("plain") == b"plain"
    cut = frames.reason("ö" * 100)
    assert len(cut) == 122
    assert cut.decode() == "ö" * 61
