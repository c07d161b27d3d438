"""Passwords: judged, hashed and compared, without stopping the rooms.

bcrypt costs about a quarter of a second of one core on purpose. It runs in threads of its own (it
releases the GIL) that give way to the rooms, at most a few at a time, and only so many people may
wait for one. Knows text and hashes; not accounts.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import bcrypt

from auth.errors import PasswordsBusy, PasswordTooLong, PasswordTooShort

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SHORTEST: Final = 8
"""Characters."""

LONGEST: Final = 72
"""Bytes of UTF-8. bcrypt ignores what follows, so a longer one would be a false promise."""

WORKERS: Final = 2
NICENESS: Final = 10
"""How much less than the rooms' the share of these threads is, where all cores are busy."""
WAITING: Final = 64
"""People in the queue; at a quarter of a second each and two at a time, eight seconds of it."""


class Passwords:
    """Hashes and compares; one object per server, because it owns the queue."""

    def __init__(self, *, cost: int, workers: int = WORKERS, waiting: int = WAITING) -> None:
        self._cost = cost
        self._waiting = waiting
        self._limiter = anyio.CapacityLimiter(workers)
        self._threads = ThreadPoolExecutor(workers, "passwords", initializer=_give_way)
        # Well-formed and nobody's: comparing with it costs what comparing with a real one costs.
        self._nobody = f"$2b${cost:02d}$".encode() + b"." * 53

    async def hash(self, password: str) -> str:
        """A new hash. Raises PasswordTooShort, PasswordTooLong, PasswordsBusy."""
        return await self._hash(judged(password))

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether this is the password; without a hash, "no" after just as long.

        Raises PasswordsBusy.
        """
        secret = _octets(password)
        known = hashed is not None and len(secret) <= LONGEST
        against = hashed.encode("ascii") if hashed is not None and known else self._nobody
        same = await self._run(lambda: bcrypt.checkpw(secret[:LONGEST], against))
        return same and known

    async def rehash(self, password: str, hashed: str) -> str | None:
        """A new hash of a password just proven right, when the old one's cost is not today's."""
        if hashed.startswith(f"$2b${self._cost:02d}$"):
            return None
        return await self._hash(_octets(password))

    async def _hash(self, secret: bytes) -> str:
        made = await self._run(lambda: bcrypt.hashpw(secret, bcrypt.gensalt(self._cost)))
        return made.decode("ascii")

    async def _run(self, work: Callable[[], T]) -> T:
        if self._limiter.statistics().tasks_waiting >= self._waiting:
            raise PasswordsBusy
        async with self._limiter:
            # The thread cannot be stopped, and counts until it is done.
            done = asyncio.get_running_loop().run_in_executor(self._threads, work)
            with anyio.CancelScope(shield=True):
                await asyncio.wait([done])
            return done.result()


def _give_way() -> None:
    # Linux has a niceness for each thread; it cannot be taken back, hence threads of our own.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def judged(password: str, *, path: str = "$.password") -> bytes:
    """A new password as the bytes that bcrypt sees. Raises PasswordTooShort, PasswordTooLong.

    path: where it stands in the request.
    """
    secret = _octets(password)
    if len(password) < SHORTEST:
        raise PasswordTooShort(
            f"The password needs at least {SHORTEST} characters.", path=path, least=SHORTEST
        )
    if len(secret) > LONGEST:
        raise PasswordTooLong(path=path, most_bytes=LONGEST, bytes=len(secret))
    return secret


def _octets(password: str) -> bytes:
    # NFC, because one keyboard sends "é" as one character and another as two (RFC 8265, 4.2).
    return unicodedata.normalize("NFC", password).encode()
