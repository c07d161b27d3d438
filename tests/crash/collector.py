"""Collects and thins again and again, in a process of its own that is killed with the others.

    python -m tests.crash.collector URL

Nothing is too young to go: what nobody leads to goes at once, and every segment is thinned.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import anyio

from base import clock
from base.db import Database
from docstore.history import detail, gc, retention


async def collect(url: str) -> None:
    """Until the process ends."""
    database = await Database.open(url, size=2)
    rules = retention.Rules(timedelta(), None)
    while True:
        now = clock.now()
        await gc.collect(database, now, rules)
        await detail.thin(database, now, now)


if __name__ == "__main__":
    anyio.run(collect, sys.argv[1])
