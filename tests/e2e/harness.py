"""The real server as a child process: start, kill, stop, restart, and what it printed.

Knows the command line, the ready line and signals; speaks no WebSocket and no REST (`wire.py`,
`rest.py`). SIGKILL hits the server process only: its embedded PostgreSQL and Redis may survive,
as they would on a user's machine, and the next start has to cope.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio.to_thread
import psutil

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(r"^SyncSphere ready at (?P<url>http://[^\s]+:(?P<port>\d+))\s")
SECRET = "a key that only the tests know, long enough for HS256"
SERVE = [sys.executable, "-m", "syncserver", "serve"]
START_SECONDS = 60.0
STOP_SECONDS = 20.0

QUICK = {
    "SYNCSPHERE_SECRET": SECRET,
    # The work factor is bcrypt's business, and has its own test; here it would only be waiting.
    "SYNCSPHERE_BCRYPT_COST": "4",
    # All clients of all tests come from one address.
    "SYNCSPHERE_RATE_LIMIT_PER_MINUTE": "0",
    "SYNCSPHERE_RATE_LIMIT_AUTH_PER_MINUTE": "0",
    "SYNCSPHERE_CONNECTS_PER_MINUTE": "0",
    # Most tests are not about mail; those that are start a server of their own.
    "SYNCSPHERE_VERIFY_EMAIL": "false",
}
"""What every test server differs in from the defaults."""


class ServerFailedError(AssertionError):
    """The server did not start, or did not stop as it should; carries its output."""


class Server:
    """One server process on one data directory; every start after the first keeps the port."""

    def __init__(self, data: Path, environ: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.url = ""
        self._environ = {**_inherited(), **QUICK, **(environ or {})}
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=2000)

    @property
    def ws_url(self) -> str:
        """What a stock `WebsocketProvider` takes as its server URL."""
        return self.url.replace("http://", "ws://") + "/sync"

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was never started"
        return self._process.pid

    @property
    def output(self) -> str:
        """The last lines of stdout and stderr, of every start."""
        return "\n".join(self._lines)

    async def start(self) -> None:
        """Start and wait for the ready line; ServerFailedError with the output otherwise."""
        await anyio.to_thread.run_sync(self._start)

    def kill(self) -> None:
        """SIGKILL the server process, and nothing else."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, wait, and insist on exit code 0."""
        await anyio.to_thread.run_sync(self._stop)

    async def restart(self) -> None:
        """An orderly stop (unless it is dead already), then a start on the same port."""
        if self.alive:
            await self.stop()
        await self.start()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def embedded(self, name: str = "") -> list[psutil.Process]:
        """Processes that live in our data directory (postgres, redis-server), by name if given.

        PostgreSQL changes into its directory and both name it in their command line, so they are
        found also when the server that started them is gone.
        """
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                ours = process.pid != os.getpid() and self._lives_here(process)
                if ours and process.name().startswith(name):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return [process for process in found if process.pid != (self._process and self.pid)]

    async def close(self) -> None:
        """Leave nothing running, whatever the test did. For teardown; asserts nothing."""
        await anyio.to_thread.run_sync(self._close)

    def _lives_here(self, process: psutil.Process) -> bool:
        here = str(self.data.resolve())
        return process.cwd().startswith(here) or any(here in word for word in process.cmdline())

    def _start(self) -> None:
        assert not self.alive, "the server is running already"
        # One for each start: the reader of a process that was killed ends whenever it likes.
        ready = threading.Event()
        self.url = ""
        self._process = subprocess.Popen(
            [*SERVE, "--port", str(self._port), "--data", str(self.data)],
            cwd=ROOT,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=[self._process.stdout, ready], daemon=True).start()
        if not ready.wait(START_SECONDS) or not self.url or not self.alive:
            self.kill()
            raise ServerFailedError(f"the server did not become ready:\n{self.output}")

    def _read(self, stream: IO[str], ready: threading.Event) -> None:
        with stream:
            for line in stream:
                self._lines.append(line.rstrip("\n"))
                if match := READY.match(line):
                    self.url, self._port = match["url"], int(match["port"])
                    ready.set()
        # The end of the output is the end of waiting for it, ready or not.
        ready.set()

    def _stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailedError(f"SIGTERM did not end the server:\n{self.output}") from None
        if code != 0:
            raise ServerFailedError(f"the server ended with {code}:\n{self.output}")

    def _close(self) -> None:
        if self._process is not None and self.alive:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        left = self.embedded()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                # PostgreSQL's fast shutdown, which also gives back its shared memory.
                process.send_signal(signal.SIGINT)
        _, stubborn = psutil.wait_procs(left, timeout=5)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _inherited() -> dict[str, str]:
    """Our environment without settings of a server that somebody may be running here."""
    everything = os.environ.items()
    return {key: value for key, value in everything if not key.startswith("SYNCSPHERE_")}


@contextlib.asynccontextmanager
async def running(
    data: Path, environ: Mapping[str, str] | None = None
) -> AsyncGenerator[Server, None]:
    """A started server for the length of a block."""
    server = Server(data, environ)
    try:
        await server.start()
        yield server
    finally:
        await server.close()
