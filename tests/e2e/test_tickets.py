"""The lines of docs/protocol.md that keep a stock client going with tickets, run as they are written."""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.e2e import harness, node
from tests.integration.syncserver.process import process

if TYPE_CHECKING:
    from anyio.abc import Process

    from base.db import Database
    from base.redis import Redis

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("npm_clients")]

PAGE: Final = harness.ROOT / "docs" / "protocol.md"
AROUND: Final = """
    import {{ createInterface }} from 'node:readline'
    import WebSocket from 'ws'
    import {{ WebsocketProvider }} from 'y-websocket'
    import * as Y from 'yjs'

    globalThis.WebSocket = WebSocket
    const doc = new Y.Doc()
    const project = {{ roomId: process.argv[1] }}
    const asked = []
    const ticket = () => new Promise((resolve) => {{ asked.push(resolve); console.log('ticket') }})
    const ended = (code, reason) => console.log(`ended ${{code}} ${{reason}}`)
    const failed = (error) => {{ throw error }}
    createInterface({{ input: process.stdin }}).on('line', (line) => {{
      if (line === 'drop') provider.ws.close()
      else asked.shift()(line)
    }})
    {lines}
    provider.on('sync', (synced) => {{ if (synced) console.log('synced') }})
    provider.on('closed', ({{ reason }}) => console.log(`closed ${{reason}}`))
"""
MINUTES: Final = timedelta(minutes=2)
"""Longer than a ticket is good for."""


def script(port: int) -> str:
    blocks = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    [lines] = [block for block in blocks if "await ticket()" in block]
    return AROUND.format(lines=lines.replace("wss://music.example", f"ws://127.0.0.1:{port}"))


class Page:
    """The script: says what happens to it a line at a time, and is told tickets."""

    def __init__(self, running: Process) -> None:
        assert running.stdin is not None
        assert running.stdout is not None
        self._in = running.stdin
        self._out = BufferedByteReceiveStream(running.stdout)

    async def tell(self, line: str) -> None:
        await self._in.send(f"{line}\n".encode())

    async def hear(self, *lines: str) -> None:
        """These come next, in whatever order."""
        with anyio.fail_after(node.DEADLINE_MS / 1000):
            said = [(await self._out.receive_until(b"\n", 1000)).decode() for _ in lines]
        assert sorted(said) == sorted(lines)


async def test_a_client_that_asks_for_a_ticket_each_time_outlives_all_of_them(
    database: Database, redis: Redis
) -> None:
    async with process(database, redis) as here:
        ann = await here.somebody()
        song = await here.song(ann)
        who = await here.parts.identities.identify(ann.token)

        def ticket() -> str:
            return here.parts.identities.ticket(who, song.id, None).token

        command = ["node", "--input-type=module", "-e", script(here.port), song.room_id]
        async with await anyio.open_process(
            command, cwd=node.CLIENTS, stdin=subprocess.PIPE, stderr=None
        ) as running:
            try:
                page = Page(running)
                # The first one comes too late.
                await page.hear("ticket")
                late = ticket()
                here.ahead = MINUTES
                await page.tell(late)
                await page.hear("ticket", "ticket", "closed token_expired")
                await page.tell(ticket())
                await page.tell(ticket())
                await page.hear("synced")
                # The network fails, and the next ticket is slower than the provider.
                here.ahead += MINUTES
                await page.tell("drop")
                await page.hear("ticket")
                await page.hear("ticket", "ticket", "closed token_expired")
                for _ in range(3):
                    await page.tell(ticket())
                await page.hear("synced")
                # What has really ended stays so.
                await here.parts.identities.end(ann.id, ann.signed.session_id)
                await page.hear("ticket", "ended 4401 session_ended", "closed session_ended")
            finally:
                running.kill()
