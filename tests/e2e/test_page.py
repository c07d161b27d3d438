"""The page at `/`, in a real browser: two windows see each other edit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from tests.e2e import harness, node

if TYPE_CHECKING:
    from tests.e2e.harness import Server

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

CHROMIUM = Path("/usr/bin/chromium")
PAGE = harness.ROOT / "examples" / "page"


class Report(msgspec.Struct, rename="camel"):
    """What `clients/browser.mjs` saw."""

    complaints: list[str]
    """Exceptions and errors on the console, refusals by the content policy among them."""
    foreign: list[str]
    """Requests to any other host."""
    guest_may_edit: bool
    sideways_on_phone: bool
    """The page is wider than a phone's screen."""


@pytest.fixture(scope="session")
def page(npm_clients: None) -> None:
    """The built page; rebuilt when its source is newer."""
    del npm_clients
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: the page is not tested in a browser")
    npm = shutil.which("npm")
    assert npm is not None
    built = PAGE / "dist" / "index.html"
    sources = [
        path
        for path in (PAGE / "package-lock.json", PAGE / "index.html", *PAGE.glob("src/*"))
        if not built.exists() or path.stat().st_mtime > built.stat().st_mtime
    ]
    if not sources:
        return
    for command in ([npm, "ci", "--no-audit", "--no-fund"], [npm, "run", "build"]):
        done = subprocess.run(command, cwd=PAGE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"


async def test_two_windows_see_each_other_edit(page: None, server: Server, tmp_path: Path) -> None:
    del page
    command = ["node", str(node.CLIENTS / "browser.mjs"), server.url, str(CHROMIUM), str(tmp_path)]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == 0, done.stderr.decode()
    report = msgspec.json.decode(done.stdout, type=Report)
    assert report.complaints == []
    assert report.foreign == []
    assert not report.guest_may_edit
    assert not report.sideways_on_phone
