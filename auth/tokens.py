"""Signed tokens: made, and read back with suspicion (no I/O).

An access token and a room ticket are JWTs (HS256) for two audiences, so that neither passes for the
other; a refresh token is a session's id and a generation under a MAC. They prove that this server
signed them; whether what they name still lives is for others to say. Time is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, NamedTuple, TypeVar
from uuid import UUID

import jwt
import msgspec

from auth.errors import TokenExpired, TokenInvalid, TokenMissing
from auth.permissions import Role
from base import text64

ISSUER: Final = "syncsphere"
AUDIENCE: Final = "syncsphere"
ROOM_AUDIENCE: Final = "syncsphere:room"
ALGORITHM: Final = "HS256"

LONGEST: Final = 4096
"""Characters; ours have about 400. Nothing longer is looked at."""

_LAST_SECOND: Final = 253_402_300_799  # of the year 9999: what a datetime can hold
_REFRESH: Final = struct.Struct(">16sQ")
_MAC_BYTES: Final = 32

T = TypeVar("T", bound=msgspec.Struct)
Instant = Annotated[int, msgspec.Meta(ge=0, le=_LAST_SECOND)]


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

    def mac(self, purpose: bytes, content: bytes) -> bytes:
        """A MAC of 32 bytes under a key for this purpose only."""
        return hmac.digest(hmac.digest(self.secret, purpose, "sha256"), content, "sha256")


class Keyring(NamedTuple):
    """The key that signs, and the one before it, which still verifies."""

    current: SigningKey
    previous: SigningKey | None = None

    @classmethod
    def derive(cls, secret: str, previous: str | None = None) -> Keyring:
        """From the settings `secret` and `secret_previous`."""
        return cls(SigningKey.derive(secret), SigningKey.derive(previous) if previous else None)

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """All that verify, the current one first."""
        return (self.current,) if self.previous is None else (self.current, self.previous)

    def verifies(self, purpose: bytes, content: bytes, mac: bytes) -> bool:
        """Whether one of the keys made this MAC."""
        return any(hmac.compare_digest(key.mac(purpose, content), mac) for key in self.keys)


class Minted(NamedTuple):
    """A token, and the instant from which it is worthless."""

    token: str
    expires_at: datetime


class Claims(NamedTuple):
    """What an access token of ours says."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


class Ticket(NamedTuple):
    """What a ticket says: one project, and what its holder showed to get it.

    user_id with session_id or key_id: somebody with an account; link_id: a share link, alone or
    besides. None of them: anybody. cap: at most this role. link_ends: when the link does.
    """

    project_id: UUID
    cap: Role | None = None
    user_id: UUID | None = None
    session_id: UUID | None = None
    key_id: UUID | None = None
    link_id: UUID | None = None
    link_ends: datetime | None = None


class Generation(NamedTuple):
    """What a refresh token says: the session, and how often it had been refreshed."""

    session_id: UUID
    number: int


class _Payload(msgspec.Struct):
    sub: UUID
    jti: UUID
    exp: Instant


class _TicketPayload(msgspec.Struct):
    room: UUID
    exp: Instant
    cap: Literal["viewer", "editor"] | None = None
    sub: UUID | None = None
    session: UUID | None = None
    key: UUID | None = None
    link: UUID | None = None
    ends: Instant | None = None


