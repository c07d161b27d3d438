"""The handshake and the farewell, as browsers say them that the npm clients are not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.rest import Account, Project

pytestmark = pytest.mark.e2e


async def test_firefox_connects_and_a_close_without_a_code_is_answered_with_one(
    server: Server, project: Project, owner: Account
) -> None:
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    request = (
        f"GET /sync/{project.room_id}?token={owner.token} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    async with asyncio.timeout(10):
        writer.write(request.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101")
        writer.write(b"\x88\x80\x00\x00\x00\x00")  # a masked close frame with nothing in it
        rest = await reader.read()
    assert rest.endswith(b"\x88\x02\x03\xe8"), "1000"
    writer.close()
    await writer.wait_closed()
