"""Hashing of whole documents without holding up the rooms."""

from __future__ import annotations

import hashlib
from typing import Final

import anyio.to_thread

THREAD_BYTES: Final = 256 * 1024
"""From here on a state is hashed in a thread."""


async def digest(state: bytes) -> str:
    """SHA-256 in hexadecimal; hashing lets go of the interpreter."""
    if len(state) <= THREAD_BYTES:
        return _digest(state)
    return await anyio.to_thread.run_sync(_digest, state)


def _digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()
