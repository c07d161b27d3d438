"""What a socket costs and what it says, whatever its peer does: refusals, memory, pings, reasons not to read."""

from __future__ import annotations

import gc
import itertools
import sys
import weakref
from contextlib import AsyncExitStack

import anyio
import psutil
import pytest

from syncserver import connection, transport
from syncserver.client import Hold
from syncserver.testing import Stage
from syncserver.wire import frames, yjs
from tests.integration.syncserver import sockets
from tests.integration.syncserver.sockets import KIB, MIB, PING, PONG

# -- a frame that is too large --------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
async def test_a_peer_that_sends_on_after_a_frame_that_is_too_large_reads_4413(known: bool) -> None:
    async with sockets.house(known=known) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        await raw.send(sockets.head(20 * MIB))
        # Slower than the 10 ms after which picows gives up; each piece would meet a socket closed long ago.
        for _ in range(20):
            await raw.send(*([bytes(16 * KIB)] * 64))
            await anyio.sleep(0.002)
        code, reason = await raw.closed()
        assert code == 4413
        assert str(16 * MIB) in reason
        await sockets.until(lambda: here.ears[0].gone)


async def test_what_came_before_a_frame_that_is_too_large_is_still_heard() -> None:
    async with sockets.house() as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        await raw.send(sockets.frame(b"one") + sockets.frame(b"three") + sockets.head(20 * MIB))
        assert (await raw.closed())[0] == 4413
        assert here.ears[0].heard == [3, 5]


async def test_a_peer_that_was_turned_away_and_never_stops_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("syncserver.upgrade._LINGER_SECONDS", 0.2)
    async with sockets.house() as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        await raw.send(sockets.head(20 * MIB))
        with pytest.raises(ConnectionError):
            await raw.drip(itertools.repeat(b"x"), pause=0.005)


async def test_a_fragmented_message_that_is_too_large_ends_with_4413_too() -> None:
    options = sockets.OPTIONS._replace(frame_bytes=100 * KIB)
    async with sockets.house(options=options) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        await raw.send(sockets.head(60 * KIB, fin=False), bytes(60 * KIB))
        for _ in range(100):
            await raw.send(sockets.head(60 * KIB, kind=0, fin=False), bytes(60 * KIB))
        assert (await raw.closed())[0] == 4413


# -- before anybody knows who it is ---------------------------------------------------------------------------------


async def test_a_stranger_who_sends_one_large_frame_is_told_1013_and_costs_no_more_than_allowed() -> (
    None
):
    async with sockets.house(known=False) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        await raw.send(sockets.head(15 * MIB))
        for _ in range(15):
            await raw.send(*([bytes(16 * KIB)] * 64))
        assert await raw.closed() == connection.TOO_EARLY
        assert here.ears[0].heard == []


