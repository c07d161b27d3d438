"""What the figures were measured on, without anything that says whose machine it was."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import cast

PEERS = Path(__file__).parent / "peers"
PYTHON_PACKAGES = ("pycrdt", "picows", "uvicorn", "uvloop", "psycopg")
NODE_PACKAGES = ("@y/websocket-server", "@hocuspocus/server", "yjs", "ws")


def cores() -> tuple[int, int]:
    """The core of the servers and the core of the generator; the same one if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def facts() -> dict[str, str]:
    """Model, cores, memory, kernel, and the versions of everything that matters."""
    found = {
        "processor": _first(r"model name\s*: (.+)", Path("/proc/cpuinfo")),
        "cores": str(os.cpu_count()),
        "memory": f"{int(_first(r'MemTotal: +([0-9]+)', Path('/proc/meminfo'))) / 1e6:.0f} GB",
        "system": f"Linux {platform.release().split('-')[0]} {platform.machine()}",
        "Python": platform.python_version(),
    }
    for name in PYTHON_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found.update(_node())
    return found


def _node() -> dict[str, str]:
    """Node and the peers, as installed."""
    try:
        version = subprocess.run(
            ("node", "--version"), capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return {}
    found = {"Node": version.removeprefix("v")}
    for name in NODE_PACKAGES:
        manifest = PEERS / "node_modules" / name / "package.json"
        if manifest.exists():
            found[name] = str(
                cast("dict[str, object]", json.loads(manifest.read_text()))["version"]
            )
    return found


def _first(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text())
    return match[1].strip() if match else "?"


if __name__ == "__main__":
    json.dump(facts(), sys.stdout, indent=2)
