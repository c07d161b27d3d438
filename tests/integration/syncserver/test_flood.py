"""Who says more than a socket may is read no faster: nothing is lost, and nobody is thrown out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base import clock, metrics
from tests.integration.syncserver import sockets

if TYPE_CHECKING:
    import pytest


async def test_who_sends_too_many_messages_is_read_no_faster_and_loses_none() -> None:
    options = sockets.OPTIONS._replace(frames_per_second=200)
    before = _slowed("frames")
    async with sockets.house(options=options) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        ear = await here.ear()
        # Twenty seconds' worth at once, then half a second's more.
        await raw.send(sockets.frame(b"x") * 4000)
        await sockets.until(lambda: len(ear.heard) == 4000)
        assert ear.socket is not None
        assert not ear.socket.held
        started = clock.monotonic()
        await raw.send(sockets.frame(b"y", sockets.PING) * 100)
        await sockets.until(lambda: ear.socket is not None and bool(ear.socket.held))
        await raw.send(sockets.frame(b"x"))
        await sockets.until(lambda: len(ear.heard) == 4001)
        assert clock.monotonic() - started > 0.3
        assert _slowed("frames") == before + 1


async def test_who_sends_too_many_bytes_is_read_no_faster_and_loses_none() -> None:
    options = sockets.OPTIONS._replace(bytes_per_second=sockets.MIB)
    before = _slowed("bytes")
    async with sockets.house(options=options) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        ear = await here.ear()
        await raw.send(*[sockets.frame(bytes(sockets.MIB))] * 20)
        started = clock.monotonic()
        await raw.send(sockets.frame(bytes(sockets.MIB // 2)), sockets.frame(b"x"))
        await sockets.until(lambda: len(ear.heard) == 22)
        assert clock.monotonic() - started > 0.2
        assert _slowed("bytes") > before


async def test_who_is_held_back_can_still_be_thrown_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncserver.transport._CLOSE_SECONDS", 0.2)
    options = sockets.OPTIONS._replace(frames_per_second=1)
    async with sockets.house(options=options) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        ear = await here.ear()
        await raw.send(sockets.frame(b"x") * 500)
        await sockets.until(lambda: ear.socket is not None and bool(ear.socket.held))
        assert ear.socket is not None
        ear.socket.close(4403, "out")
        assert await raw.frame() == sockets.Frame(sockets.CLOSE, (4403).to_bytes(2, "big") + b"out")
        raw.writer.transport.abort()
        await sockets.until(lambda: ear.gone)


def _slowed(limit: str) -> float:
    name = "syncsphere_sockets_slowed_total"
    return metrics.REGISTRY.get_sample_value(name, {"limit": limit}) or 0.0
