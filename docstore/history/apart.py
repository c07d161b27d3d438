"""How far lines of a history are from one of them: commits that the one has and the other has not.

Told commits from the youngest on, it knows when the rest is common to all and need not be told. It
relies on a commit's id being greater than its parents' (migration 0005): when a commit's turn
comes, every line that leads to it has been told.
Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID


class Apart(NamedTuple):
    """Numbers of commits."""

    ahead: int
    """That the line has and the main one has not."""
    behind: int
    """The other way round."""


class Counting:
    """Counts while it is told commits. Lines are bits, the main one the lowest."""

    def __init__(self, main: UUID | None, heads: Sequence[UUID | None]) -> None:
        """The lines' newest commits. None: a line that has none yet."""
        self._lines = len(heads)
        self._all = (1 << len(heads) + 1) - 1
        self._open: dict[UUID, int] = {}
        """Commits whose turn comes, and the lines that lead to them."""
        self._apart = 0
        """How many of those not all lines lead to."""
        self._counts: Counter[int] = Counter()
        """Commits by the lines that have them."""
        for line, head in enumerate((main, *heads)):
            if head is not None:
                self._reach(head, 1 << line)

    @property
    def done(self) -> bool:
        """Whether what comes now is common to all."""
        return not self._apart

    def tell(self, commits: Iterable[tuple[UUID, Sequence[UUID]]]) -> None:
        """Commits and their parents, younger ones first, also those that no line leads to."""
        for commit, parents in commits:
            if self.done:
                return
            lines = self._open.pop(commit, 0)
            if not lines:
                continue
            self._apart -= lines != self._all
            self._counts[lines] += 1
            for parent in parents:
                self._reach(parent, lines)

    def result(self) -> list[Apart]:
        """Of each line, in the order in which they were given."""
        found: list[Apart] = []
        for line in range(1, self._lines + 1):
            ahead = behind = 0
            for lines, count in self._counts.items():
                has, main = lines >> line & 1, lines & 1
                ahead += count * (has > main)
                behind += count * (main > has)
            found.append(Apart(ahead, behind))
        return found

    def _reach(self, commit: UUID, lines: int) -> None:
        had = self._open.get(commit, 0)
        has = self._open[commit] = had | lines
        self._apart += (has != self._all) - (had not in (0, self._all))
