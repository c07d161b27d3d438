"""The examples run as they are written."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.e2e import harness

if TYPE_CHECKING:
    from tests.e2e.harness import Server

pytestmark = pytest.mark.e2e


async def test_the_rest_client_posts_an_update_and_reads_it_back(server: Server) -> None:
    example = harness.ROOT / "examples" / "rest_client.py"
    done = await anyio.run_process(
        [sys.executable, str(example), server.url], stderr=subprocess.STDOUT, check=False
    )
    told = done.stdout.decode()
    assert done.returncode == 0, told
    assert "'durable': True" in told
    # As it was written: whole numbers stay whole.
    assert '"tempo": 96' in told
    assert "96.0" not in told
    assert "Slower than yesterday." in told
