"""How many bytes of fresh states may be under way to slow clients at once (no I/O).

A slow reader is caught up with the document's state; a hundred of them must not each hold a copy.
"""

from __future__ import annotations


class Budget:
    """A bound in bytes. One request always fits when nothing else is out, however large it is."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._out = 0

    def take(self, size: int) -> bool:
        """Whether `size` bytes may go out now; they count until given back."""
        if self._out and self._out + size > self._most:
            return False
        self._out += size
        return True

    def give_back(self, size: int) -> None:
        """Bytes that were taken have arrived, or never will."""
        self._out -= size
