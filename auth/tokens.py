"""Signed tokens: made, and read back with suspicion (no I/O).

A token is a JWT (HS256) that names a user and a session until an instant. It proves that this
server signed it; whether the session still lives is for `auth/sessions.py` to say. The time is
an argument, the library's own clock is never asked.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import jwt
import msgspec

from auth.errors import TokenExpired, TokenInvalid, TokenMissing

ISSUER: Final = "syncsphere"
AUDIENCE: Final = "syncsphere"
ALGORITHM: Final = "HS256"

LONGEST: Final = 4096
"""Characters; ours have about 400. Nothing longer is looked at."""

_LAST_SECOND: Final = 253_402_300_799  # of the year 9999: what a datetime can hold


class SigningKey(NamedTuple):
    """The secret, and the name under which tokens mention it."""

    kid: str
    secret: bytes

    @classmethod
    def derive(cls, secret: str | bytes) -> SigningKey:
        """A key of full length from any non-empty secret, the same one every time."""
        raw = secret.encode() if isinstance(secret, str) else secret
        if not raw:
            raise ValueError("the secret that signs tokens is empty")
        key = hmac.digest(raw, b"syncsphere token key 1", "sha256")
        return cls(hashlib.sha256(b"kid" + key).hexdigest()[:8], key)


class Minted(NamedTuple):
    """A token, and the instant from which it is worthless."""

    token: str
    expires_at: datetime


class Claims(NamedTuple):
    """What a token of ours says."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


class _Payload(msgspec.Struct):
    sub: UUID
    jti: UUID
    exp: Annotated[int, msgspec.Meta(ge=0, le=_LAST_SECOND)]


def mint(user: UUID, session: UUID, *, now: datetime, key: SigningKey, life: timedelta) -> Minted:
    """A token for one session of one user. Seconds are whole in a JWT, so the end is rounded up."""
    issued = int(now.timestamp())
    expires = issued + max(1, -(-life // timedelta(seconds=1)))
    payload: dict[str, str | int] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user),
        "jti": str(session),
        "iat": issued,
        "exp": expires,
    }
    # (the library's types name an optional dependency that is not installed)
    token = jwt.encode(  # pyright: ignore[reportUnknownMemberType]
        payload, key.secret, algorithm=ALGORITHM, headers={"kid": key.kid}
    )
    return Minted(token, datetime.fromtimestamp(expires, UTC))


def read(token: str, *, now: datetime, key: SigningKey) -> Claims:
    """What a token says, if it is ours and not over.

    Raises TokenMissing (empty), TokenInvalid (anything we did not sign as it is) or TokenExpired
    (ours, but late). Nothing else, whatever the text.
    """
    if not token:
        raise TokenMissing
    if len(token) > LONGEST:
        raise TokenInvalid
    try:
        payload = msgspec.convert(_verified(token, key), _Payload)
    # RecursionError: a header of nested brackets; the JSON parser gives up before the signature.
    except (jwt.PyJWTError, ValueError, RecursionError) as wrong:
        raise TokenInvalid from wrong
    expires_at = datetime.fromtimestamp(payload.exp, UTC)
    if now >= expires_at:
        raise TokenExpired
    return Claims(payload.sub, payload.jti, expires_at)


def _verified(token: str, key: SigningKey) -> dict[str, object]:
    if jwt.get_unverified_header(token).get("kid") != key.kid:
        raise jwt.InvalidKeyError
    return jwt.decode(  # pyright: ignore[reportUnknownMemberType] (as above)
        token,
        key.secret,
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
