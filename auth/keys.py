"""API keys: how programs come in without anybody's password. The table is `api_keys`.

A key is `ssk_` and the base64 of its id and 256 random bits, of which we keep the SHA-256. It does at
most what its scopes say and what its owner may. Knows SQL; not requests.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

from psycopg.rows import class_row

from auth import opaque, scopes
from auth.credentials import Identity, Kind
from auth.errors import TokenExpired, TokenInvalid
from base import ids
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from base.db import Tx

PREFIX: Final = "ssk_"
MOST: Final = 50
"""Keys that one account may have."""

USED_AFTER: Final = timedelta(minutes=1)
"""That a key was used is noted no more often than this."""


class KeysFull(AppError):
    """You have as many API keys as an account may have; delete one that nobody uses."""

    code = "keys_full"


class KeyNotFound(AppError):
    """You have no API key with this id."""

    code = "key_not_found"


class Key(NamedTuple):
    """A key, without its secret. project_id: the only one that it opens; None: all of its owner's."""

    id: UUID
    name: str
    scopes: list[str]
    project_id: UUID | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class _Found(NamedTuple):
    id: UUID
    user_id: UUID
    username: str
    secret_sha256: bytes
    scopes: list[str]
    project_id: UUID | None
    expires_at: datetime | None
    last_used_at: datetime | None


# Two that are made at once must not both be the fiftieth.
LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('api_keys' || %s::text, 0))"

COUNT: LiteralString = "SELECT count(*) FROM api_keys WHERE user_id = %s"

INSERT: LiteralString = """
    INSERT INTO api_keys (id, user_id, name, secret_sha256, scopes, project_id, created_at,
        expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""

OF_USER: LiteralString = """
    SELECT id, name, scopes, project_id, created_at, expires_at, last_used_at
    FROM api_keys WHERE user_id = %s ORDER BY id DESC"""

DELETE: LiteralString = "DELETE FROM api_keys WHERE id = %s AND user_id = %s"

ACTIVE: LiteralString = """
    SELECT k.id, k.user_id, u.username, k.secret_sha256, k.scopes, k.project_id, k.expires_at,
        k.last_used_at
    FROM api_keys k JOIN users u ON u.id = k.user_id
    WHERE k.id = %s AND u.disabled_at IS NULL AND u.closed_at IS NULL"""

USED: LiteralString = "UPDATE api_keys SET last_used_at = %s WHERE id = %s"

ALIVE: LiteralString = """
    SELECT k.id FROM api_keys k JOIN users u ON u.id = k.user_id
    WHERE k.id = ANY(%s) AND (k.expires_at IS NULL OR k.expires_at > %s)
        AND u.disabled_at IS NULL AND u.closed_at IS NULL"""


async def create(
    tx: Tx,
    user_id: UUID,
    *,
    name: str,
    scopes: Sequence[str],
    project_id: UUID | None,
    expires_at: datetime | None,
    now: datetime,
) -> tuple[Key, str]:
    """A new key, and the text of it, which is known to nobody afterwards. Raises KeysFull."""
    await tx.execute(LOCK, (user_id,))
    row = await (await tx.execute(COUNT, (user_id,))).fetchone()
    if row is not None and row[0] >= MOST:
        raise KeysFull(most=MOST)
    key = Key(ids.new_id(), name, list(scopes), project_id, now, expires_at, None)
    token, kept = opaque.make(PREFIX, key.id)
    await tx.execute(INSERT, (key.id, user_id, name, kept, key.scopes, project_id, now, expires_at))
    return key, token


async def listing(tx: Tx, user_id: UUID) -> list[Key]:
    """Somebody's keys, newest first."""
    async with tx.cursor(row_factory=class_row(Key)) as cursor:
        await cursor.execute(OF_USER, (user_id,))
        return await cursor.fetchall()


async def delete(tx: Tx, user_id: UUID, key_id: UUID) -> None:
    """Take a key of this person away. Raises KeyNotFound."""
    if (await tx.execute(DELETE, (key_id, user_id))).rowcount == 0:
        raise KeyNotFound


async def find(tx: Tx, token: str, now: datetime) -> Identity:
    """Who holds this key. Raises TokenInvalid, TokenExpired. tx: the server's own."""
    shown = opaque.read(PREFIX, token)
    if shown is None:
        raise TokenInvalid
    found = await _active(tx, shown.id)
    if found is None or not shown.opens(found.secret_sha256):
        raise TokenInvalid("The API key was revoked, or never made.")
    identity = _identity(found, now)
    if found.last_used_at is None or now - found.last_used_at >= USED_AFTER:
        await tx.execute(USED, (now, shown.id))
    return identity


async def by_id(tx: Tx, key_id: UUID, now: datetime) -> Identity:
    """Who holds the key with this id, for whom has shown it before. Raises as `find` does."""
    found = await _active(tx, key_id)
    if found is None:
        raise TokenInvalid("The API key was revoked.")
    return _identity(found, now)


async def alive(tx: Tx, key_ids: Iterable[UUID], now: datetime) -> set[UUID]:
    """Which of these still open something. tx: the server's own."""
    cursor = await tx.execute(ALIVE, (list(key_ids), now))
    return {row[0] for row in await cursor.fetchall()}


async def _active(tx: Tx, key_id: UUID) -> _Found | None:
    async with tx.cursor(row_factory=class_row(_Found)) as cursor:
        await cursor.execute(ACTIVE, (key_id,))
        return await cursor.fetchone()


def _identity(found: _Found, now: datetime) -> Identity:
    if found.expires_at is not None and now >= found.expires_at:
        raise TokenExpired("The API key has expired.")
    return Identity(
        found.user_id,
        found.username,
        Kind.KEY,
        found.id,
        found.expires_at,
        rights=scopes.rights_of(found.scopes),
        project_id=found.project_id,
    )
