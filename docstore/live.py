"""What history asks of a document that is edited live, wherever it lives. Pure."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


class Difference(NamedTuple):
    """What a live document has that somebody lacks, all of one moment."""

    update: bytes
    """What is behind the state vector that was asked for, and every deletion."""
    state_vector: bytes
    """What the document holds, per client."""
    incarnation: int
    """While this is the same, the document only grows. Unique within the process."""


@runtime_checkable
class Source(Protocol):
    """A live document. Both raise what the room raises that it is in."""

    @property
    def document_id(self) -> int:
        """Which one."""
        ...

    async def snapshot(self) -> bytes:
        """All of it as one v1 update, without what is pending."""
        ...

    async def diff(self, state_vector: bytes) -> Difference:
        """What it has beyond a state vector (v1) that came from it, or from an empty document."""
        ...
