"""SIGKILL while history is written: commits, merges, restores, compactions, collecting, squashes.

    python -m tests.crash.history --rounds 20

prints one line per round and ends with 1 if anything acknowledged was lost, or if `verify` finds
anything. People type all the while; the moment to die is counted in what was acknowledged to them.
"""

# ruff: noqa: T201 (a command line entry talks to a person)

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio
import httpx
from websockets.exceptions import WebSocketException

from base.db import Database
from base.embedded import EmbeddedPostgres
from docstore.history import verify
from tests.crash import writers
from tests.crash.rounds import Death, kill_all
from tests.e2e import harness, rest, wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.e2e.harness import Server
    from tests.e2e.rest import Account, Project

WRITERS: Final = 2
PATIENCE: Final = 120.0
"""Seconds in which the load of one round has to be acknowledged."""

ENVIRON: Final = {
    "SYNCSPHERE_HISTORY_RETENTION_DAYS": "0",
    "SYNCSPHERE_COMPACT_ROWS": "100",
}
DEATHS: Final = (Death.SERVER, Death.DATABASE, Death.EVERYTHING)


class Result(NamedTuple):
    """One round."""

    death: Death
    acknowledged: int
    done: Counter[str]
    """Operations that were answered, by name."""
    under_way: list[str]
    """Operations that the kill cut off."""
    missing: list[str]
    findings: list[verify.Finding]
    odd: list[str]
    """Answers that nobody should get."""

    @property
    def ok(self) -> bool:
        return not (self.missing or self.findings or self.odd)


