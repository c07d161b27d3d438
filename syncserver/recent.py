"""What the last changes were about, for whoever asked the database while they were heard (no I/O).

An admission takes a while; what changed meanwhile may be missing in what it was told.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

REMEMBERED: Final = 1000
"""Changes; of whoever missed more of them all that they know may be old."""


class Recent:
    """Counts changes, and knows of each of the last what it was about.

    However many sessions one change ends, it is one: only those concerned have to ask again.
    """

    def __init__(self) -> None:
        self.heard = 0
        """How many changes there were."""
        self._latest: deque[frozenset[UUID] | None] = deque(maxlen=REMEMBERED)

    def note(self, about: Iterable[UUID] | None) -> None:
        """One more change, of these projects, accounts, sessions or keys; None: of everything."""
        self._latest.append(None if about is None else frozenset(about))
        self.heard += 1

    def concerned(self, since: int, by: set[UUID]) -> bool:
        """Whether one of these changed since `heard` was so much."""
        missed = self.heard - since
        if missed > len(self._latest):
            return True
        latest = islice(reversed(self._latest), missed)
        return any(about is None or not by.isdisjoint(about) for about in latest)
