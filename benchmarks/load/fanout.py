"""One writer, many readers, one room: how many updates a second, and how late they are.

`closed`: the writer keeps at most `window` updates on the way; an update is on the way until the
slowest reader has it. `open`: the writer keeps a schedule whatever the server does, and latency
counts from the moment that the schedule names, so a server that stalls cannot hide it.
"""

from __future__ import annotations

import time

from benchmarks import procs
from benchmarks.load import frames, stats, yjs
from benchmarks.load.client import Client
from benchmarks.load.job import Job, Outcome
from benchmarks.load.loop import Loop, clock, settle

DRAIN_SECONDS = 30.0


class Tape:
    """Frames of one writer, made ahead of time so that making them is not measured."""

    def __init__(self, writer: yjs.MarkedWriter, client: Client) -> None:
        self._writer = writer
        self._client = client
        self._frames: list[bytes] = []

    def prepare(self, count: int) -> None:
        """Have the frames of the first `count` updates ready."""
        dialect = self._client.dialect
        for sequence in range(len(self._frames), count):
            self._frames.append(frames.masked(dialect.update(self._writer.update(sequence))))

    def take(self, start: int, stop: int) -> bytes:
        """The frames of updates `start` to `stop`, as one piece."""
        if stop > len(self._frames):
            self.prepare(stop + 4096)
        return b"".join(self._frames[start:stop])


def closed(job: Job) -> Outcome:
    """Closed loop: delivered updates a second over `seconds`, after `warm_up` seconds."""
    writer = Client(job, job.rooms[0], 0)
    writer.sync()
    readers = [Client(job, job.rooms[0], 1 + n) for n in range(job.whole("readers"))]
    for reader in readers:
        reader.sync()
    loop = Loop((writer, *readers))
    tape = Tape(yjs.MarkedWriter(0), writer)
    window, together = job.whole("window"), job.whole("together")
    place = {reader.number: index for index, reader in enumerate(readers)}
    reached = [0] * len(readers)
    sent = 0

    def run(seconds: float) -> int:
        """Drive the loop for a while; returns the updates that all readers have got."""
        nonlocal sent
        end = clock() + seconds
        low = min(reached)
        while clock() < end:
            if sent < low + window:
                if together:
                    writer.send(tape.take(sent, low + window))
                else:
                    for one in range(sent, low + window):
                        writer.send(tape.take(one, one + 1))
                sent = low + window
            writer.flush()
            for client, arrivals in loop.turn(1.0):
                if client is not writer and arrivals:
                    reached[place[client.number]] = arrivals[-1][2]
            low = min(reached)
        return low

    warm = run(job.numbers["warm_up"])
    tape.prepare(sent + int(1.5 * (warm + 100) * job.numbers["seconds"] / job.numbers["warm_up"]))
    before, began = sum(reached), clock()
    cpu, own = procs.cpu_seconds(job.pid), time.process_time()
    run(job.numbers["seconds"])
    spent = clock() - began
    delivered = sum(reached) - before
    cpu, own = procs.cpu_seconds(job.pid) - cpu, time.process_time() - own
    lost = settle(loop, readers, {0: sent}, seconds=DRAIN_SECONDS)
    loop.close()
    return Outcome(
        {
            "delivered_per_second": delivered / spent,
            "updates_per_second": delivered / spent / len(readers),
            "server_cpu": cpu / spent,
            "generator_busy": own / spent,
            "lost": lost,
        }
    )


def scheduled(job: Job) -> Outcome:
    """Open loop: latency and server CPU at `rate` updates a second, spread over `writers` clients.

    With one writer the others only read; with several, everybody writes and reads.
    """
    count = job.whole("clients")
    writers = job.whole("writers")
    clients = [Client(job, job.rooms[0], n) for n in range(count)]
    for client in clients:
        client.sync()
    loop = Loop(clients)
    tapes = [Tape(yjs.MarkedWriter(n), clients[n]) for n in range(writers)]
    rate = job.numbers["rate"]
    step = 1.0 / rate
    sent = [0] * writers
    samples: list[float] = []
    turn = 0

    def run(seconds: float, *, keep: bool) -> tuple[float, float]:
        """Keep the schedule for a while; returns the time it took and the server's CPU in it."""
        nonlocal turn
        total = int(seconds * rate)
        for tape in tapes:
            tape.prepare((turn + total) // writers + 2)
        # Update number n of this stretch is due at began + n * step; writers take turns.
        first = turn
        cpu, began = procs.cpu_seconds(job.pid), clock()
        end = began + seconds
        while (now := clock()) < end:
            while turn < first + total and began + (turn - first) * step <= now:
                writer = turn % writers
                clients[writer].send(tapes[writer].take(sent[writer], sent[writer] + 1))
                sent[writer] += 1
                turn += 1
            for client, arrivals in loop.turn(0):
                if not keep:
                    continue
                late = clock() - began + first * step
                for writer, low, high in arrivals:
                    if writer != client.number:
                        due = range(low * writers + writer, high * writers + writer, writers)
                        samples.extend(late - number * step for number in due)
        return clock() - began, procs.cpu_seconds(job.pid) - cpu

    run(job.numbers["warm_up"], keep=False)
    everything = {n: sent[n] for n in range(writers)}
    settle(loop, clients, everything, seconds=DRAIN_SECONDS)
    spent, cpu = run(job.numbers["seconds"], keep=True)
    lost = settle(loop, clients, dict(enumerate(sent)), seconds=DRAIN_SECONDS)
    loop.close()
    p50, p99 = stats.percentiles(samples, 0.5, 0.99)
    return Outcome(
        {
            "latency_p50": p50,
            "latency_p99": p99,
            "server_cpu": cpu / spent,
            "delivered_per_second": len(samples) / spent,
            "lost": lost,
        }
    )
