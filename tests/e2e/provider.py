"""A real OpenID Connect provider in a Node process, and somebody who fills in its forms."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from typing import TYPE_CHECKING

import anyio
import httpx
from anyio.streams.text import TextReceiveStream

from tests.e2e import node

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CLIENT_ID = "syncsphere"
CLIENT_SECRET = "a secret: with a colon & more"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def issuer(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def running(redirect: str, port: int = 0) -> AsyncGenerator[str]:
    """A provider that sends people back to `redirect`; its issuer."""
    port = port or free_port()
    command = ["node", str(node.CLIENTS / "provider.mjs"), str(port), redirect]
    async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            with anyio.fail_after(30):
                async for text in TextReceiveStream(process.stdout):
                    if "listening" in text:
                        break
                else:
                    raise AssertionError("the provider did not start")
            yield issuer(port)
        finally:
            process.kill()


async def agree(url: str, login: str, *, back_to: str) -> str:
    """Sign in at the provider as a browser does; the address that it sends the browser back to."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(url)
        for _ in range(20):
            if answer.is_redirect:
                target = str(answer.url.join(answer.headers["location"]))
                if target.startswith(back_to):
                    return target
                answer = await browser.get(target)
                continue
            assert answer.status_code == 200, answer.text
            action = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert action, answer.text
            assert prompt, answer.text
            form = {"prompt": prompt[1], "login": login, "password": "any"}
            answer = await browser.post(str(answer.url.join(action[1])), data=form)
    raise AssertionError("the provider sends the browser round and round")
