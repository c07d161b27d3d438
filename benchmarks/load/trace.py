"""A recorded editing session, replayed by one client as fast as a closed loop allows.

The file holds single Yjs v1 updates (gzip of records: little-endian u32 length, update). A second
client of the room closes the loop: an update is through when the clocks that it inserts, or the
clocks that it deletes, have reached that client. Then the room's memory is read, and the text.
"""

from __future__ import annotations

import gzip
import math
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import procs
from benchmarks.load import frames, yjs
from benchmarks.load.client import Client
from benchmarks.load.job import Job, Outcome
from benchmarks.load.loop import Loop, clock

if TYPE_CHECKING:
    from collections.abc import Iterator

STALL_SECONDS = 60.0
GENERATED = 50_000
"""Updates in the session that stands in when there is no file."""

Effect = tuple[int, int]
"""What proves that an update is through: (client, clock) inserted up to, or ~clock deleted."""


def read(path: str) -> list[bytes]:
    """The updates of a trace file; a generated session when `path` is empty."""
    if not path:
        return list(_generated())
    data = gzip.decompress(Path(path).read_bytes())
    updates: list[bytes] = []
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        updates.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return updates


def _generated() -> Iterator[bytes]:
    """Typing: one character an update, every fourth one deletes the last again."""
    writer = yjs.varuint(yjs.FIRST_CLIENT)
    clock_, left = 0, -1
    alive: list[int] = []
    for number in range(GENERATED):
        if number % 4 == 3:
            gone = alive.pop()
            yield b"\x00\x01" + writer + b"\x01" + yjs.varuint(gone) + b"\x01"
            left = alive[-1]
            continue
        place = b"\x04\x01\x04text" if left < 0 else b"\x84" + writer + yjs.varuint(left)
        yield b"\x01\x01" + writer + yjs.varuint(clock_) + place + b"\x01x\x00"
        left = clock_
        alive.append(clock_)
        clock_ += 1


def _effect(update: bytes) -> Effect:
    found = yjs.scan(update)
    if found.structs:
        last = found.structs[-1]
        return last.client, last.stop
    last = found.deletes[-1]
    return last.client, ~(last.stop - 1)


class Progress:
    """How much of the trace a client has: the number of leading updates that are through."""

    def __init__(self, effects: list[Effect]) -> None:
        self._effects = effects
        self._inserted: dict[int, int] = {}
        self._deleted: set[tuple[int, int]] = set()
        self.through = 0

    def take(self, updates: list[bytes]) -> None:
        """Add what arrived and move on as far as it carries."""
        for update in updates:
            found = yjs.scan(update)
            for client, _, stop in found.structs:
                self._inserted[client] = max(stop, self._inserted.get(client, 0))
            for client, start, stop in found.deletes:
                self._deleted.update((client, ~at) for at in range(start, stop))
        effects, through = self._effects, self.through
        while through < len(effects):
            client, reach = effects[through]
            if reach >= 0:
                if self._inserted.get(client, 0) < reach:
                    break
            elif (client, reach) not in self._deleted:
                break
            through += 1
        self.through = through


def run(job: Job) -> Outcome:
    """Seconds for the whole trace, and the room's memory when it has settled."""
    updates = read(job.files.get("trace", ""))[: job.whole("limit") or None]
    writer = Client(job, job.rooms[0], 0)
    reader = Client(job, job.rooms[0], 1)
    for client in (writer, reader):
        client.sync()
        client.inbox.kept = []
    progress = Progress([_effect(update) for update in updates])
    tape = [frames.masked(writer.dialect.update(update)) for update in updates]
    loop = Loop((writer, reader))
    window = job.whole("window")
    time.sleep(job.numbers["settle"])
    base, base_tree = procs.rss_bytes(job.pid), procs.tree_pss_bytes(job.pid)
    cpu, own = procs.cpu_seconds(job.pid), time.process_time()
    began = moved = clock()
    sent = 0
    while progress.through < len(tape):
        stop = min(progress.through + window, len(tape))
        if stop > sent:
            writer.send(b"".join(tape[sent:stop]))
            sent = stop
        writer.flush()
        before = progress.through
        for _ in loop.turn(0.5):
            pass
        # Servers that send a client its own updates back do so here too: not looked at.
        writer.inbox.kept = []
        arrived, reader.inbox.kept = reader.inbox.kept or [], []
        progress.take(arrived)
        if progress.through > before:
            moved = clock()
        elif clock() - moved > STALL_SECONDS:
            break
    spent = clock() - began
    cpu, own = procs.cpu_seconds(job.pid) - cpu, time.process_time() - own
    safe = _durable(job, loop, writer, began)
    end = clock() + job.numbers["settle"]
    while clock() < end:
        for _ in loop.turn(0.1):
            pass
    room = procs.rss_bytes(job.pid) - base
    tree = procs.tree_pss_bytes(job.pid) - base_tree
    loop.close()
    return Outcome(
        {
            "trace_updates": len(updates),
            "trace_seconds": spent,
            "durable_seconds": safe,
            "updates_per_second": progress.through / spent,
            "room_memory": room,
            "tree_memory": tree,
            "server_cpu": cpu / spent,
            "generator_busy": own / spent,
            "lost": len(updates) - progress.through,
        }
    )


def _durable(job: Job, loop: Loop, writer: Client, began: float) -> float:
    """Seconds until the server has said that all of it is safe; NaN where no server says so."""
    if not job.whole("asks_durable"):
        return math.nan
    writer.send(frames.masked(writer.dialect.ask_durable(1)))
    end = clock() + STALL_SECONDS
    while clock() < end and not writer.inbox.acks:
        for _ in loop.turn(0.5):
            pass
    return clock() - began if writer.inbox.acks else math.nan
