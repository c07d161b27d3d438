"""What may have been left open in an account before its owner came: API keys, a provider's sign-in.

Anybody can make an account in the name of somebody else's address. Once the owner of the mailbox
takes it, nothing that was left in it may open it. Knows SQL; not who the owner is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from auth import audit

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx

# Who is making a key at this moment refers to the row, and is waited for.
HOLD: LiteralString = "SELECT FROM users WHERE id = %s FOR UPDATE"

DROP_KEYS: LiteralString = "DELETE FROM api_keys WHERE user_id = %s RETURNING id"

# What a provider has vouched for is the mailbox's owner's, as the letter is.
UNLINK: LiteralString = """
    UPDATE users SET oauth_provider = NULL, oauth_id = NULL, updated_at = %s
    WHERE id = %s AND oauth_provider IS NOT NULL AND NOT oauth_vouched"""


async def shut(
    tx: Tx, user_id: UUID, *, now: datetime, ip: str | None, agent: str | None
) -> list[UUID]:
    """Drop an account's API keys, and its provider's sign-in unless that proved the address.

    Afterwards `Changes.tell(KeyRevoked(…))` for each key of the answer. In the server's transaction.
    """
    await tx.execute(HOLD, (user_id,))
    rows = await (await tx.execute(DROP_KEYS, (user_id,))).fetchall()
    keys: list[UUID] = [row[0] for row in rows]
    for key_id in keys:
        await audit.record(
            tx,
            audit.Kind.KEY_REVOKED,
            at=now,
            user=user_id,
            actor=user_id,
            ip=ip,
            agent=agent,
            key=str(key_id),
        )
    unlinked = await tx.execute(UNLINK, (now, user_id))
    if unlinked.rowcount:
        kind = audit.Kind.OIDC_UNLINKED
        await audit.record(tx, kind, at=now, user=user_id, actor=user_id, ip=ip, agent=agent)
    return keys
