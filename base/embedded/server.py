"""One embedded server: how it is claimed, started, started again, and stopped.

What PostgreSQL and Redis have in common. Knows neither their programs nor how they are asked
whether they are ready; `postgres.py` and `redis.py` do.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from base import log
from base.embedded import claim, places, programs
from base.embedded.places import ServerFailed

if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from base.embedded.child import Child

_log = log.get(__name__)

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
        self._programs = programs.Programs()
        self._version = "unknown"
        self._claim: claim.Claim | None = None
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
        self._claim = claim.Claim(self._lock_file)
        self._stopping.clear()
        try:
            self._prepare()
            server = self._child = self._launch()
            server.wait_until(self._ready)
            if not server.running:
                raise ServerFailed(f"{self.name} ended at its start: {last_words(self._output)}")
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
        return self.url if claim.claimed(self._lock_file) and self._folder.exists() else None

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


def last_words(output: Path) -> str:
    """The last lines of a log, for a message."""
    lines = output.read_text(errors="replace").splitlines() if output.exists() else []
    return " | ".join(lines[-5:]) + f" (more in {output})"
