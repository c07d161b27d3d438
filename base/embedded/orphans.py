"""Servers that an earlier process left behind: how they are recognised, and how they are ended.

That process may have been killed at any moment. Knows programs by name and folders; which name and
which signals is for who calls to say.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from base import clock
from base.embedded.places import ServerFailed

if TYPE_CHECKING:
    import signal
    from collections.abc import Collection, Sequence


def find(programs: Collection[str], folder: Path) -> list[psutil.Process]:
    """Servers of an earlier process (and their workers) that still work in this folder.

    Both servers keep their data folder as their working directory, which tells them from a
    stranger that has got the process id in some old pid file.
    """
    found: list[psutil.Process] = []
    wanted = folder.stat()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() in programs and process.pid != os.getpid():
                there = Path(process.cwd()).stat()
                if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
                    found.append(process)
    return found


def _alive(process: psutil.Process) -> bool:
    """A zombie is not: where nobody collects the orphans of a container, it stays for good."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(processes: Sequence[psutil.Process], *steps: tuple[signal.Signals, float]) -> None:
    """Ask them to end, with each signal in turn and its patience in seconds.

    Workers of another one in the list are not asked; they end with it. Raises ServerFailed when
    one stays.
    """
    pids = {process.pid for process in processes}
    alive = list(processes)
    for number, seconds in steps:
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.ppid() not in pids:
                    process.send_signal(number)
        until = clock.monotonic() + seconds
        while (alive := [one for one in alive if _alive(one)]) and clock.monotonic() < until:
            psutil.wait_procs(alive, timeout=0.1)
        if not alive:
            return
    raise ServerFailed(f"Process {alive[0].pid} of an earlier run does not end; end it by hand.")
