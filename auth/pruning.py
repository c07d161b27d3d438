"""What is kept long enough: old events of the audit log, invitations that nobody took.

In portions, each a transaction of its own, so that years of events never hold the table for long.
Knows SQL; not when it is done.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from datetime import timedelta

    from base.db import Database

PORTION: Final = 5_000

# By the moment in their ids (UUIDv7), which the primary key is sorted by; `at` has no index.
EVENTS: LiteralString = """
    DELETE FROM audit_events WHERE id IN (
        SELECT id FROM audit_events WHERE id < %s AND at < %s ORDER BY id LIMIT %s
        FOR UPDATE SKIP LOCKED)"""

INVITATIONS: LiteralString = """
    DELETE FROM project_invitations WHERE id IN (
        SELECT id FROM project_invitations WHERE expires_at <= %s LIMIT %s
        FOR UPDATE SKIP LOCKED)"""


class Pruned(NamedTuple):
    """How many rows are gone."""

    events: int
    invitations: int


async def prune(database: Database, now: datetime, keep: timedelta) -> Pruned:
    """Delete events that are older than `keep`, and invitations that have expired."""
    before = now - keep
    events = await _portions(database, EVENTS, _first_id(before), before)
    return Pruned(events, await _portions(database, INVITATIONS, now))


async def _portions(database: Database, statement: LiteralString, *until: object) -> int:
    count = 0
    while True:
        async with database.transaction() as tx:
            gone = (await tx.execute(statement, (*until, PORTION))).rowcount
        count += gone
        if gone < PORTION:
            return count


def _first_id(moment: datetime) -> UUID:
    """The smallest id that a moment can have."""
    ms = int((moment - datetime.fromtimestamp(0, UTC)).total_seconds() * 1000)
    return UUID(int=max(ms, 0) << 80)
