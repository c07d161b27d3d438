"""Writers that keep a record: markers sent to a room, and those the server called durable.

A writer sends small updates, each followed by message 102, until its connection breaks. Lean on
purpose (Python, no stock client): nothing may come back from a client's memory after the crash.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

import anyio
import pycrdt
from websockets.exceptions import ConnectionClosed

from tests.e2e import wire

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from tests.e2e.rest import Project

ROOT = "markers"
WINDOW = 64
"""Markers that a writer usually sends ahead of its acknowledgements."""
LARGE_EVERY = 97
LARGE = "x" * 20_000


class Record:
    """What every writer sent and what was acknowledged, per room, over all rounds."""

    def __init__(self) -> None:
        self.sent: defaultdict[str, set[str]] = defaultdict(set)
        self.acknowledged: defaultdict[str, set[str]] = defaultdict(set)
        self._target = 0
        self._reached = anyio.Event()

    @property
    def total_sent(self) -> int:
        return sum(map(len, self.sent.values()))

    @property
    def total_acknowledged(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def note(self, room: str, marker: str) -> None:
        """The server said that this marker is on disk."""
        self.acknowledged[room].add(marker)
        if self.total_acknowledged >= self._target:
            self._reached.set()

    async def more(self, count: int) -> None:
        """Wait until that many markers more are acknowledged."""
        self._target = self.total_acknowledged + count
        self._reached = anyio.Event()
        await self._reached.wait()


class Writer:
    """One connection that writes into one room until the connection ends."""

    def __init__(
        self, record: Record, project: Project, name: str, *, window: int = WINDOW
    ) -> None:
        """window: markers that it sends ahead of its acknowledgements."""
        self._window = window
        self._record = record
        self._room = project.room_id
        self._name = name
        self._sent = 0
        self._acknowledged = 0
        self._room_for_more = anyio.Event()
        self._luck = random.Random(name)

    async def run(
        self, ws_url: str, token: str, begin: anyio.Event, *, task_status: TaskStatus[None]
    ) -> None:
        """Started once it is in the room; writes from `begin` until the connection ends."""
        async with wire.peer(ws_url, self._room, token) as peer:
            await peer.pull()
            task_status.started()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write, peer, begin)
                await self._listen(peer)
                tasks.cancel_scope.cancel()

    async def _write(self, peer: wire.Peer, begin: anyio.Event) -> None:
        doc: pycrdt.Doc[pycrdt.Map[object]] = pycrdt.Doc()
        markers = doc.get(ROOT, type=pycrdt.Map[object])
        vector = doc.get_state()
        await begin.wait()
        while True:
            number = self._sent + 1
            large = number % LARGE_EVERY == 0
            markers[self._marker(number)] = LARGE if large else self._luck.randrange(1_000_000)
            self._sent = number
            self._record.sent[self._room].add(self._marker(number))
            try:
                await peer.send(wire.update(doc.get_update(vector)), wire.acknowledge(number))
            except ConnectionClosed:
                return
            vector = doc.get_state()
            while self._sent - self._acknowledged >= self._window:
                self._room_for_more = anyio.Event()
                await self._room_for_more.wait()

    async def _listen(self, peer: wire.Peer) -> None:
        async for frame in peer.rest():
            version = wire.acknowledged_version(frame)
            if version is None:
                continue
            # One acknowledgement covers everything before it.
            for number in range(self._acknowledged + 1, version + 1):
                self._record.note(self._room, self._marker(number))
            self._acknowledged = max(self._acknowledged, version)
            self._room_for_more.set()

    def _marker(self, number: int) -> str:
        return f"{self._name}.{number}"


def holes(found: set[str]) -> list[str]:
    """Markers that are absent although a later one of the same writer is there."""
    last: defaultdict[str, int] = defaultdict(int)
    for marker in found:
        writer, _, number = marker.rpartition(".")
        last[writer] = max(last[writer], int(number))
    expected = {f"{writer}.{n}" for writer, most in last.items() for n in range(1, most + 1)}
    return sorted(expected - found)
