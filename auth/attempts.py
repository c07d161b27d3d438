"""A password being tried: who guesses waits, and it is written down, at every door alike.

Failures are counted by the account, whatever its name is spelled like, or by the spelling where
there is no account, after the same work. What strangers fail at everywhere slows the account's
owner down only in networks that are new to it. Knows SQL and the back-off; not what opens behind a door.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from auth import accounts, audit, identifiers
from auth.backoff import Subject, of_all
from auth.errors import AccountDisabled, InvalidCredentials
from base import addresses

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from uuid import UUID

    from auth.backoff import Backoff
    from base.db import Database


@contextlib.asynccontextmanager
async def attempt(
    database: Database,
    backoff: Backoff,
    *,
    name: str,
    door: str,
    now: datetime,
    ip: str,
    agent: str,
) -> AsyncGenerator[None]:
    """Let a password be tried in this block; raises TooManyAttempts before it begins.

    name: e-mail address or user name. door: where it is tried, for the audit log. The block raises
    InvalidCredentials for a wrong password, AccountDisabled and AccountClosed for a right one that
    opens nothing; what else it raises says nothing about the password, and counts for nobody.
    """
    async with database.connection() as tx:
        found = await accounts.by_name(tx, name)
    user_id = found.id if found else None
    # Apart, or the id of an account could be typed as a name.
    whose = f"account:{user_id}" if found else f"name:{identifiers.spelling(name)}"
    right = (AccountDisabled, accounts.AccountClosed)
    subjects: list[str | Subject] = [f"{whose}|{addresses.group(ip)}"]
    # Nor counted there: an owner's typing mistakes say nothing about guessers elsewhere.
    if not await backoff.knows(str(user_id or whose), ip):
        subjects.append(of_all(whose))
    try:
        async with backoff.attempt("login", *subjects, wrong=InvalidCredentials, right=right):
            yield
        if user_id is not None:
            await backoff.learn(str(user_id), ip)
    except InvalidCredentials:
        await note(database, user_id, door, now=now, ip=ip, agent=agent)
        raise
    except right as barred:
        await note(database, user_id, barred.code, now=now, ip=ip, agent=agent)
        raise


async def note(
    database: Database, user_id: UUID | None, why: str, *, now: datetime, ip: str, agent: str
) -> None:
    """Write down that somebody did not come in. user_id None: there is no such account."""
    kind = audit.Kind.LOGIN_FAILED
    async with database.transaction() as tx:
        await audit.record(tx, kind, at=now, user=user_id, ip=ip, agent=agent, why=why)
