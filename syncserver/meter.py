"""How much a socket may say in a while: a bucket that fills with time (no I/O).

Whoever counts keeps the number itself, and comes here only once it is below zero, so that counting
costs a subtraction and a comparison.
"""

from __future__ import annotations

from typing import Final

_BURST_SECONDS: Final = 20
"""So much may be said at once after a silence: a client that was offline has a lot to tell."""
_RESUME_SECONDS: Final = 0.1
"""Who had to wait waits until this much is there, or it would wait again at once."""
_NO_LIMIT: Final = (1 << 30) - 1
"""Python counts down no faster from larger numbers; one that is used up is simply given again."""


class Meter:
    """One bucket. `rate` a second, 0 for no limit; it begins full."""

    __slots__ = ("_at", "_most", "_rate")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._most = rate * _BURST_SECONDS
        self._at = now

    @property
    def full(self) -> int:
        """What may be said at once."""
        return self._most if self._rate else _NO_LIMIT

    def refilled(self, left: int, now: float) -> int:
        """What is left, with what has come back since this was asked last."""
        if not self._rate:
            return _NO_LIMIT
        back = int((now - self._at) * self._rate)
        if back:
            # Not `now`: what is less than one must not be lost, however often this is asked.
            self._at += back / self._rate
        return min(self._most, left + back)

    def wait(self, left: int) -> float:
        """Seconds until somebody with so little left may go on; 0: now."""
        return 0.0 if left >= 0 else -left / self._rate + _RESUME_SECONDS
