"""Work on whole documents that would hold up the rooms: done in a thread, or in another process.

Reading a Yjs document keeps the interpreter for itself, so a thread only helps while states are
small. What runs in the process is importable without the rest of REST, which keeps it small too.
"""

from __future__ import annotations

import hashlib
from typing import Final

import anyio.to_process
import anyio.to_thread
import msgspec

from docstore import crdt

SMALL_BYTES: Final = 32 * 1024
"""Up to here a state is dealt with where it is: two milliseconds at most."""

THREAD_BYTES: Final = 256 * 1024
"""Up to here in a thread; beyond, in a process that is started the first time."""


async def digest(state: bytes) -> str:
    """SHA-256 in hexadecimal; hashing lets go of the interpreter."""
    if len(state) <= THREAD_BYTES:
        return _digest(state)
    return await anyio.to_thread.run_sync(_digest, state)


async def as_json(state: bytes) -> bytes:
    """The content of every root as JSON. Raises DocumentTooDeep."""
    if len(state) <= SMALL_BYTES:
        return _as_json(state)
    if len(state) <= THREAD_BYTES:
        return await anyio.to_thread.run_sync(_as_json, state)
    return await anyio.to_process.run_sync(_as_json, state)


def _digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()


def _as_json(state: bytes) -> bytes:
    return msgspec.json.encode(crdt.to_json(state))
