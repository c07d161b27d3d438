"""SIGKILL under load, again and again; what was acknowledged must be there afterwards.

    python -m tests.crash.rounds --rounds 20

prints one line per round and ends with 1 if anything acknowledged was lost or a document damaged.
The ways to die take turns: the server alone (its PostgreSQL and Redis stay behind), PostgreSQL and
then the server, everything at once, and PostgreSQL's backends under a server that has to live on.
"""

# ruff: noqa: T201 (a command line entry talks to a person)

from __future__ import annotations

import argparse
import random
import signal
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import psutil
import pycrdt

from base import clock
from tests.crash import writers
from tests.e2e import harness, node, rest, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.rest import Account, Project

ROOMS = 4
WRITERS = 3
"""Connections per room."""
PATIENCE = 40.0
"""Seconds in which the load of one round has to be acknowledged."""


class Death(StrEnum):
    """What gets SIGKILL."""

    SERVER = "server"
    DATABASE = "postgres, then server"
    EVERYTHING = "everything"
    BACKENDS = "postgres backends, later server"


class StalledError(AssertionError):
    """The server lives and acknowledges nothing any more; carries its output."""


class Result(NamedTuple):
    """One round."""

    death: Death
    sent: int
    acknowledged: int
    found: int
    missing: list[str]
    """Acknowledged (in this or an earlier round) and not there."""
    holes: list[str]
    """Not there although a later marker of the same writer is."""
    ready_seconds: float

    @property
    def ok(self) -> bool:
        return not self.missing and not self.holes


class Campaign:
    """Rounds against one data directory: what was acknowledged long ago has to stay as well."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._luck = random.Random(seed)
        self._record = writers.Record()
        self._round = 0

    async def prepare(self) -> None:
        """Somebody with a few projects; the server is running already."""
        async with rest.Rest(self._server.url) as api:
            self._owner: Account = await api.account("writer")
            self._quiet = await api.project(self._owner, "Quiet")
            self._projects: list[Project] = [
                await api.project(self._owner, f"Crash {number}") for number in range(ROOMS)
            ]

    async def round(self, death: Death) -> Result:
        """Load, die, start, read with empty clients. The server is running afterwards."""
        self._round += 1
        before = self._record.total_sent, self._record.total_acknowledged
        try:
            with anyio.fail_after(PATIENCE):
                await self._load_and_kill(death)
        except TimeoutError:
            raise StalledError(
                f"{death}: no more acknowledgements\n{self._server.output}"
            ) from None
        started = clock.monotonic()
        await self._server.start()
        ready = clock.monotonic() - started
        missing: list[str] = []
        torn: list[str] = []
        found = 0
        for project in self._projects:
            there = await self._read(project)
            found += len(there)
            missing += sorted(self._record.acknowledged[project.room_id] - there)
            torn += writers.holes(there)
            # Markers nobody ever sent would be damage as well.
            torn += sorted(there - self._record.sent[project.room_id])
        sent, acknowledged = before
        return Result(
            death,
            self._record.total_sent - sent,
            self._record.total_acknowledged - acknowledged,
            found,
            missing,
            torn,
            ready,
        )

    async def _load_and_kill(self, death: Death) -> None:
        if death is Death.BACKENDS:
            await self._leave_a_question_unread()
        begin = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for project in self._projects:
                for number in range(WRITERS):
                    name = f"r{self._round}w{number}"
                    writer = writers.Writer(self._record, project, name)
                    await tasks.start(writer.run, self._server.ws_url, self._owner.token, begin)
            begin.set()
            # Luck chooses the moment, in acknowledgements and not in seconds.
            await self._record.more(self._luck.randint(300, 2500))
            if death is Death.BACKENDS:
                self._luck.choice(self._backends()).kill()
                await self._record.more(WRITERS * ROOMS * writers.WINDOW * 2)
            self._kill(death)

    async def _read(self, project: Project) -> set[str]:
        """The markers that an empty client gets; REST must tell the same story."""
        async with (
            wire.peer(self._server.ws_url, project.room_id, self._owner.token) as empty,
            rest.Rest(self._server.url) as api,
        ):
            there = await empty.document_keys(writers.ROOT)
            copy: pycrdt.Doc[pycrdt.Map[object]] = pycrdt.Doc()
            copy.apply_update(await api.snapshot_update(self._owner, project))
            assert set(copy.get(writers.ROOT, type=pycrdt.Map[object]).keys()) == there
            told = await api.snapshot_json(self._owner, project)
            assert {key for key in there if node.at(told, writers.ROOT, key) is None} == set()
            assert node.size(told, writers.ROOT) == len(there)
            return there

    def _kill(self, death: Death) -> None:
        if death is Death.DATABASE:
            kill_all(self._server.embedded("postgres"))
        left = self._server.embedded() if death is Death.EVERYTHING else []
        self._server.kill()
        kill_all(left)

    async def _leave_a_question_unread(self) -> None:
        """PostgreSQL's processes for our connections die before they read what we sent them.

        Stopped first, so that the journal's statement waits in their sockets, and then told to
        quit: our end finds their last words and, behind those, a reset. PostgreSQL takes it for a
        crash, ends every connection and recovers; the update has to get through all the same.
        """
        async with wire.peer(self._server.ws_url, self._quiet.room_id, self._owner.token) as peer:
            await peer.acknowledged()
            backends = self._backends()
            for process in backends:
                process.suspend()
            await peer.send(wire.update(wire.small_update("quiet", f"round {self._round}", 1)))
            for _ in range(50):  # turns of the server's loop, far more than a group waits for
                await peer.pull()
            for process in backends:
                process.send_signal(signal.SIGQUIT)
                process.resume()
            await peer.acknowledged()

    def _backends(self) -> list[psutil.Process]:
        found = [
            process
            for process in self._server.embedded("postgres")
            if any("[local]" in word for word in process.cmdline())
        ]
        assert found, "no PostgreSQL backend found"
        return found


def kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue  # a child of one that died before it
    psutil.wait_procs(processes, timeout=10)


async def campaign(data: Path, deaths: list[Death], seed: int) -> list[Result]:
    """All the rounds, printed as they end."""
    results: list[Result] = []
    async with harness.running(data) as server:
        work = Campaign(server, seed)
        await work.prepare()
        print("round    sent  acked   found missing damaged ready s  killed")
        for number, death in enumerate(deaths, 1):
            one = await work.round(death)
            results.append(one)
            print(
                f"{number:>5}  {one.sent:>6} {one.acknowledged:>6} {one.found:>7} "
                f"{len(one.missing):>7} {len(one.holes):>7} {one.ready_seconds:>7.2f}"
                f"  {one.death}",
                flush=True,
            )
        await server.stop()
    return results


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, help="keep the data directory here")
    chosen = parser.parse_args()
    ways = list(Death)
    deaths = [ways[number % len(ways)] for number in range(chosen.rounds)]
    with tempfile.TemporaryDirectory() as temporary:
        data = chosen.data or Path(temporary) / "data"
        results = anyio.run(campaign, data, deaths, chosen.seed)
    lost = sum(len(one.missing) for one in results)
    acknowledged = sum(one.acknowledged for one in results)
    print(f"{len(results)} rounds, {acknowledged} markers acknowledged, {lost} lost")
    return 0 if all(one.ok for one in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
