"""What a connection costs that does nothing: resident memory of the server, per connection.

Opened and closed once before, so that code, caches and pools that any connection would bring in
are not counted as the price of each.
"""

from __future__ import annotations

import time

from benchmarks import procs
from benchmarks.load.client import Client
from benchmarks.load.job import Job, Outcome
from benchmarks.load.loop import Loop, clock


def run(job: Job) -> Outcome:
    """Spread over all rooms of the job, in turn: one room or many."""
    count = job.whole("connections")
    _open(job, job.whole("warm_up"), offset=0).close()
    time.sleep(job.numbers["settle"])
    base, base_tree = procs.rss_bytes(job.pid), procs.tree_pss_bytes(job.pid)
    loop = _open(job, count, offset=job.whole("warm_up"))
    end = clock() + job.numbers["settle"]
    cpu = procs.cpu_seconds(job.pid)
    while clock() < end:
        for _ in loop.turn(0.1):
            pass
    cpu = procs.cpu_seconds(job.pid) - cpu
    grown = procs.rss_bytes(job.pid) - base
    grown_tree = procs.tree_pss_bytes(job.pid) - base_tree
    closed = len(loop.closed)
    loop.close()
    return Outcome(
        {
            "bytes_per_connection": grown / count,
            "tree_bytes_per_connection": grown_tree / count,
            "idle_cpu": cpu / job.numbers["settle"],
            "lost": closed,
        }
    )


def _open(job: Job, count: int, *, offset: int) -> Loop:
    clients: list[Client] = []
    for number in range(count):
        client = Client(job, job.rooms[number % len(job.rooms)], offset + number)
        client.sync()
        clients.append(client)
    return Loop(clients)