class Campaign:
    """Rounds against one data directory."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._luck = random.Random(seed)
        self._record = writers.Record()
        self._names = 0

    async def prepare(self) -> None:
        """Somebody with two projects: in one nothing may be lost, the other goes back and forth."""
        async with rest.Rest(self._server.url) as api:
            self._owner: Account = await api.account("writer")
            self._kept: Project = await api.project(self._owner, "Kept", kind="opendaw")
            self._loose: Project = await api.project(self._owner, "Loose", kind="opendaw")

    async def round(self, death: Death) -> Result:
        """Load, die, start, look. The server is running afterwards."""
        self._done: Counter[str] = Counter()
        self._under_way: list[str] = []
        self._odd: list[str] = []
        self._begun, self._target, self._reached = 0, 0, anyio.Event()
        before = self._record.total_acknowledged
        with anyio.fail_after(PATIENCE):
            await self._load_and_kill(death)
        await self._server.start()
        room = self._kept.room_id
        async with wire.peer(self._server.ws_url, room, self._owner.token) as empty:
            there = await empty.document_keys(writers.ROOT)
        return Result(
            death,
            self._record.total_acknowledged - before,
            self._done,
            self._under_way,
            sorted(self._record.acknowledged[room] - there),
            await self._findings(),
            self._odd,
        )

    def begin(self, name: str) -> None:
        """An operation is under way."""
        self._under_way.append(name)
        self._begun += 1
        if self._begun >= self._target:
            self._reached.set()

    async def _findings(self) -> list[verify.Finding]:
        database = await Database.open(self._url(), size=2)
        try:
            told = [each async for each in verify.verify(database)]
        finally:
            await database.close()
        assert len(told) >= 6, "two projects are looked at"
        return [each for each in told if isinstance(each, verify.Finding)]

    def _url(self) -> str:
        url = EmbeddedPostgres(self._server.data).running_url()
        assert url is not None, "the server is up, and so is its database"
        return url

    def _collector(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.crash.collector", self._url()]
        return subprocess.Popen(command, cwd=harness.ROOT, stderr=subprocess.DEVNULL)

    async def _load_and_kill(self, death: Death) -> None:
        collector = self._collector()
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(WRITERS):
                    tasks.start_soon(self._type)
                tasks.start_soon(self._work, self._kept, self._keeping)
                tasks.start_soon(self._work, self._loose, self._going_back)
                # Luck chooses the moment, in operations and acknowledgements, not in seconds.
                self._target, self._reached = self._luck.randint(3, 24), anyio.Event()
                await self._reached.wait()
                await self._record.more(self._luck.randint(1, 100))
                collector.kill()
                if death is Death.DATABASE:
                    kill_all(self._server.embedded("postgres"))
                left = self._server.embedded() if death is Death.EVERYTHING else []
                self._server.kill()
                kill_all(left)
        finally:
            collector.kill()
            collector.wait()

    async def _type(self) -> None:
        """Markers until the server is gone; a squash sends the writer to a new beginning."""
        while self._server.alive:
            self._names += 1
            writer = writers.Writer(self._record, self._kept, f"w{self._names}x", window=1)
            with contextlib.suppress(OSError, WebSocketException, anyio.EndOfStream, TimeoutError):
                async with anyio.create_task_group() as tasks:
                    begin = anyio.Event()
                    begin.set()
                    url, token = self._server.ws_url, self._owner.token
                    await tasks.start(writer.run, url, token, begin)

    async def _work(self, project: Project, one: Callable[[Asker], Awaitable[None]]) -> None:
        """One operation after another until the server is gone."""
        async with httpx.AsyncClient(base_url=self._server.url, timeout=30) as http:
            asker = Asker(self, http, project)
            with contextlib.suppress(httpx.TransportError):
                while True:
                    await one(asker)

    async def _keeping(self, ask: Asker) -> None:
        """What takes nothing away of what is said now."""
        match self._luck.randrange(8):
            case 0 | 1 | 2:
                await ask("POST", "commit", {"message": "so far"})
            case 3 | 4:
                name = f"b{self._luck.randrange(10**9)}"
                await ask("POST", "branch", {"name": name})
                body = {"into": "main", "message": "back"}
                await ask("POST", f"branches/{name}/merge", body)
                await ask("DELETE", f"branches/{name}?force=true")
            case 5 | 6:
                at = await ask.moment()
                await ask("POST", "prune", {"before": at})
            case _:
                await ask("POST", "squash", {})

    async def _going_back(self, ask: Asker) -> None:
        """What changes what is said."""
        key = f"k{self._luck.randrange(20)}"
        update = wire.small_update("m", f"{key}-{self._luck.randrange(10**6)}", 1)
        await ask("POST", "updates", update)
        await ask("POST", "commit", {"message": key})
        listed = await ask("GET", "commits?limit=20")
        items = listed.get("items", [])
        if not items:
            return
        commit = self._luck.choice(items)["id"]
        match self._luck.randrange(4):
            case 0 | 1:
                await ask("POST", "restore", {"commitId": commit})
            case 2:
                await ask("POST", "revert", {"commitId": commit, "message": "no"})
            case _:
                await ask("POST", "squash", {"message": "small"})


class Asker:
    """Requests about one project, counted; what is answered in an odd way is kept."""

    def __init__(self, campaign: Campaign, http: httpx.AsyncClient, project: Project) -> None:
        self._campaign = campaign
        self._http = http
        self._project = project

    async def __call__(
        self, method: str, path: str, body: dict[str, Any] | bytes | None = None
    ) -> dict[str, Any]:
        name = path.partition("?")[0].rpartition("/")[2] if method == "POST" else method
        headers = dict(self._campaign._owner.headers)
        given: dict[str, Any] = {"json": body} if isinstance(body, dict) else {}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/octet-stream"
            given = {"content": body}
        self._campaign.begin(name)
        url = f"/api/projects/{self._project.id}/{path}"
        answer = await self._http.request(method, url, headers=headers, **given)
        self._campaign._under_way.remove(name)
        if answer.status_code >= 500 and answer.status_code != 503:
            if self._campaign._server.alive:
                self._campaign._odd.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        elif answer.is_success:
            self._campaign._done[name] += 1
        return answer.json() if answer.is_success and answer.content else {}

    async def moment(self) -> str:
        """A while ago, by the server's clock."""
        listed = await self("GET", "commits?limit=5")
        items = listed.get("items", [])
        return items[-1]["createdAt"] if items else "2020-01-01T00:00:00Z"


async def campaign(data: Path, rounds: int, seed: int) -> list[Result]:
    """All the rounds, printed as they end."""
    results: list[Result] = []
    async with harness.running(data, environ=ENVIRON) as server:
        work = Campaign(server, seed)
        await work.prepare()
        for number in range(rounds):
            one = await work.round(DEATHS[number % len(DEATHS)])
            results.append(one)
            done = ", ".join(f"{count} {name}" for name, count in sorted(one.done.items()))
            print(
                f"{number + 1:>3}  {one.acknowledged:>5} acked  {len(one.missing)} lost  "
                f"{len(one.findings)} findings  {len(one.odd)} odd  killed {one.death} during "
                f"{' and '.join(one.under_way) or 'nothing'}; done {done}",
                flush=True,
            )
            for finding in one.findings:
                print(f"     {finding.kind} {finding.where}")
            for odd in one.odd:
                print(f"     {odd}")
        await server.stop()
    return results


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.history", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, help="keep the data directory here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = chosen.data or Path(temporary) / "data"
        results = anyio.run(campaign, data, chosen.rounds, chosen.seed)
    acknowledged = sum(one.acknowledged for one in results)
    lost = sum(len(one.missing) for one in results)
    findings = sum(len(one.findings) for one in results)
    print(f"{len(results)} rounds, {acknowledged} acknowledged, {lost} lost, {findings} findings")
    return 0 if all(one.ok for one in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
