"""How the server is, as JSON."""

from __future__ import annotations

from typing import Literal

import msgspec


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """The process answers."""

    status: Literal["ok"]
    version: str
    rooms: int
    connections: int


class Ready(msgspec.Struct, frozen=True, rename="camel"):
    """Everything that the server needs is there."""

    status: Literal["ready"]
    checks: dict[str, str]
