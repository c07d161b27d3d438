"""API keys over REST: made, listed, revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import ValidationFailed
from api.shapes import sessions as shapes
from auth import audit, keys, letters, profiles
from auth.changes import KeyRevoked
from auth.permissions import Right

if TYPE_CHECKING:
    from uuid import UUID

    from api.requests import Call
    from base.db import Tx


async def create(call: Call) -> shapes.MadeKey:
    """Make a key for a program. What it may do is the less of its scopes and what you may."""
    wanted = call.body(shapes.NewKey)
    now = call.services.now()
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise ValidationFailed("Expected a time to come", path="$.expiresAt")
    async with call.acting() as tx:
        if wanted.project_id is not None:
            await call.project_of(tx, wanted.project_id, Right.PROJECT_READ)
        key, token = await keys.create(
            tx,
            call.user.user_id,
            name=wanted.name,
            scopes=sorted(set(wanted.scopes)),
            project_id=wanted.project_id,
            expires_at=wanted.expires_at,
            now=now,
        )
        await _noted(call, tx, audit.Kind.KEY_MADE, key.id)
        owner = await profiles.show(tx, call.user.user_id)
    call.services.mail.post(letters.key_made(owner.email, key.name))
    return shapes.MadeKey(shapes.Key.of(key), token)


async def index(call: Call) -> shapes.Keys:
    """Your API keys."""
    async with call.acting() as tx:
        found = await keys.listing(tx, call.user.user_id)
    return shapes.Keys([shapes.Key.of(each) for each in found])


async def delete(call: Call) -> None:
    """Revoke a key: it opens nothing from now on, and sockets that it opened are closed."""
    key_id = call.path_id("key_id", keys.KeyNotFound)
    async with call.acting() as tx:
        await keys.delete(tx, call.user.user_id, key_id)
        await _noted(call, tx, audit.Kind.KEY_REVOKED, key_id)
    await call.services.changes.tell(KeyRevoked(key_id))


async def _noted(call: Call, tx: Tx, kind: audit.Kind, key_id: UUID) -> None:
    await audit.record(
        tx,
        kind,
        at=call.services.now(),
        user=call.user.user_id,
        actor=call.user.user_id,
        ip=call.client.ip,
        agent=call.client.agent,
        key=str(key_id),
    )
