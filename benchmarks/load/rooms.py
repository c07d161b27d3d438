"""Many small rooms, everybody writing: closed loop of one.

Each client has one update on the way; it sends the next one when every other client of its room
has the last. Deliveries to the writer itself do not count: some servers make them, some do not.
"""

from __future__ import annotations

import time

from benchmarks import procs
from benchmarks.load import frames, yjs
from benchmarks.load.client import Client
from benchmarks.load.job import Job, Outcome
from benchmarks.load.loop import Loop, clock, settle

DRAIN_SECONDS = 30.0


class Member:
    """One client that writes: its frames, and for how many readers the last is still missing."""

    __slots__ = ("_frames", "_writer", "client", "sent", "waiting")

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sent = 0
        self.waiting = 0
        self._writer = yjs.MarkedWriter(client.number)
        self._frames: list[bytes] = []

    def prepare(self, count: int) -> None:
        """Have frames up to number `count` ready, so that making them is not measured."""
        dialect = self.client.dialect
        for sequence in range(len(self._frames), count):
            self._frames.append(frames.masked(dialect.update(self._writer.update(sequence))))

    def write(self, readers: int) -> None:
        """Send the next update; `readers` will have to get it."""
        if self.sent >= len(self._frames):
            self.prepare(self.sent + 64)
        self.client.send(self._frames[self.sent])
        self.sent += 1
        self.waiting = readers


def closed(job: Job) -> Outcome:
    """Delivered updates a second, over all rooms."""
    size = job.whole("clients")
    members: list[Member] = []
    for room in job.rooms:
        for _ in range(size):
            client = Client(job, room, len(members))
            client.sync()
            members.append(Member(client))
    loop = Loop(member.client for member in members)
    delivered = 0
    for member in members:
        member.write(size - 1)

    def run(seconds: float, *, write: bool = True) -> None:
        nonlocal delivered
        end = clock() + seconds
        while clock() < end:
            for client, arrivals in loop.turn(0.2):
                for number, first, stop in arrivals:
                    if number == client.number:
                        continue
                    delivered += stop - first
                    member = members[number]
                    member.waiting -= stop - first
                    if not member.waiting and write:
                        member.write(size - 1)

    run(job.numbers["warm_up"])
    # Half as many again as this pace would need.
    share = 1.5 * job.numbers["seconds"] / job.numbers["warm_up"]
    for member in members:
        member.prepare(int(member.sent * (1 + share)))
    before, began = delivered, clock()
    cpu, own = procs.cpu_seconds(job.pid), time.process_time()
    run(job.numbers["seconds"])
    spent = clock() - began
    counted = delivered - before
    cpu, own = procs.cpu_seconds(job.pid) - cpu, time.process_time() - own
    run(0.2, write=False)
    lost = 0
    for first in range(0, len(members), size):
        group = members[first : first + size]
        sent = {member.client.number: member.sent for member in group}
        clients = [member.client for member in group]
        lost += settle(loop, clients, sent, seconds=DRAIN_SECONDS)
    loop.close()
    return Outcome(
        {
            "delivered_per_second": counted / spent,
            "server_cpu": cpu / spent,
            "generator_busy": own / spent,
            "lost": lost,
        }
    )
