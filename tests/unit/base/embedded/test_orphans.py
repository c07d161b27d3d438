"""What an earlier process left behind is found, and ended, and nothing else is."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

from base.embedded import orphans

if TYPE_CHECKING:
    from pathlib import Path


def test_servers_of_an_earlier_run_are_known_by_name_and_folder(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    left = [subprocess.Popen(["sleep", "60"], cwd=folder) for folder in (here, there)]
    try:
        found = orphans.find(("sleep",), here)
        assert [one.pid for one in found] == [left[0].pid]
        assert orphans.find(("postgres",), here) == []
        orphans.end(found, (signal.SIGTERM, 10.0))
        assert orphans.find(("sleep",), here) == []
        assert left[1].poll() is None
    finally:
        for one in left:
            one.kill()
            one.wait()
