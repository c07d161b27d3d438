"""The OpenAPI document against the started server: every route answers as it is described."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.rest import Account

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

CONFIG = Path(__file__).with_name("schemathesis.toml")

ENDING = (
    "sessions_logout",
    "sessions_end_others",
    "sessions_end",
    "users_close",
    "accounts_change_password",
)
"""What ends the session that asks, or changes its password: asked by nobody instead."""


def run(server: Server, *options: str) -> subprocess.CompletedProcess[str]:
    # From the environment that runs the tests, whatever the PATH says.
    program = "from schemathesis.cli import schemathesis; schemathesis()"
    return subprocess.run(
        [
            *(sys.executable, "-c", program, "--config-file", str(CONFIG), "run"),
            f"{server.url}/api/openapi.json",
            *("--checks", "all", "--max-examples", "20", "--seed", "1", "--no-color"),
            *options,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=server.data,
    )


async def test_whoever_is_signed_in_is_answered_as_described(
    server: Server, owner: Account
) -> None:
    left_out = [word for name in ENDING for word in ("--exclude-operation-id", name)]
    done = await anyio.to_thread.run_sync(
        lambda: run(server, "--header", f"Authorization: Bearer {owner.token}", *left_out)
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_whoever_is_not_signed_in_is_answered_as_described(server: Server) -> None:
    only = [word for name in ENDING for word in ("--include-operation-id", name)]
    done = await anyio.to_thread.run_sync(lambda: run(server, *only))
    assert done.returncode == 0, done.stdout + done.stderr
