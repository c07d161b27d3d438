"""The updates of one author in one turn of a room, and where each came from (no I/O)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from syncserver import connection


class Source(Protocol):
    """Where an update came from: a client, or a request over REST."""

    @property
    def author(self) -> UUID | None:
        """The account, None for a guest."""
        ...

    @property
    def since(self) -> float:
        """When it came to the room, on the monotonic clock."""
        ...

    def refuse(self, why: connection.Refusal, /) -> None:
        """Learn that an update was not taken."""
        ...


class Group:
    """The updates of one author in one turn, in order of arrival, and who sent each."""

    __slots__ = ("sources", "updates")

    def __init__(self, sources: list[Source], updates: list[bytes]) -> None:
        self.sources = sources
        self.updates = updates

    def only(self, keep: Callable[[int], bool]) -> Group:
        """Those whose index is to be kept."""
        kept = [index for index in range(len(self.updates)) if keep(index)]
        return Group([self.sources[i] for i in kept], [self.updates[i] for i in kept])

    def extend(self, other: Group) -> None:
        """The other's after these."""
        self.sources += other.sources
        self.updates += other.updates

    def without(self, offender: Source | None) -> Group:
        """Those that did not come from the offender."""
        return self.only(lambda index: self.sources[index] is not offender)
