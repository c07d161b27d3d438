"""A server program that lives and dies with this process.

Knows how to start one, how to make sure that it ends with us (also when we are killed), how to
recognise one that an earlier process left behind, and how to claim a folder so that two processes
never serve it. Knows nothing of PostgreSQL or Redis; `base/embedded.py` does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import psutil

from base import clock, log
from base.errors import AppError
from base.places import ServerFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from base.places import Account

_log = log.get(__name__)

PROGRESS_SECONDS: Final = 5.0
"""How often a long start (crash recovery) says that it is still going on."""

LOG_BYTES: Final = 10 * 1024 * 1024
"""Size from which a server's log is set aside at its next start."""


class DataFolderInUse(AppError):
    """The data folder is in use by another process."""

    code = "data_folder_in_use"


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


class Claim:
    """The right of one living process to serve a folder: a lock on a file, gone when we are.

    The file stays; only the lock counts. Its content (our process id) serves the message.
    """

    def __init__(self, path: Path) -> None:
        """Take the claim at once. Raises DataFolderInUse, ServerFailed if the file is not ours."""
        self._descriptor = _open_lock(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            process = holder(path)
            raise DataFolderInUse(
                f"The data folder {path.parent} is in use by process {process}. "
                "Stop that one first, or choose another folder with --data.",
                process=process,
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        # A forked worker would hold the lock as long as it lives, also without us.
        _claims.add(self)

    def release(self) -> None:
        """Give it up; a second time does nothing."""
        if self in _claims:
            _claims.discard(self)
            os.close(self._descriptor)

    def forget(self) -> None:
        """In a forked process: close the copy of the descriptor. The lock stays the parent's."""
        os.close(self._descriptor)


def _open_lock(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise ServerFailed(
            f"{path} belongs to another account. Start the server as that account or as root, or "
            "choose another folder with --data."
        ) from None


_claims: set[Claim] = set()


def _forget_claims() -> None:
    for claim in _claims:
        claim.forget()
    _claims.clear()


os.register_at_fork(after_in_child=_forget_claims)


def claimed(path: Path) -> bool:
    """Whether a living process holds this claim."""
    try:
        descriptor = _open_lock(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(path: Path) -> str:
    """The id of the process that took this claim last, as text for a message."""
    return path.read_text(errors="replace").strip() or "unknown"


def left_behind(programs: Collection[str], folder: Path) -> list[psutil.Process]:
    """Servers of an earlier process (and their workers) that still work in this folder.

    Both servers keep their data folder as their working directory, which tells them from a
    stranger that has got the process id in some old pid file.
    """
    found: list[psutil.Process] = []
    wanted = folder.stat()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() in programs and process.pid != os.getpid():
                there = Path(process.cwd()).stat()
                if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
                    found.append(process)
    return found


def _alive(process: psutil.Process) -> bool:
    """A zombie is not: where nobody collects the orphans of a container, it stays for good."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_left_behind(
    processes: Sequence[psutil.Process], *steps: tuple[signal.Signals, float]
) -> None:
    """Ask them to end, with each signal in turn and its patience in seconds.

    Workers of another one in the list are not asked; they end with it. Raises ServerFailed when
    one stays.
    """
    pids = {process.pid for process in processes}
    alive = list(processes)
    for number, seconds in steps:
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.ppid() not in pids:
                    process.send_signal(number)
        until = clock.monotonic() + seconds
        while (alive := [one for one in alive if _alive(one)]) and clock.monotonic() < until:
            psutil.wait_procs(alive, timeout=0.1)
        if not alive:
            return
    raise ServerFailed(f"Process {alive[0].pid} of an earlier run does not end; end it by hand.")
