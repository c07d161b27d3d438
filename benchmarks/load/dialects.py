"""The two wire protocols as byte strings: y-websocket's frames, and Hocuspocus' named ones.

Both carry the same sync messages; Hocuspocus puts the document's name in front of each and wants
an Auth message first. SyncSphere is spoken to in y-websocket's. Pure bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.load import yjs

SYNC, ACK = 0, 102
STEP1, STEP2, UPDATE = 0, 1, 2
EMPTY_UPDATE = b"\x00\x00"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one client talks about one room: the prefix of its messages and what it says first."""

    prefix: bytes
    auth: bytes

    def step1(self, state_vector: bytes = b"\x00") -> bytes:
        """Ask for everything this state vector lacks."""
        return self.prefix + b"\x00\x00" + yjs.varbuf(state_vector)

    def step2(self, update: bytes = EMPTY_UPDATE) -> bytes:
        """Answer the server's own question."""
        return self.prefix + b"\x00\x01" + yjs.varbuf(update)

    def update(self, update: bytes) -> bytes:
        """One edit."""
        return self.prefix + b"\x00\x02" + yjs.varbuf(update)

    def ask_durable(self, version: int) -> bytes:
        """y-sweet's sync status (102): SyncSphere returns it when all before it is durable."""
        return self.prefix + bytes((ACK,)) + yjs.varbuf(yjs.varuint(version))


def y_websocket() -> Dialect:
    """The room is in the address, so messages need no name."""
    return Dialect(prefix=b"", auth=b"")


def hocuspocus(room: str) -> Dialect:
    """Every message starts with the document's name; the first one is Auth."""
    prefix = yjs.varbuf(room.encode())
    return Dialect(
        prefix=prefix,
        auth=prefix + b"\x02\x00" + yjs.varbuf(b"benchmark") + yjs.varbuf(b"4.8.0"),
    )
