"""What REST is handed at start: every object that a handler may call.

Built once by the composition root. Nothing here is global, so a test builds its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from auth.backoff import Backoff
from auth.changes import Changes
from auth.identity import Identities
from auth.mail import Mail
from auth.oidc import Provider
from auth.passwords import Passwords
from auth.ratelimit import Limits
from auth.resets import Resets
from auth.verification import Codes
from base import clock
from base.addresses import Proxies
from base.origins import Origins

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
    codes: Codes
    resets: Resets
    identities: Identities
    changes: Changes
    mail: Mail
    limits: Limits
    backoff: Backoff
    proxies: Proxies
    origins: Origins
    oidc: Provider | None = None
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
    changes = Changes(redis)
    return Services(
        settings=settings,
        database=database,
        redis=redis,
        rooms=rooms,
        passwords=Passwords(cost=settings.bcrypt_cost),
        codes=Codes(redis, secret, life=timedelta(minutes=settings.code_minutes)),
        resets=Resets(redis),
        identities=Identities.assemble(
            settings, database=database, redis=redis, changes=changes, secret=secret, now=now
        ),
        changes=changes,
        mail=Mail(url=settings.mail_url, sender=settings.mail_from),
        limits=Limits(
            redis,
            usual=settings.rate_limit_per_minute,
            strict=settings.rate_limit_auth_per_minute,
            connects=settings.connects_per_minute,
        ),
        backoff=Backoff(redis, now=now),
        proxies=Proxies(settings.trusted_proxies),
        origins=Origins(settings.allowed_origins, public_url=settings.public_url),
        oidc=_provider(settings, redis, now),
        page=page,
        now=now,
    )


def _provider(settings: Settings, redis: Redis, now: Callable[[], datetime]) -> Provider | None:
    issuer, name, secret = (
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
    )
    if not (issuer and name and secret):
        return None
    return Provider(issuer, name, secret, redis, now=now)
