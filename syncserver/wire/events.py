"""What a client can say, as data shared by every dialect.

A codec turns bytes into a sequence of these events; a peer's mistake is the event `MALFORMED`, never an
exception. An event is a plain pair so that the busiest path of the server allocates nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

STEP1: Final = 1
"""The client's state vector; it wants what it lacks. Body: the state vector."""
STEP2: Final = 2
"""The answer to the server's STEP1. Body: a v1 update."""
UPDATE: Final = 3
"""A live edit. Body: a v1 update."""
AWARENESS: Final = 4
"""Presence. Body: an awareness update as y-protocols encodes it."""
QUERY_AWARENESS: Final = 5
"""The client asks for everybody's presence. Body: empty."""
SYNC_STATUS: Final = 6
"""y-sweet's message 102: echo the body once everything sent before it is durable."""
IGNORED: Final = 7
"""A message type that this dialect does not know; harmless. Body: empty."""
REFUSED: Final = 8
"""An edit from somebody who may only read. Body: the update that was refused."""
MALFORMED: Final = 9
"""Bytes that break the protocol; the connection closes with 4400. Body: the reason, ASCII."""

Event: TypeAlias = tuple[int, bytes]
"""(kind, body)."""
Events: TypeAlias = Sequence[Event]
