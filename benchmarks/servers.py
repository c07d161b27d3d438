"""The servers under test: started on one core with everything that belongs to them, and stopped.

A peer is one Node process that stores nothing. SyncSphere is the process that `syncsphere serve`
starts, with its embedded PostgreSQL and Redis as children, journal on, in a fresh data directory;
an account and the rooms are made over REST. Children inherit the core.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from benchmarks import peers, procs

ROOT = Path(__file__).parent.parent
WORK = Path(__file__).parent / "work"
Y_WEBSOCKET, HOCUSPOCUS, SYNCSPHERE = "y-websocket", "Hocuspocus", "SyncSphere"
NAMES = (Y_WEBSOCKET, HOCUSPOCUS, SYNCSPHERE)
STOP_SECONDS = 30.0
ENVIRONMENT = {
    # One account opens every connection of a case; the limit per account is not what is measured.
    "SYNCSPHERE_CONNECTIONS_PER_USER": "100000",
    # Nor are limits on floods: a flood from one address is what a benchmark is. The peers have none.
    "SYNCSPHERE_CONNECTS_PER_MINUTE": "0",
    "SYNCSPHERE_UPDATES_PER_SECOND": "0",
    "SYNCSPHERE_UPDATE_BYTES_PER_SECOND": "0",
    "SYNCSPHERE_RATE_LIMIT_PER_MINUTE": "0",
    # One sign-in for all rounds.
    "SYNCSPHERE_ACCESS_MINUTES": "1440",
    "SYNCSPHERE_LOG_LEVEL": "warning",
}


class ServerError(RuntimeError):
    """A server did not start, or did not answer as it should."""


@dataclass(slots=True)
class Server:
    """One server that runs."""

    name: str
    process: subprocess.Popen[str]
    host: str
    port: int
    log: IO[str]
    data: Path
    path: str = "/"
    token: str = ""
    rooms: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()

    @property
    def pid(self) -> int:
        """Root of the process tree."""
        return self.process.pid

    def stop(self) -> None:
        """End the server and what it started, then forget its data."""
        self.end(signal.SIGTERM)
        shutil.rmtree(self.data, ignore_errors=True)

    def end(self, how: signal.Signals) -> None:
        """Signal the server and wait; what does not end is killed."""
        family = procs.tree(self.pid)
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for member in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
            self.process.wait(STOP_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()


def start(name: str, core: int, *, rooms: int) -> Server:
    """Start one server by its name, pinned, with that many rooms to use."""
    shutil.rmtree(WORK / name, ignore_errors=True)
    (WORK / name).mkdir(parents=True)
    if name == SYNCSPHERE:
        (WORK / f"{name}.log").unlink(missing_ok=True)
        server = _serve(WORK / name, core)
        try:
            server.token = _account(server)
            made = [_project(server, number) for number in range(rooms)]
        except BaseException:
            server.stop()
            raise
        server.projects = tuple(project for project, _ in made)
        server.rooms = tuple(room for _, room in made)
        return server
    script = "y-websocket.mjs" if name == Y_WEBSOCKET else "hocuspocus.mjs"
    log = (WORK / f"{name}.log").open("w")
    process = _spawn(("node", script), core, peers.PEERS, log)
    port = int(cast("dict[str, int]", json.loads(_line(name, process)))["port"])
    server = Server(name, process, "127.0.0.1", port, log, WORK / name)
    server.rooms = tuple(f"room-{number}" for number in range(rooms))
    return server


def restart(server: Server, core: int) -> Server:
    """Kill SyncSphere without warning and start it again on the same data."""
    server.end(signal.SIGKILL)
    again = _serve(server.data, core)
    again.token, again.rooms, again.projects = server.token, server.rooms, server.projects
    return again


def snapshot(server: Server, project: str) -> bytes:
    """The project's document as one Yjs update, over REST."""
    request = urllib.request.Request(
        f"http://{server.host}:{server.port}/api/projects/{project}/snapshot?format=yjs",
        headers={"Authorization": f"Bearer {server.token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return cast("bytes", answer.read())


def _serve(data: Path, core: int) -> Server:
    command = (sys.executable, "-m", "syncserver", "serve", "--port", "0", "--data", str(data))
    log = (WORK / f"{SYNCSPHERE}.log").open("a")
    process = _spawn(command, core, ROOT, log)
    ready = re.search(r"ready at (http://\S+)", _line(SYNCSPHERE, process))
    if ready is None:
        process.terminate()
        raise ServerError("SyncSphere printed no ready line")
    url = urlsplit(ready[1])
    host, port = url.hostname or "", url.port or 0
    return Server(SYNCSPHERE, process, host, port, log, data, path="/sync/")


def _spawn(
    command: tuple[str, ...], core: int, directory: Path, log: IO[str]
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )


def _line(name: str, process: subprocess.Popen[str]) -> str:
    """The first line that the server prints. Raises ServerError when it ends instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait(STOP_SECONDS)
        raise ServerError(f"{name} ended with {process.returncode} before it was ready")
    return line


def _account(server: Server) -> str:
    account = {"email": "bench@example.org", "password": "a long enough passphrase"}
    _post(server, "/api/auth/register", {**account, "username": "bench"})
    return str(_post(server, "/api/auth/login", account)["token"])


def _project(server: Server, number: int) -> tuple[str, str]:
    """Id and room id of a new, empty project (openDAW projects start without a seed)."""
    made = _post(server, "/api/projects", {"name": f"Benchmark {number}", "kind": "opendaw"})
    return str(made["id"]), str(made["roomId"])


def _post(server: Server, path: str, body: dict[str, str]) -> dict[str, object]:
    headers = {"Content-Type": "application/json"}
    if server.token:
        headers["Authorization"] = f"Bearer {server.token}"
    request = urllib.request.Request(
        f"http://{server.host}:{server.port}{path}", json.dumps(body).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return cast("dict[str, object]", json.load(answer))
