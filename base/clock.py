"""The only file that reads a clock.

Everything below the edges takes the time as an argument, so that tests never sleep; the linter
bans the other ways to ask for it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def unix_ms() -> int:
    """The wall clock in whole milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds on a clock that never jumps; only differences mean something."""
    return time.monotonic()
