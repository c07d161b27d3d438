"""Fixtures of the end-to-end tests: npm packages, a shared server, Node clients, accounts.

Tests that kill or stop the server start one of their own (`own_server`); all others share one for
the session, each in a project of its own.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e import harness, node, rest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.e2e.harness import Server
    from tests.e2e.node import Driver
    from tests.e2e.rest import Account, Project, Rest


@pytest.fixture(scope="session")
def npm_clients() -> None:
    """Install the pinned clients once; without npm the tests that need them are skipped."""
    install_clients()


def install_clients() -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm is not installed: the tests with stock Yjs clients cannot run")
    lock = node.CLIENTS / "package-lock.json"
    stamp = node.CLIENTS / "node_modules" / ".package-lock.json"
    if stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = [npm, "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=node.CLIENTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"npm ci failed:\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Server, None]:
    """The session's server. Whatever a test sends it, it has to serve the next one."""
    async with harness.running(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
async def own_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Server, None]:
    """A server that the test may stop and kill."""
    async with harness.running(tmp_path_factory.mktemp("own")) as started:
        yield started


@pytest.fixture
async def api(server: Server) -> AsyncGenerator[Rest, None]:
    async with rest.Rest(server.url) as client:
        yield client


@pytest.fixture
async def owner(api: Rest) -> Account:
    return await api.account("owner")


@pytest.fixture
async def project(api: Rest, owner: Account) -> Project:
    """A fresh private project of `owner`."""
    return await api.project(owner)


@pytest.fixture
async def yjs(npm_clients: None) -> AsyncGenerator[Driver, None]:
    """A Node process for the test's stock clients."""
    del npm_clients
    async with node.driver() as started:
        yield started
