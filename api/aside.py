"""Work on whole documents that would hold up the rooms: done in a thread, or in another process.

Reading a Yjs document keeps the interpreter for itself, and yrs can be brought to read in a circle
for ever by a document that no Yjs client would write. So it is done in a process, which can be
ended. What runs there is importable without the rest of REST, which keeps it small.
"""

from __future__ import annotations

import hashlib
from typing import Final

import anyio
import anyio.to_process
import anyio.to_thread
import msgspec

from docstore import crdt
from docstore.errors import DocumentUnreadable

THREAD_BYTES: Final = 256 * 1024
"""From here on a state is hashed in a thread."""

JSON_SECONDS: Final = 60.0
"""How long a document may take to become JSON: some 300 MB take as long."""


async def digest(state: bytes) -> str:
    """SHA-256 in hexadecimal; hashing lets go of the interpreter."""
    if len(state) <= THREAD_BYTES:
        return _digest(state)
    return await anyio.to_thread.run_sync(_digest, state)


async def as_json(state: bytes) -> bytes:
    """The content of every root as JSON. Raises DocumentTooDeep, DocumentUnreadable."""
    try:
        with anyio.fail_after(JSON_SECONDS):
            return await anyio.to_process.run_sync(_as_json, state, cancellable=True)
    except (TimeoutError, crdt.MalformedUpdate, crdt.PoisonUpdate) as problem:
        raise DocumentUnreadable from problem


def _digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()


def _as_json(state: bytes) -> bytes:
    return msgspec.json.encode(crdt.to_json(state))
