"""What the server asks of the system before it starts."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))
from syncserver import app
app._allow_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
app._allow_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
"""In a process of its own: a limit that was lowered does not come back."""


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n") == ["4096 4096", "4096 4096", ""]
