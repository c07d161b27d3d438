"""What REST is handed at start: every object that a handler may call.

Built once by the composition root. Nothing here is global, so a test builds its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from auth.identity import Identities
from auth.passwords import Passwords
from auth.sessions import Sessions
from auth.tokens import SigningKey
from base import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from api.ports import LiveRooms
    from base.db import Database
    from base.redis import Redis
    from base.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts below the door, the clock, and the folder of the page (None: there is none)."""

    settings: Settings
    database: Database
    redis: Redis
    rooms: LiveRooms
    passwords: Passwords
    identities: Identities
    page: Path | None = None
    now: Callable[[], datetime] = clock.now


def assemble(
    *,
    settings: Settings,
    database: Database,
    redis: Redis,
    rooms: LiveRooms,
    secret: str,
    page: Path | None = None,
    now: Callable[[], datetime] = clock.now,
) -> Services:
    """Services from a server's parts; `secret` signs tokens (`base.settings.signing_key`)."""
    sessions = Sessions(redis, life=timedelta(days=settings.session_days))
    return Services(
        settings=settings,
        database=database,
        redis=redis,
        rooms=rooms,
        passwords=Passwords(cost=settings.bcrypt_cost),
        identities=Identities(sessions, SigningKey.derive(secret), now=now),
        page=page,
        now=now,
    )
