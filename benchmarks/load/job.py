"""What the generator is asked to do, and what it answers: the JSON between it and `benchmarks.run`.

A job names one scenario, one server that is already running, and the numbers of the case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from benchmarks.load import dialects

Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One measurement of one server."""

    scenario: str
    server: str
    host: str
    port: int
    pid: int
    """Root of the server's process tree; its CPU and memory are read from /proc."""
    rooms: tuple[str, ...]
    path: str
    """Where WebSockets open, for example `/sync/`; the room follows unless the dialect names it."""
    hocuspocus: bool
    token: str
    numbers: dict[str, float]
    files: dict[str, str] = field(default_factory=dict[str, str])

    def dialect(self, room: str) -> dialects.Dialect:
        """How to talk about this room on this server."""
        return dialects.hocuspocus(room) if self.hocuspocus else dialects.y_websocket()

    def target(self, room: str) -> str:
        """The path and query of this room's WebSocket."""
        path = self.path if self.hocuspocus else self.path + room
        return f"{path}?token={quote(self.token)}" if self.token else path

    def whole(self, name: str) -> int:
        """A number of the case that counts something."""
        return int(self.numbers[name])


@dataclass(slots=True)
class Outcome:
    """Figures by name (seconds, bytes, counts: base units) and remarks for the reader."""

    figures: Figures = field(default_factory=dict[str, float])
    notes: list[str] = field(default_factory=list[str])