def ends(now: datetime, life: timedelta) -> datetime:
    """When what is minted now ends. Seconds are whole in a JWT, so `life` is rounded up."""
    expires = int(now.timestamp()) + max(1, -(-life // timedelta(seconds=1)))
    return datetime.fromtimestamp(expires, UTC)


def mint(user: UUID, session: UUID, *, now: datetime, key: SigningKey, life: timedelta) -> Minted:
    """An access token for one session of one user."""
    return _minted({"aud": AUDIENCE, "sub": str(user), "jti": str(session)}, now, key, life)


def read(
    token: str, *, now: datetime, key: SigningKey, previous: SigningKey | None = None
) -> Claims:
    """What an access token says, if it is ours and not over.

    Raises TokenMissing (empty), TokenInvalid (anything we did not sign as it is) or TokenExpired
    (ours, but late). Nothing else, whatever the text.
    """
    payload = _read(token, Keyring(key, previous), AUDIENCE, _Payload)
    return Claims(payload.sub, payload.jti, _checked(payload.exp, now))


def mint_ticket(ticket: Ticket, *, now: datetime, key: SigningKey, life: timedelta) -> Minted:
    """A ticket for one room."""
    payload = {
        "aud": ROOM_AUDIENCE,
        "room": str(ticket.project_id),
        "cap": ticket.cap and ticket.cap.value,
        "sub": _text(ticket.user_id),
        "session": _text(ticket.session_id),
        "key": _text(ticket.key_id),
        "link": _text(ticket.link_id),
        "ends": ticket.link_ends and int(ticket.link_ends.timestamp()),
    }
    said = {name: value for name, value in payload.items() if value is not None}
    return _minted(said, now, key, life)


def read_ticket(token: str, *, now: datetime, keys: Keyring) -> Ticket:
    """What a ticket says; raises as `read` does."""
    said = _read(token, keys, ROOM_AUDIENCE, _TicketPayload)
    _checked(said.exp, now)
    return Ticket(
        said.room,
        None if said.cap is None else Role(said.cap),
        said.sub,
        said.session,
        said.key,
        said.link,
        None if said.ends is None else datetime.fromtimestamp(said.ends, UTC),
    )


def refresh_token(generation: Generation, key: SigningKey) -> str:
    """The refresh token of this generation, the same every time."""
    said = _REFRESH.pack(generation.session_id.bytes, generation.number)
    return text64.write(said + key.mac(b"refresh 1", said))


def read_refresh(token: str, keys: Keyring) -> Generation:
    """What a refresh token says. Raises TokenMissing, TokenInvalid."""
    if not token:
        raise TokenMissing
    try:
        raw = text64.read(token)
    except ValueError as wrong:
        raise TokenInvalid from wrong
    said, mac = raw[: _REFRESH.size], raw[_REFRESH.size :]
    if len(mac) != _MAC_BYTES or not keys.verifies(b"refresh 1", said, mac):
        raise TokenInvalid
    session, number = _REFRESH.unpack(said)
    return Generation(UUID(bytes=session), number)


def _minted(
    said: dict[str, str] | dict[str, str | int], now: datetime, key: SigningKey, life: timedelta
) -> Minted:
    expires_at = ends(now, life)
    times = {"iat": int(now.timestamp()), "exp": int(expires_at.timestamp())}
    payload = {"iss": ISSUER, **said, **times}
    # (the library's types name an optional dependency that is not installed)
    token = jwt.encode(  # pyright: ignore[reportUnknownMemberType]
        payload, key.secret, algorithm=ALGORITHM, headers={"kid": key.kid}
    )
    return Minted(token, expires_at)


def _read(token: str, keys: Keyring, audience: str, shape: type[T]) -> T:
    if not token:
        raise TokenMissing
    if len(token) > LONGEST:
        raise TokenInvalid
    try:
        return msgspec.convert(_verified(token, keys, audience), shape)
    # RecursionError: a header of nested brackets; the JSON parser gives up before the signature.
    except (jwt.PyJWTError, ValueError, RecursionError) as wrong:
        raise TokenInvalid from wrong


def _verified(token: str, keys: Keyring, audience: str) -> dict[str, object]:
    kid = jwt.get_unverified_header(token).get("kid")
    key = next((key for key in keys.keys if key.kid == kid), None)
    if key is None:
        raise jwt.InvalidKeyError
    return jwt.decode(  # pyright: ignore[reportUnknownMemberType] (as above)
        token,
        key.secret,
        algorithms=[ALGORITHM],
        audience=audience,
        issuer=ISSUER,
        options={
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
            "strict_aud": True,
        },
    )


def _checked(exp: int, now: datetime) -> datetime:
    expires_at = datetime.fromtimestamp(exp, UTC)
    if now >= expires_at:
        raise TokenExpired
    return expires_at


def _text(each: UUID | None) -> str | None:
    return None if each is None else str(each)
