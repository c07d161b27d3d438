"""Who waits for the journal: callbacks by ticket, called when everything up to it is durable (no I/O)."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress(Protocol):
    """How far the journal is."""

    @property
    def durable(self) -> int:
        """Every ticket up to this one is committed."""
        ...


class Durability:
    """Rooms ask with tickets in any order, so a heap; equal tickets are answered in the order of asking."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._asked = 0

    def when(self, ticket: int, then: Callable[[], None]) -> None:
        """Call `then` once `ticket` is durable; at once if it is."""
        if ticket <= self._progress.durable:
            then()
            return
        self._asked += 1
        heapq.heappush(self._waiting, (ticket, self._asked, then))

    def reached(self, ticket: int) -> None:
        """The journal's listener."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= ticket:
            heapq.heappop(waiting)[2]()
