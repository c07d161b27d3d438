"""What a server costs, read from /proc: CPU seconds and memory of a process and its children.

Knows process ids and nothing else. Linux only, like the pinning that goes with it.
"""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """The process and every living descendant, the process first."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat(int(entry.name))
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, ()))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the whole tree, children that have ended included."""
    ticks = 0
    for member in tree(pid):
        fields = _stat(member)
        if fields is not None:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


def rss_bytes(pid: int) -> int:
    """Resident memory of this one process."""
    return _status_kib(pid, "VmRSS:") * 1024


def peak_rss_bytes(pid: int) -> int:
    """Highest resident memory of this one process since `reset_peak`."""
    return _status_kib(pid, "VmHWM:") * 1024


def reset_peak(pid: int) -> None:
    """Make `peak_rss_bytes` start again from what is resident now."""
    (PROC / str(pid) / "clear_refs").write_text("5")


def tree_pss_bytes(pid: int) -> int:
    """Memory of the whole tree, shared pages counted once (proportional set size)."""
    total = 0
    for member in tree(pid):
        try:
            rollup = (PROC / str(member) / "smaps_rollup").read_text()
        except OSError:
            continue
        total += _field_kib(rollup, "Pss:")
    return total * 1024


def _status_kib(pid: int, field: str) -> int:
    return _field_kib((PROC / str(pid) / "status").read_text(), field)


def _field_kib(text: str, field: str) -> int:
    for line in text.splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command name: state, parent, …; None if it ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()
