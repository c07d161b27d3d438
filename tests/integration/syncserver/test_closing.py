"""How a WebSocket ends, whoever begins: the room knows at once, and nothing is written behind the close frame."""

from __future__ import annotations

import asyncio
import itertools

import anyio
import pytest
from pycrdt import Doc, Text

from syncserver.testing import Stage
from syncserver.wire import yjs
from tests.integration.syncserver import sockets
from tests.integration.syncserver.sockets import CLOSE, CONTINUATION, TEXT

GOODBYE = sockets.frame((1000).to_bytes(2, "big"), CLOSE)
UNMASKED = b"\x82\x01x"
UNFINISHED = sockets.head(1, fin=False) + b"x"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(sockets.frame(b"hello", TEXT), 4400, id="text"),
        pytest.param(UNFINISHED + sockets.frame(b"x"), 4400, id="fragments out of order"),
        pytest.param(sockets.frame(b"x", CONTINUATION), 4400, id="no first fragment"),
        pytest.param(UNMASKED, 1002, id="no mask"),
        pytest.param(sockets.head(20 * sockets.MIB), 4413, id="too large"),
        pytest.param(GOODBYE, 1000, id="the client closes"),
    ],
)
async def test_a_client_is_out_of_its_room_with_the_close_frame_and_nothing_follows_it(
    said: bytes, code: int
) -> None:
    stage = Stage()
    async with (
        sockets.session_house() as (here, opened),
        sockets.connected(here.port) as leaver,
        sockets.connected(here.port) as writer,
    ):
        for count, raw in enumerate((leaver, writer), start=1):
            await raw.upgrade()
            await sockets.until(lambda: len(opened) == count)  # noqa: B023 (waited for here)
            opened[-1].enter(stage.room, sockets.somebody())
            await raw.frame()
        assert len(stage.room.clients) == 2
        await leaver.send(said)
        closed = await leaver.frame()
        assert closed.kind == CLOSE
        assert int.from_bytes(closed.body[:2], "big") == code
        assert [one.client.id for one in opened] == list(stage.room.clients) == [1]
        await writer.send(sockets.frame(yjs.update(_edit())))
        await sockets.until(lambda: len(stage.journal.entries) == 1)
        if said != GOODBYE:
            await leaver.send(GOODBYE)
        assert await leaver.ended() == b""


async def test_a_peer_that_only_goes_on_talking_after_the_close_frame_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("syncserver.transport._CLOSE_SECONDS", 0.2)
    async with sockets.house() as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        with pytest.raises(ConnectionError):
            await raw.drip(itertools.repeat(sockets.frame(b"hello", TEXT)), pause=0.005)


async def test_a_server_that_stops_says_so_and_tells_the_listeners_at_once() -> None:
    async with sockets.house(grace=10) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        ear = await here.ear()
        stopping = asyncio.ensure_future(here.stop())
        closed = await raw.frame()
        assert int.from_bytes(closed.body[:2], "big") == 1012
        assert ear.gone
        await raw.send(GOODBYE)
        assert await raw.ended() == b""
        await stopping


async def test_a_server_that_stops_does_not_wait_for_whom_it_turned_away() -> None:
    async with sockets.house(grace=10) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        await raw.send(sockets.head(20 * sockets.MIB))
        await sockets.until(lambda: len(here.ears) == 1 and here.ears[0].gone)
        with anyio.fail_after(5):
            await here.stop()


def _edit() -> bytes:
    doc = Doc[Text]()
    doc["text"] = Text("la")
    return doc.get_update()
