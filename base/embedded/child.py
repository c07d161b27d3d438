"""A server program that lives and dies with this process.

Knows how to start one, and how to make sure that it ends with us (also when we are killed). Knows
nothing of PostgreSQL or Redis, nor of what earlier processes left behind (`orphans.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Final

from base import clock, log
from base.embedded.places import ServerFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from base.embedded.places import Account

_log = log.get(__name__)

PROGRESS_SECONDS: Final = 5.0
"""How often a long start (crash recovery) says that it is still going on."""

LOG_BYTES: Final = 10 * 1024 * 1024
"""Size from which a server's log is set aside at its next start."""


# The launcher runs between us and the server: a fresh interpreter, so that no code of ours runs
# after a fork of a process with threads. It gives up root, asks Linux for a signal when the thread
# that started it dies (a change of account would clear that request, so it comes second), makes
# sure that this thread is not dead already, and becomes the server. Whatever it imports, it imports
# as root: the other account may not even be able to read the interpreter's library.
_LAUNCHER: Final = """
import ctypes, os, sys
parent, uid, gid, number, *command = sys.argv[1:]
libc = ctypes.CDLL(None)
if int(uid) >= 0:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if sys.platform == "linux":
    libc.prctl(1, int(number), 0, 0, 0)
if os.getppid() != int(parent):
    sys.exit("the starting process is gone")
os.umask(0o077)
# Nothing of our environment: no PG... variable may steer the server.
os.execve(command[0], command, {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"})
"""


class Child:
    """One running server program.

    A thread of its own starts it and waits for its end. Linux sends the death signal when the
    *thread* that started a child ends, so no borrowed worker thread may do that.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        output: Path,
        stop_signal: signal.Signals,
        account: Account | None = None,
        inherit: Sequence[int] = (),
        lasting: bool = True,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """Start it. `folder` becomes its working directory, `output` gets all that it prints.

        `stop_signal` asks it to end cleanly; it also gets that when this process dies (Linux).
        `inherit`: file descriptors that it shall have. `lasting`: an end that nobody asked for is
        an error to log, and calls `on_end`, in a thread that may take its time. Raises ServerFailed.
        """
        self.name = name
        self._command = list(command)
        self._folder = folder
        self._output = output
        self._stop_signal = stop_signal
        self._account = account
        self._inherit = inherit
        self._started = threading.Event()
        self._ended = threading.Event()
        self._stopping = not lasting
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        threading.Thread(target=self._keep, name=f"keeper of {name}", daemon=True).start()
        self._started.wait()
        if self._process is None:
            raise ServerFailed(f"{name} could not be started: {self._failure}") from self._failure

    @property
    def pid(self) -> int:
        """Of the server itself: the launcher becomes it."""
        assert self._process is not None  # set before __init__ returns
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    @property
    def exit_code(self) -> int | None:
        """Minus the signal's number when a signal ended it; None while it runs."""
        return self._process.returncode if self._process is not None else None

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most so long; whether it has ended."""
        return self._ended.wait(seconds)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Until `ready` says so or the server has ended; says every few seconds that it waits.

        No limit: replaying a long journal takes what it takes, and stop() ends the wait.
        """
        began = told = now = clock.monotonic()
        # Each question leaves a line in PostgreSQL's log: ask less often as time goes by.
        while not ready() and not self.wait(min(0.02 + (now - began) / 10, 1.0)):
            now = clock.monotonic()
            if now - told >= PROGRESS_SECONDS:
                told = now
                _log.info("server_still_starting", server=self.name, seconds=round(now - began))

    def stop(self, *harder: tuple[signal.Signals, float], seconds: float) -> None:
        """Ask it to end; ask harder after `seconds`, and again; kill it in the end."""
        self._stopping = True
        for number, patience in ((self._stop_signal, seconds), *harder, (signal.SIGKILL, 10.0)):
            self._send(number)
            if self.wait(patience):
                return
            _log.warning("server_slow_to_stop", server=self.name, after=number.name)
        raise ServerFailed(f"{self.name} (process {self.pid}) does not end")

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _keep(self) -> None:
        account = self._account
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        launcher += [str(account.uid), str(account.gid)] if account else ["-1", "-1"]
        launcher += [str(int(self._stop_signal)), *self._command]
        try:
            with _log_file(self._output) as output:
                self._process = subprocess.Popen(  # noqa: S603 (our own command)
                    launcher,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=self._inherit,
                    # Not in our process group: Ctrl-C is for us, we stop it when we are ready.
                    start_new_session=True,
                )
        except OSError as error:
            self._failure = error
            self._started.set()
            return
        self._started.set()
        code = self._process.wait()
        self._ended.set()
        if not self._stopping:
            _log.error("server_ended", server=self.name, exit_code=code, log=str(self._output))
            if self._on_end is not None:
                self._on_end()


def _log_file(path: Path) -> IO[bytes]:
    """Open for appending; a large one is set aside first, so that two at most are kept."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab")