async def test_once_admitted_a_large_frame_is_taken_even_when_it_began_before() -> None:
    async with sockets.house(known=False) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        ear = await here.ear()
        await raw.send(sockets.head(15 * MIB), bytes(MIB // 2))
        assert ear.socket is not None
        ear.socket.admitted()
        await raw.send(bytes(15 * MIB - MIB // 2))
        await sockets.until(lambda: ear.heard == [15 * MIB])


# -- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="memory is given back on Linux only")
async def test_a_connection_gives_the_memory_of_a_large_frame_back() -> None:
    process = psutil.Process()
    async with sockets.house() as here:
        # Other allocations of this size come and go; after the first ones they are no news.
        used = 0
        async with AsyncExitStack() as stack:
            for number in range(8):
                raw = await stack.enter_async_context(sockets.connected(here.port))
                await raw.upgrade()
                await raw.send(sockets.head(15 * MIB), *([bytes(MIB)] * 15))
                ear = await here.ear(number)
                await sockets.until(lambda: ear.heard == [15 * MIB])  # noqa: B023 (waited for here)
                used = used or process.memory_info().rss
                await raw.send(sockets.frame(b"still", PING))
                assert await raw.frame() == (PONG, b"still")
            assert process.memory_info().rss - used < 30 * MIB


@pytest.mark.parametrize("how", ["closes", "vanishes", "is refused"])
async def test_a_connection_that_is_gone_is_freed_without_the_collector(how: str) -> None:
    async with sockets.house() as here:
        gone: list[weakref.ref[object]] = []
        gc.collect()
        gc.disable()
        try:
            async with sockets.connected(here.port) as raw:
                await raw.upgrade()
                await here.ear()
                gone = [weakref.ref(each) for each in _everything()]
                assert len(gone) == 3
                if how == "closes":
                    await raw.send(sockets.frame(b"\x03\xe8", sockets.CLOSE))
                    assert (await raw.closed())[0] == 1000
                elif how == "is refused":
                    await raw.send(sockets.head(20 * MIB), bytes(MIB))
                    assert (await raw.closed())[0] == 4413
            await sockets.until(lambda: here.ears[0].gone)
            await sockets.until(lambda: [each() for each in gone] == [None] * 3)
        finally:
            gc.enable()


async def test_a_session_that_is_over_is_freed_with_its_socket() -> None:
    async with sockets.session_house() as (here, opened):
        gc.collect()
        gc.disable()
        try:
            async with sockets.connected(here.port) as raw:
                await raw.upgrade()
                await sockets.until(lambda: len(opened) == 1)
                stage = Stage()
                opened[0].enter(stage.room, sockets.somebody())
                await raw.send(sockets.frame(yjs.step1(b"\x00")))
                assert (await raw.frame()).kind == sockets.BINARY
                gone = [weakref.ref(each) for each in (*_everything(), opened[0])]
                assert len(gone) == 4
            await sockets.until(lambda: [each() for each in gone] == [None] * 4)
        finally:
            gc.enable()


def _everything() -> list[object]:
    """The socket, picows' protocol and its transport; uvicorn's protocol would be the fourth."""
    kinds = ("Socket", "Upgrade", "WSTransport", "Http")
    return [each for each in gc.get_objects() if type(each).__name__ in kinds]


# -- pings ----------------------------------------------------------------------------------------------------------


async def test_pongs_for_a_peer_that_does_not_read_are_bounded() -> None:
    options = sockets.OPTIONS._replace(outbox_bytes=128 * KIB)
    async with (
        sockets.session_house(options) as (here, opened),
        sockets.connected(here.port, window=4 * KIB) as raw,
    ):
        await raw.upgrade()
        await sockets.until(lambda: len(opened) == 1)
        opened[0].enter(Stage().room, sockets.somebody())
        wire = opened[0].client.wire
        before = 0

        async def flood() -> None:
            while True:
                await raw.send(sockets.frame(bytes(125), PING) * 400)

        with anyio.fail_after(sockets.WITHIN):
            async with anyio.create_task_group() as both:
                both.start_soon(flood)
                # Until it no longer grows: what the peer sends stays in the kernels from then on.
                still = 0
                while still < 50:
                    await anyio.sleep(0.005)
                    now = wire.buffered()
                    still = still + 1 if now and now == before else 0
                    before = now
                both.cancel_scope.cancel()
        assert 128 * KIB < before <= (128 + 64) * KIB


async def test_a_ping_is_answered_and_counts_as_a_sign_of_life() -> None:
    async with sockets.house() as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        socket = (await here.ear()).socket
        assert socket is not None
        socket.heard()
        assert not socket.heard()
        await raw.send(sockets.frame(b"still", PING))
        assert await raw.frame() == (PONG, b"still")
        assert socket.heard()


async def test_a_stranger_who_floods_with_pings_is_turned_away() -> None:
    async with sockets.house(known=False) as here, sockets.connected(here.port) as raw:
        await raw.upgrade()
        for _ in range(20):
            await raw.send(sockets.frame(bytes(125), PING) * 500)
        assert await raw.closed() == connection.TOO_EARLY


# -- reasons not to read ----------------------------------------------------------------------------------------------


async def test_a_socket_is_read_again_only_when_the_last_reason_is_gone() -> None:
    async with (
        sockets.house() as here,
        sockets.connected(here.port) as held,
        sockets.connected(here.port) as other,
    ):
        await held.upgrade()
        ear = await here.ear()
        await other.upgrade()
        socket = ear.socket
        assert socket is not None
        socket.hold(Hold.JOURNAL)
        socket.hold(Hold.BEHIND)
        socket.hold(Hold.BEHIND)
        await held.send(sockets.frame(b"hello"))
        for released in (Hold.BEHIND, Hold.ADMISSION):
            socket.release(released)
            # What was readable before would have been read before this.
            for _ in range(3):
                await other.send(sockets.frame(b"", PING))
                assert (await other.frame()).kind == PONG
            assert ear.heard == []
        socket.release(Hold.JOURNAL)
        await sockets.until(lambda: ear.heard == [5])


async def test_admission_lets_a_client_speak_that_waited_with_too_many_frames() -> None:
    limits = connection.Limits(preauth_frames=3, preauth_bytes=MIB)
    async with (
        sockets.session_house(limits=limits) as (here, opened),
        sockets.connected(here.port) as raw,
    ):
        await raw.upgrade()
        await sockets.until(lambda: len(opened) == 1)
        one = opened[0]
        await raw.send(sockets.frame(yjs.step1(b"\x00")) * 3)
        socket = one.client.wire
        assert isinstance(socket, transport.Socket)
        await sockets.until(lambda: Hold.ADMISSION in socket.held)
        # The journal falls behind meanwhile: being admitted is no reason to read on.
        socket.hold(Hold.JOURNAL)
        one.enter(Stage().room, sockets.somebody())
        assert socket.held == Hold.JOURNAL
        socket.release(Hold.JOURNAL)
        await raw.send(sockets.frame(yjs.step1(b"\x00")))
        assert (await raw.frame()).kind == sockets.BINARY


async def test_a_client_that_reads_what_it_had_is_not_read_while_the_journal_is_behind() -> None:
    options = sockets.OPTIONS._replace(outbox_bytes=64 * KIB)
    async with (
        sockets.session_house(options) as (here, opened),
        sockets.connected(here.port, window=4 * KIB) as raw,
    ):
        await raw.upgrade()
        await sockets.until(lambda: len(opened) == 1)
        one = opened[0]
        one.enter(Stage().room, sockets.somebody())
        socket = one.client.wire
        assert isinstance(socket, transport.Socket)
        while Hold.BEHIND not in socket.held:
            socket.write(frames.binary(bytes(32 * KIB)))
        socket.hold(Hold.JOURNAL)
        while Hold.BEHIND in socket.held:
            await raw.frame()
        assert socket.held == Hold.JOURNAL


async def test_a_client_that_fell_behind_before_it_was_admitted_enters_as_one_that_is_behind() -> (
    None
):
    async with (
        sockets.session_house() as (here, opened),
        sockets.connected(here.port) as raw,
    ):
        await raw.upgrade()
        await sockets.until(lambda: len(opened) == 1)
        one = opened[0]
        one.full()
        one.enter(Stage().room, sockets.somebody())
        assert one.client.behind is not None
        one.drained()
        await raw.send(sockets.frame(yjs.step1(b"\x00")))
        assert (await raw.frame()).kind == sockets.BINARY
