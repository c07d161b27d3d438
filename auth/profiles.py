"""What somebody says about themselves, and how they like things. Tables: `users`, `user_preferences`.

For transactions in the asker's name (`Database.acting`): row-level security lets nobody reach
anybody else's row, whatever id is asked for. Preferences are kept as chosen, without defaults, so
that a default may change for who never chose. Knows SQL; what there is to choose is the edge's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from auth import accounts, identifiers
from auth.errors import SessionEnded, UsernameTaken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx

CHANGE: LiteralString = """
    UPDATE users SET username = coalesce(%s, username), username_key = coalesce(%s, username_key),
        display_name = coalesce(%s, display_name), bio = coalesce(%s, bio),
        avatar_url = nullif(coalesce(%s, avatar_url), ''), updated_at = %s
    WHERE id = %s"""

CHOSEN: LiteralString = "SELECT chosen FROM user_preferences WHERE user_id = %s"

CHOOSE: LiteralString = """
    INSERT INTO user_preferences AS p (user_id, chosen, updated_at) VALUES (%s, %s, %s)
    ON CONFLICT (user_id) DO UPDATE
        SET chosen = p.chosen || excluded.chosen, updated_at = excluded.updated_at
    RETURNING chosen"""


async def show(tx: Tx, user_id: UUID) -> accounts.User:
    """The account of who is asking. Raises SessionEnded when it is gone."""
    user = await accounts.find(tx, user_id)
    if user is None:
        raise SessionEnded
    return user


async def change(
    tx: Tx,
    user_id: UUID,
    *,
    username: str | None = None,
    display_name: str | None = None,
    avatar_url: str | None = None,
    bio: str | None = None,
    now: datetime,
) -> accounts.User:
    """Change what is not None; an empty `avatar_url` takes the picture away.

    Raises UsernameInvalid, UsernameTaken, SessionEnded.
    """
    name = None if username is None else identifiers.username(username)
    shown, key = (None, None) if name is None else name
    row = (shown, key, display_name, bio, avatar_url, now, user_id)
    try:
        async with tx.transaction():
            await tx.execute(CHANGE, row)
    except psycopg.errors.UniqueViolation as taken:
        raise UsernameTaken from taken
    return await show(tx, user_id)


async def preferences(tx: Tx, user_id: UUID) -> dict[str, Any]:
    """What somebody has chosen, by name."""
    row = await (await tx.execute(CHOSEN, (user_id,))).fetchone()
    return {} if row is None else row[0]


async def choose(
    tx: Tx, user_id: UUID, chosen: Mapping[str, object], now: datetime
) -> dict[str, Any]:
    """Keep these choices beside the others; two requests at once lose nothing. Answers all."""
    row = await (await tx.execute(CHOOSE, (user_id, Jsonb(dict(chosen)), now))).fetchone()
    assert row is not None, "INSERT … RETURNING returns"
    return row[0]
