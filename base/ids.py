"""Names for new things: UUIDs that sort by age, rooms that people can read aloud, Yjs clients."""

from __future__ import annotations

import secrets
import threading
import uuid

from base import clock

ROOM_ALPHABET = "bcdfghjkmnpqrstvwxyz23456789"
"""No vowels (no words by accident), no l, 0 or 1 (nothing to mistake)."""

ROOM_LENGTH = 12
"""28 letters to the twelfth: 57 bits, out of reach for a guesser behind a rate limit."""

CLIENT_BITS = 32
"""Of the ids that Yjs clients draw for themselves."""


class _Version7:
    """UUIDs of version 7 (RFC 9562, method 1), strictly growing within one process.

    The 12 bits behind the milliseconds count within a millisecond. When the wall clock steps back
    or the counter overflows, the sequence runs ahead of the clock instead of repeating itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0  # milliseconds << 12 | counter

    def next(self, unix_ms: int) -> uuid.UUID:
        # A random start in the lower half of the counter: 2,048 ids at least before it overflows.
        fresh = unix_ms << 12 | secrets.randbits(11)
        with self._lock:
            self._last = fresh if fresh >> 12 > self._last >> 12 else self._last + 1
            tick = self._last
        value = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64
        return uuid.UUID(int=value | 0b10 << 62 | secrets.randbits(62))


_version7 = _Version7()


def new_id() -> uuid.UUID:
    """A UUIDv7 larger than every one this process has made before."""
    return _version7.next(clock.unix_ms())


def new_room_id() -> str:
    """Twelve lower-case letters and digits, unguessable."""
    return "".join(secrets.choice(ROOM_ALPHABET) for _ in range(ROOM_LENGTH))


def new_client_id() -> int:
    """The id of a Yjs client that has, but for one chance in four thousand million, never written."""
    return secrets.randbits(CLIENT_BITS)
