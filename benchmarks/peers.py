"""Puts the peers in place: `npm ci` in `benchmarks/peers`, only when something has changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
INSTALLED = PEERS / "node_modules" / ".package-lock.json"


def missing_tool() -> str:
    """The tool without which the peers cannot run, or an empty string."""
    return next((tool for tool in ("node", "npm") if shutil.which(tool) is None), "")


def install() -> None:
    """Install what package-lock.json names. Raises CalledProcessError with npm's own output."""
    lock = PEERS / "package-lock.json"
    if INSTALLED.exists() and INSTALLED.stat().st_mtime >= lock.stat().st_mtime:
        return
    subprocess.run(("npm", "ci", "--no-fund", "--no-audit"), cwd=PEERS, check=True)
    INSTALLED.touch()
