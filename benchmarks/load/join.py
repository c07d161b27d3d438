"""Late join: how long until a client that opens a large document has it.

One joiner is timed from its TCP connect to the last byte of SyncStep2. A burst is timed from the
moment at which all of its connections, opened and authenticated before, ask at once, to the last
byte of the slowest. Some joiners keep what they got and prove that it is the document; the others
must have got an answer of the same size.
"""

from __future__ import annotations

import contextlib
import select
import time

from benchmarks import procs
from benchmarks.load import frames, stats, yjs
from benchmarks.load.client import OPEN_SECONDS, Client, RefusedError
from benchmarks.load.job import Job, Outcome
from benchmarks.load.loop import clock

PIECE = 1 << 20
UPLOAD_SECONDS = 60.0
STEP2_HEAD = b"\x00\x01"


class Download:
    """Counts the bytes of one joiner until its SyncStep2 is complete, without keeping them."""

    __slots__ = ("_head", "_left", "_skip", "client", "done_at", "size")

    def __init__(self, client: Client) -> None:
        self.client = client
        self.done_at = 0.0
        self.size = 0
        """Length of the SyncStep2 message."""
        self._skip = len(client.dialect.prefix)
        self._head = b""
        self._left = 0

    def read(self, buffer: bytearray) -> None:
        """Take what is there; looks into it only until SyncStep2 has begun."""
        try:
            count = self.client.sock.recv_into(buffer)
        except BlockingIOError:
            return
        if not count:
            raise RefusedError("the server closed a joiner")
        if self._left:
            self._left -= count
        else:
            self._head += buffer[:count]
            if not self._begun():
                return
        if self._left <= 0:
            self.done_at = clock()

    def _begun(self) -> bool:
        """Skip the frames in front; True once SyncStep2 has begun, its end then known."""
        while (found := frames.header(self._head, 0)) is not None:
            start, end = found
            kind_at = start + self._skip
            if self._head[kind_at : kind_at + 2] == STEP2_HEAD:
                self.size = end - start
                self._left = end - len(self._head)
                self._head = b""
                return True
            if len(self._head) < max(end, kind_at + 2):
                return False
            self._head = self._head[end:]
        return False


def _download(client: Client) -> tuple[float, bytes]:
    """Ask, wait for the whole document; when it was there, and its update."""
    client.ask()
    client.sock.settimeout(OPEN_SECONDS)
    splitter = frames.Splitter()
    skip = len(client.dialect.prefix)
    while True:
        piece = client.sock.recv(PIECE)
        if not piece:
            raise RefusedError("the server closed a joiner")
        for first, payload in splitter.frames(piece):
            if first == frames.BINARY and payload[skip : skip + 2] == STEP2_HEAD:
                done = clock()
                size, at = yjs.read_varuint(payload, skip + 2)
                return done, payload[at : at + size]


def _entries(update: bytes) -> int:
    return sum(found.stop - found.start for found in yjs.scan(update).structs)


def _upload(job: Job, room: str) -> tuple[Client, int]:
    """Fill the room; returns the client that did, once another one can read all of it."""
    entries, size = job.whole("entries"), job.whole("entry_bytes")
    loader = Client(job, room, 0)
    loader.sync()
    loader.sock.settimeout(OPEN_SECONDS)
    for update in yjs.many_entries(entries, size, per_update=1000):
        loader.sock.sendall(frames.masked(loader.dialect.update(update)))
    found = 0
    end = clock() + UPLOAD_SECONDS
    while clock() < end:
        probe = Client(job, room, 1)
        _, update = _download(probe)
        probe.close()
        found = _entries(update)
        if found == entries:
            return loader, len(update)
        time.sleep(0.2)
    loader.sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        loader.inbox.feed(loader.sock.recv(PIECE))
    raise RefusedError(f"{found} of {entries} entries arrived; closed: {loader.inbox.closed}")


def run(job: Job) -> Outcome:
    """One joiner several times, then a burst of `joiners`."""
    room, entries = job.rooms[0], job.whole("entries")
    loader, size = _upload(job, room)
    singles: list[float] = []
    wrong = 0
    for _ in range(job.whole("repeats")):
        began = clock()
        joiner = Client(job, room, 2)
        done, update = _download(joiner)
        singles.append(done - began)
        joiner.close()
        wrong += _entries(update) != entries
    time.sleep(job.numbers["settle"])
    base = procs.rss_bytes(job.pid)
    procs.reset_peak(job.pid)
    joiners = [Client(job, room, 3 + n) for n in range(job.whole("joiners"))]
    downloads = {joiner.sock.fileno(): Download(joiner) for joiner in joiners}
    poll = select.epoll()
    buffer = bytearray(PIECE)
    cpu, began = procs.cpu_seconds(job.pid), clock()
    for fd, download in downloads.items():
        download.client.ask()
        poll.register(fd, select.EPOLLIN)
    open_count = len(downloads)
    while open_count:
        ready = poll.poll(OPEN_SECONDS)
        if not ready:
            raise RefusedError(f"{open_count} joiners were not served")
        for fd, _ in ready:
            downloads[fd].read(buffer)
            if downloads[fd].done_at:
                poll.unregister(fd)
                open_count -= 1
    times = [download.done_at - began for download in downloads.values()]
    cpu = procs.cpu_seconds(job.pid) - cpu
    wrong += sum(not size <= download.size <= size + 64 for download in downloads.values())
    peak = procs.peak_rss_bytes(job.pid)
    for joiner in (*joiners, loader):
        joiner.close()
    return Outcome(
        {
            "document_bytes": size,
            "join_one": stats.median(singles),
            "join_burst_median": stats.median(times),
            "join_burst_last": max(times),
            "join_burst_cpu": cpu,
            "join_burst_memory": peak - base,
            "lost": wrong,
        }
    )
