"""Tokens that say nothing: a prefix, an id and 256 secret bits, of which only a hash is kept (no I/O).

API keys and share links are such tokens. The id finds the row, the hash proves the rest. A plain
hash will do, since nobody guesses 256 bits.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final, NamedTuple
from uuid import UUID

from base import text64

_ID_BYTES: Final = 16
_SECRET_BYTES: Final = 32


class Opaque(NamedTuple):
    """A token as it was read."""

    id: UUID
    secret: bytes

    def opens(self, kept: bytes) -> bool:
        """Whether this is the hash that was kept of its secret."""
        return hmac.compare_digest(kept, _hash(self.secret))


def make(prefix: str, token_id: UUID) -> tuple[str, bytes]:
    """A new token of this id, and what to keep of it."""
    secret = secrets.token_bytes(_SECRET_BYTES)
    return prefix + text64.write(token_id.bytes + secret), _hash(secret)


def read(prefix: str, token: str) -> Opaque | None:
    """What a token holds; None for what is none of this prefix."""
    if not token.startswith(prefix):
        return None
    try:
        raw = text64.read(token.removeprefix(prefix))
    except ValueError:
        return None
    if len(raw) != _ID_BYTES + _SECRET_BYTES:
        return None
    return Opaque(UUID(bytes=raw[:_ID_BYTES]), raw[_ID_BYTES:])


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
