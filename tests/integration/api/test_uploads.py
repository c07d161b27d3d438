"""Bodies that are too large, over a real socket: refused cleanly and never kept."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
import uvicorn

from api import app
from syncserver import http_protocol

from .rest import refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from .rest import Rest

MIB = 1024 * 1024


@pytest.fixture
async def server(rest: Rest) -> AsyncGenerator[str]:
    """The application on a port of this machine; its address."""
    config = uvicorn.Config(
        app.build(rest.services),
        lifespan="off",
        log_config=None,
        ws="none",
        http=http_protocol.protocol_class(10.0),
    )
    running = uvicorn.Server(config)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        async with anyio.create_task_group() as group:
            group.start_soon(running.serve, [listening])
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            running.should_exit = True


async def chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // MIB):
        yield b"x" * MIB


@pytest.mark.parametrize("announced", [True, False])
async def test_fifty_megabytes_are_refused_and_the_connection_lives_on(
    rest: Rest, server: str, announced: bool
) -> None:
    anna = await rest.person()
    project = await anna.project()
    headers = {"Content-Length": str(50 * MIB)} if announced else {}
    async with httpx.AsyncClient(base_url=server, timeout=30) as client:
        anna.client = client
        path = f"/api/projects/{project['id']}/updates"
        response = await anna("POST", path, content=chunks(50 * MIB), headers=headers)
        refused(response, 413, "body_too_large")
        assert (await anna("GET", "/api/projects")).status_code == 200
    assert rest.rooms.applied == []


async def test_a_client_that_leaves_in_the_middle_harms_nobody(rest: Rest, server: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    host, port = server.removeprefix("http://").split(":")
    head = (
        f"POST /api/projects/{project['id']}/updates HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {anna.token}\r\nContent-Length: 1000\r\n\r\nonly this"
    )
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(head.encode())
    async with httpx.AsyncClient(base_url=server) as client:
        assert (await client.get("/api/health")).status_code == 200
    assert rest.rooms.applied == []


async def _posted(address: httpx.URL, head: str, size: int) -> bytes:
    """What comes back for a body of which everything is sent before anything is read."""
    assert address.host
    assert address.port
    async with await anyio.connect_tcp(address.host, address.port) as stream:
        await stream.send(head.encode() + b"\r\n")
        for _ in range(size // MIB):
            await stream.send(b"x" * MIB)
        answer = b""
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                answer += await stream.receive()
        return answer


@pytest.mark.parametrize(
    ("token", "status", "code"), [(None, 413, "body_too_large"), ("x.y.z", 401, "token_invalid")]
)
async def test_who_wants_no_second_answer_still_gets_the_first(
    rest: Rest, server: str, token: str | None, status: int, code: str
) -> None:
    anna = await rest.person()
    project = await anna.project()
    head = (
        f"POST /api/projects/{project['id']}/updates HTTP/1.1\r\nHost: here\r\n"
        f"Authorization: Bearer {token or anna.token}\r\nConnection: close\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {17 * MIB}\r\n"
    )
    with anyio.fail_after(30):
        answer = await _posted(httpx.URL(server), head, 17 * MIB)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert code.encode() in answer
