"""Readers that stop reading while a lot is written: what it costs the server, and the others.

The same replay runs twice on the same server, in two rooms: first with `stalled` readers that do
not read at all, then with every reader reading. Memory is the server's peak in the first over what
it was before; latency is that of the readers who read. Between the two the stalled ones read again,
and must have everything in the end: on the same socket, or, if the server closed it, on a new one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks import procs
from benchmarks.load import frames, stats, yjs
from benchmarks.load.client import Client
from benchmarks.load.fanout import Tape
from benchmarks.load.job import Job, Outcome
from benchmarks.load.loop import Loop, clock, settle

RECEIVE_BUFFER = 64 * 1024
"""Of the readers that stop: small, or the kernel would hold much of the replay for the server."""
STALL_SECONDS = 120.0
RETURN_SECONDS = 120.0


@dataclass(slots=True)
class Replay:
    """One replay: how long it took, when each update reached the readers that read."""

    seconds: float
    latencies: list[float]
    sent: int


def _replay(job: Job, loop: Loop, writer: Client, readers: list[Client], width: int) -> Replay:
    """Write everything in a closed loop with the readers that read."""
    tape = Tape(yjs.MarkedWriter(0, width=width), writer)
    total = job.whole("replay_bytes") // width
    tape.prepare(total)
    window = job.whole("window")
    reached = {reader.number: 0 for reader in readers}
    sent_at: list[float] = []
    latencies: list[float] = []
    sent = low = 0
    began = moved = clock()
    while low < total:
        stop = min(low + window, total)
        if stop > sent:
            writer.send(tape.take(sent, stop))
            sent_at.extend([clock()] * (stop - sent))
            sent = stop
        writer.flush()
        for client, arrivals in loop.turn(0.5):
            now = clock()
            if client is writer:
                continue
            for _, first, behind in arrivals:
                latencies.extend(now - sent_at[sequence] for sequence in range(first, behind))
                reached[client.number] = behind
        reach = min(reached.values())
        if reach > low:
            low, moved = reach, clock()
        elif clock() - moved > STALL_SECONDS:
            break
    return Replay(clock() - began, latencies, sent)


def run(job: Job) -> Outcome:
    """Both replays, and between them the return of the readers that had stopped."""
    width, readers, stopped = job.whole("width"), job.whole("readers"), job.whole("stalled")
    calm_room, room = job.rooms[0], job.rooms[1]

    def join(where: str, count: int, *, first: int, receive_buffer: int = 0) -> list[Client]:
        clients = [
            Client(job, where, first + n, width=width, receive_buffer=receive_buffer)
            for n in range(count)
        ]
        for client in clients:
            client.sync()
        return clients

    active = join(room, 1 + readers, first=0)
    stuck = join(room, stopped, first=1 + readers, receive_buffer=RECEIVE_BUFFER)
    loop = Loop(active)
    time.sleep(job.numbers["settle"])
    base = procs.rss_bytes(job.pid)
    procs.reset_peak(job.pid)
    replay = _replay(job, loop, active[0], active[1:], width)
    peak = procs.peak_rss_bytes(job.pid) - base

    sent = {0: replay.sent}
    lost = settle(loop, active[1:], sent, seconds=RETURN_SECONDS)
    for client in stuck:
        loop.watch(client)
    began = clock()
    lost_on_return = _return(loop, stuck, sent)
    closed = [client for client in stuck if client.inbox.closed or client in loop.closed]
    again = [Client(job, room, client.number, width=width) for client in closed]
    for client in again:
        client.sock.sendall(frames.masked(client.dialect.step1()))
        client.sock.setblocking(False)
        loop.watch(client)
    lost_on_return += settle(loop, again, sent, seconds=RETURN_SECONDS)
    spent = clock() - began
    codes = sorted({client.inbox.closed[0] for client in closed if client.inbox.closed})
    loop.close()

    calm = join(calm_room, 1 + readers + stopped, first=0)
    loop = Loop(calm)
    calm_replay = _replay(job, loop, calm[0], calm[1:], width)
    loop.close()
    calm_p50, calm_p99 = stats.percentiles(calm_replay.latencies, 0.5, 0.99)
    p50, p99 = stats.percentiles(replay.latencies, 0.5, 0.99)
    return Outcome(
        {
            "stalled_memory": peak,
            "latency_p50": p50,
            "latency_p99": p99,
            "calm_latency_p50": calm_p50,
            "calm_latency_p99": calm_p99,
            "latency_change": p99 / calm_p99,
            "replay_seconds": replay.seconds,
            "calm_replay_seconds": calm_replay.seconds,
            "stalled_closed": len(closed),
            "return_seconds": spent,
            "lost": lost + lost_on_return,
        },
        [f"closed with {code}" for code in codes],
    )


def _return(loop: Loop, stuck: list[Client], sent: dict[int, int]) -> int:
    """Let the stopped readers read on; markers that those still connected never got."""
    end = clock() + RETURN_SECONDS
    while clock() < end:
        gone = set(map(id, loop.closed))
        open_ones = [one for one in stuck if id(one) not in gone and not one.inbox.closed]
        if all(one.inbox.complete(sent) for one in open_ones):
            return 0
        for _ in loop.turn(0.1):
            pass
    return sum(one.inbox.missing(sent) for one in stuck if not one.inbox.closed)
