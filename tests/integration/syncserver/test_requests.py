"""Who connects has to say what it wants in bounded time; bodies and answers take as long as they take."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from api import errors, problems
from syncserver import http_protocol
from tests.integration.syncserver import sockets

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
HEAD = 0.3
"""Seconds for a head in these tests."""
REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def _drip(raw: sockets.Raw, text: bytes, pause: float = 0.02) -> None:
    """Byte by byte, until the server no longer takes any."""
    with suppress(ConnectionError):
        await raw.drip((bytes([byte]) for byte in text), pause=pause)


async def _slow(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """Reads the whole body, then answers with its size, taking three times as long as a head may take."""
    size, more = 0, True
    while more:
        part = await receive()
        size += len(part.get("body", b""))
        more = part.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(9):
        await anyio.sleep(HEAD / 3)
        await send({"type": "http.response.body", "body": b".", "more_body": True})
    await send({"type": "http.response.body", "body": b"%d" % size})


@pytest.mark.parametrize(
    "said", [b"", b"GET / HT", REQUEST[:-2], b"\r\n"], ids=["nothing", "a word", "a part", "a line"]
)
async def test_a_connection_that_does_not_ask_is_closed(said: bytes) -> None:
    async with (
        sockets.house(head_seconds=HEAD) as here,
        sockets.connected(here.port) as raw,
    ):
        await raw.send(said)
        assert await raw.ended() == b""


async def test_a_head_that_comes_byte_by_byte_is_given_up() -> None:
    async with (
        sockets.house(head_seconds=HEAD) as here,
        sockets.connected(here.port) as raw,
        anyio.create_task_group() as both,
    ):
        both.start_soon(_drip, raw, REQUEST[:-2] + b"X: " + b"y" * 10_000)
        with anyio.fail_after(5):
            await raw.ended()
        both.cancel_scope.cancel()


@pytest.mark.parametrize("said", [b"\r\n" * 1000, b"G" + REQUEST[1:-2] + b"X: " + b"y" * 1000])
async def test_the_second_head_on_a_connection_may_not_drip_either(said: bytes) -> None:
    async with (
        sockets.house(head_seconds=HEAD) as here,
        sockets.connected(here.port) as raw,
        anyio.create_task_group() as both,
    ):
        await raw.send(REQUEST)
        assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        both.start_soon(_drip, raw, said)
        with anyio.fail_after(5):
            await raw.ended()
        both.cancel_scope.cancel()


async def test_a_long_upload_and_a_long_answer_are_not_cut() -> None:
    async with (
        sockets.house(head_seconds=HEAD, app=_slow) as here,
        sockets.connected(here.port) as raw,
    ):
        await raw.send(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 20\r\n\r\n")
        await _drip(raw, b"x" * 20, HEAD / 10)
        # And part of the next question while the answer to the first is still coming.
        await raw.send(REQUEST[:-2])
        answer = await raw.ended()
        assert b"." in answer
        assert b"20\r\n0\r\n\r\n" in answer


async def test_a_client_that_stops_in_the_middle_of_an_upgrade_is_closed() -> None:
    async with (
        sockets.house(head_seconds=HEAD) as here,
        sockets.connected(here.port) as raw,
    ):
        await raw.send(b"GET /sync/room HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
        assert await raw.ended() == b""
        assert here.ears == []


async def test_an_upgraded_connection_may_be_silent() -> None:
    async with (
        sockets.house(head_seconds=HEAD) as here,
        sockets.connected(here.port) as raw,
        sockets.connected(here.port) as other,
    ):
        await raw.upgrade()
        # Longer than a head may take: the other connection has been given up by then, and again.
        assert await other.ended() == b""
        async with sockets.connected(here.port) as third:
            assert await third.ended() == b""
        await raw.send(sockets.frame(b"still here"))
        await sockets.until(lambda: here.ears[0].heard == [10])


@pytest.mark.parametrize(
    "said",
    [
        b"FOO\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: -1\r\n\r\n",
        REQUEST[:-2] + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"\x16\x03\x01" + bytes(MIB),
    ],
    ids=["a word", "a method", "a length", "a chunk", "TLS"],
)
async def test_what_is_not_http_gets_a_problem_like_every_other(said: bytes) -> None:
    async with (
        sockets.house(app=_slow) as here,
        sockets.connected(here.port) as raw,
    ):
        await raw.send(said)
        head, _, body = (await raw.ended()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"\r\ncontent-type: application/problem+json\r\n" in head
        assert json.loads(body) == problems.body(errors.MalformedRequest())


async def test_who_has_an_answer_and_goes_on_sending_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "LINGER_SECONDS", 0.1)
    async with (
        sockets.house() as here,
        sockets.connected(here.port) as raw,
    ):
        await raw.send(b"POST / HTTP/1.1\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n")
        assert (await raw.ended()).startswith(b"HTTP/1.1 204")
        with anyio.fail_after(5):
            await _drip(raw, bytes(10_000))
