"""`python -m benchmarks.history`: what commits cost, in bytes and in time.

A live document of 1 MB is changed a little and committed, ten thousand times, in a hub on an
embedded PostgreSQL; then commits are opened, the log is read, and states are compared. After that
twenty people edit while one commits. The tables go into docs/benchmarks-history.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import psutil

from base import clock
from base.embedded import EmbeddedPostgres
from benchmarks import history_report
from benchmarks.history_house import Document, House, opened
from benchmarks.history_report import Figure, times
from docstore import migrate
from docstore.history import commits, work
from docstore.history.errors import NothingToCommit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from base.db import Database

PAGE = 50
COUNTED = 1_000
"""Commits of which the bytes are counted."""

WHOLE = 20
"""Commits made as if nothing were kept, to compare with."""

WRITERS = 20
UPDATES = 5
"""Of each writer, a second."""

BEAT = 0.001
"""Seconds between two looks at how much the loop had to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print what was measured, and write it down unless told otherwise."""
    parser = argparse.ArgumentParser(description="What commits cost.")
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=1_000_000, help="size of the document")
    parser.add_argument("--seconds", type=float, default=20.0, help="of editing by twenty people")
    parser.add_argument("--print", action="store_true", help="write no file")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-bench-"))
    server = EmbeddedPostgres(folder)
    try:
        server.start()
        migrate.upgrade(server.url)
        load = os.getloadavg()[0]
        options = {"use_uvloop": True}
        figures = anyio.run(
            measure,
            server.url,
            chosen.commits,
            chosen.bytes,
            chosen.seconds,
            backend_options=options,
        )
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    text = history_report.table(figures, (load, os.getloadavg()[0]))
    print(text)
    if not chosen.print:
        history_report.write(text)
    return 0


async def measure(url: str, number: int, size: int, seconds: float) -> list[Figure]:
    """Everything, in order."""
    async with opened(url) as house:
        document = Document(size)
        await house.apply(document.doc.get_update())
        figures, made = await _committing(house, document, number)
        figures += await _opening(house, made)
        figures += await _listing(house, made)
        figures += await _comparing(house, made)
        figures += await _editing(house, document, seconds)
    return figures


async def _committing(
    house: House, document: Document, number: int
) -> tuple[list[Figure], list[commits.Commit]]:
    first, took = await house.commit()
    figures = [Figure("the first commit of a room", f"{took * 1e3:.0f} ms")]
    before, made, taken = await _stored(house.database), [first], list[float]()
    worked = _processor()
    for at in range(number):
        await house.apply(document.edit())
        commit, took = await house.commit()
        made.append(commit)
        taken.append(took)
        if at + 1 == min(COUNTED, number):
            more = (await _stored(house.database) - before) / 1e6
            label = f"{at + 1:,} commits, more in the database"
            figures.append(Figure(label, f"{more:.2f} MB", "< 3 MB", more < 3))
    figures += times(f"one of {number:,} commits", taken, p50=20)
    worked = (_processor() - worked) / number * 1e3
    label = "processor time of an edit and a commit, without PostgreSQL's"
    figures.append(Figure(label, f"{worked:.1f} ms"))
    taken.clear()
    for _ in range(WHOLE):
        await house.apply(document.edit())
        taken.append((await house.commit(whole=True))[1])
    figures += times("a commit for which the document is read whole", taken)
    await house.commit_something(document)
    return figures, made


def _processor() -> float:
    """Seconds that we and the processes that keep documents have worked."""
    ours = psutil.Process()
    own = [each for each in ours.children() if "keeping" in " ".join(each.cmdline())]
    spent = [each.cpu_times() for each in (ours, *own)]
    return sum(each.user + each.system for each in spent)


async def _opening(house: House, made: list[commits.Commit]) -> list[Figure]:
    taken: list[float] = []
    for each in random.Random(2).sample(made, min(200, len(made))):
        async with house.database.transaction() as tx:
            started = clock.monotonic()
            await commits.state_of(tx, await commits.get(tx, house.project.id, each.id))
            taken.append(clock.monotonic() - started)
    return times(f"opening any of {len(made) - 1:,} commits", taken, p99=100)


async def _listing(house: House, made: list[commits.Commit]) -> list[Figure]:
    figures: list[Figure] = []
    for branch in ("main", None):
        taken: list[float] = []
        cursor: str | None = None
        async with house.database.acting(made[0].author) as tx:
            while cursor is not None or not taken:
                started = clock.monotonic()
                _, cursor = await commits.log(
                    tx, house.project.id, branch=branch, after=cursor, limit=PAGE
                )
                taken.append(clock.monotonic() - started)
        said = "a branch's log" if branch else "all commits"
        figures += times(f"a page of {PAGE} of {said}, {len(made) - 1:,} in all", taken, p99=20)
    return figures


async def _comparing(house: House, made: list[commits.Commit]) -> list[Figure]:
    async with house.database.connection() as tx:
        ends = [await commits.state_of(tx, made[at]) for at in (len(made) // 2, -1)]
    figures: list[Figure] = []
    for label, (before, after) in (("forwards", ends), ("backwards", ends[::-1])):
        await work.diff(before, after)
        taken: list[float] = []
        for _ in range(15):
            started = clock.monotonic()
            await work.diff(before, after)
            taken.append(clock.monotonic() - started)
        figures += times(f"what changed between two states, {label}", taken, p50=100)
    return figures


async def _editing(house: House, document: Document, seconds: float) -> list[Figure]:
    """Twenty people edit; then again while somebody commits, and again."""
    waits: dict[bool, list[float]] = {}
    stretches: dict[bool, list[float]] = {}
    taken: list[float] = []

    async def write(waited: list[float]) -> None:
        for _ in range(int(seconds * UPDATES)):
            await anyio.sleep(1 / UPDATES)
            edit = document.edit()
            started = clock.monotonic()
            await house.apply(edit)
            waited.append(clock.monotonic() - started)

    async def commit() -> None:
        while True:
            await anyio.sleep(0.05)
            with contextlib.suppress(NothingToCommit):  # all have edited enough
                taken.append((await house.commit())[1])

    for committing in (False, True):
        waits[committing], stretches[committing] = [], []
        async with anyio.create_task_group() as committers:
            committers.start_soon(_beat, stretches[committing])
            if committing:
                committers.start_soon(commit)
            async with anyio.create_task_group() as writers:
                for _ in range(WRITERS):
                    writers.start_soon(write, waits[committing])
            committers.cancel_scope.cancel()
    figures = times(f"a commit while {WRITERS} people edit", taken, p50=20)
    for committing, said in ((False, "without commits"), (True, "with commits")):
        figures += times(f"an edit until it is durable, {said}", waits[committing], most=True)
        most = max(stretches[committing]) * 1e3
        met = most <= 5 if committing else None
        label = f"the loop at work without a pause, at most, {said}"
        figures.append(Figure(label, f"{most:.1f} ms", "≤ 5 ms" if committing else "", met))
    return figures


async def _beat(worked: list[float]) -> None:
    """How long the loop's thread was at work from one beat to the next, in its own time."""
    while True:
        before = time.thread_time()
        await anyio.sleep(BEAT)
        worked.append(time.thread_time() - before)


async def _stored(database: Database) -> int:
    """Bytes of all tables, indexes and what is stored beside them."""
    async with database.connection() as tx:
        cursor = await tx.execute(
            "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE c.relkind = 'r'"
            " AND c.relname IN ('states', 'commits', 'commit_parents', 'documents')"
        )
        ((found,),) = await cursor.fetchall()
        return int(found)


if __name__ == "__main__":
    raise SystemExit(main())
