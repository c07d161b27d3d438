"""Edit to durable: how long until the server says that an edit is safe (y-sweet's message 102).

One client a room, an open loop over all of them; behind every edit the client asks with the number
of the edit, and the server gives the number back when everything before it is in PostgreSQL.
Latency counts from the moment that the schedule names for the edit. No server can be faster than
its disk, so the disk's own time to make a page durable is measured first, in the same folder.
"""

from __future__ import annotations

import os
import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import procs
from benchmarks.load import frames, stats, yjs
from benchmarks.load.client import Client
from benchmarks.load.job import Job, Outcome
from benchmarks.load.loop import Loop, clock

if TYPE_CHECKING:
    from collections.abc import Mapping

HISTOGRAM = "syncsphere_edit_to_durable_seconds"
DRAIN_SECONDS = 10.0
PAGE, DISK_CHECKS = 8192, 200


def run(job: Job) -> Outcome:
    """p50 and p99 as the client sees them, and as the server's own histogram has them."""
    clients = [Client(job, room, number) for number, room in enumerate(job.rooms)]
    for client in clients:
        client.sync()
    disk_p50, disk_p99 = stats.percentiles(_disk(Path(job.files["data"])), 0.5, 0.99)
    loop = Loop(clients)
    writers = [yjs.MarkedWriter(client.number) for client in clients]
    rate, seconds = job.numbers["rate"], job.numbers["seconds"]
    warm = int(job.numbers["warm_up"] * rate)
    total = warm + int(seconds * rate)
    acknowledged = [0] * len(clients)
    samples: list[float] = []
    histogram: dict[float, float] = {}
    cpu = 0.0
    turn = 0
    began = clock()
    end = began + total / rate + DRAIN_SECONDS
    while clock() < end and (turn < total or sum(acknowledged) < total):
        while turn < total and began + turn / rate <= clock():
            number = turn % len(clients)
            client, sequence = clients[number], turn // len(clients)
            edit = client.dialect.update(writers[number].update(sequence))
            ask = client.dialect.ask_durable(sequence + 1)
            client.send(frames.masked(edit) + frames.masked(ask))
            turn += 1
            if turn == warm:
                histogram, cpu = _buckets(job), procs.cpu_seconds(job.pid)
                # Reading the metrics took a moment; the schedule starts again behind it.
                began = clock() - turn / rate
        for client, _ in loop.turn(0):
            now = clock()
            for version in client.inbox.acks:
                update = (version - 1) * len(clients) + client.number
                if update >= warm:
                    samples.append(now - began - update / rate)
                acknowledged[client.number] = version
            client.inbox.acks.clear()
    spent = clock() - began - warm / rate
    cpu = procs.cpu_seconds(job.pid) - cpu
    after = _buckets(job)
    grown = {edge: count - histogram.get(edge, 0.0) for edge, count in after.items()}
    loop.close()
    p50, p99 = stats.percentiles(samples, 0.5, 0.99)
    return Outcome(
        {
            "durable_p50": p50,
            "durable_p99": p99,
            "server_durable_p50": _quantile(grown, 0.5),
            "server_durable_p99": _quantile(grown, 0.99),
            "disk_p50": disk_p50,
            "disk_p99": disk_p99,
            "server_cpu": cpu / spent,
            "lost": total - sum(acknowledged),
        }
    )


def _disk(folder: Path) -> list[float]:
    """Seconds that the disk takes to make one page durable, again and again."""
    samples: list[float] = []
    page = os.urandom(PAGE)
    with (folder / "disk-check").open("wb", buffering=0) as file:
        file.write(page)
        for _ in range(DISK_CHECKS):
            os.pwrite(file.fileno(), page, 0)
            began = clock()
            os.fdatasync(file.fileno())
            samples.append(clock() - began)
    return samples


def _buckets(job: Job) -> dict[float, float]:
    """The server's histogram: upper edge in seconds to cumulative count."""
    with urllib.request.urlopen(f"http://{job.host}:{job.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[float, float] = {}
    for line in text.splitlines():
        match = re.match(rf'{HISTOGRAM}_bucket{{.*le="([^"]+)".*}} (\S+)', line)
        if match:
            edge = float(match[1].replace("+Inf", "inf"))
            found[edge] = found.get(edge, 0.0) + float(match[2])
    return found


def _quantile(buckets: Mapping[float, float], share: float) -> float:
    """Linear inside the bucket, as Prometheus' histogram_quantile does it; NaN without data."""
    edges = sorted(buckets)
    if not edges or not buckets[edges[-1]]:
        return float("nan")
    rank = share * buckets[edges[-1]]
    below_edge = below = 0.0
    for edge in edges:
        if buckets[edge] >= rank:
            if edge == float("inf"):
                return below_edge
            inside = buckets[edge] - below
            return below_edge + (edge - below_edge) * (rank - below) / inside
        below_edge, below = edge, buckets[edge]
    return below_edge
