"""Tickets and refresh tokens: read back as they were made, and never taken for one another."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import tokens
from auth.errors import TokenExpired, TokenInvalid, TokenMissing
from auth.permissions import Role
from auth.tokens import Generation, Keyring, SigningKey, Ticket

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECRET = "a secret that is long enough for anybody"
OLD_SECRET = "the secret that was used until last week"
KEYS = Keyring.derive(SECRET)
ROTATED = Keyring.derive(SECRET, OLD_SECRET)
OLD = SigningKey.derive(OLD_SECRET)
USER, SESSION, PROJECT, LINK = (UUID(int=number) for number in range(1, 5))


def ticket(said: Ticket, key: SigningKey = KEYS.current) -> str:
    return tokens.mint_ticket(said, now=NOW, key=key, life=MINUTE).token


@pytest.mark.parametrize(
    "said",
    [
        Ticket(PROJECT),
        Ticket(PROJECT, Role.VIEWER, user_id=USER, session_id=SESSION),
        Ticket(PROJECT, Role.EDITOR, user_id=USER, key_id=SESSION, link_id=LINK),
        Ticket(PROJECT, link_id=LINK, link_ends=NOW + MINUTE),
    ],
)
def test_a_ticket_says_what_was_put_into_it(said: Ticket) -> None:
    assert tokens.read_ticket(ticket(said), now=NOW, keys=KEYS) == said


def test_a_ticket_ends() -> None:
    with pytest.raises(TokenExpired):
        tokens.read_ticket(ticket(Ticket(PROJECT)), now=NOW + MINUTE, keys=KEYS)


def test_a_ticket_is_no_access_token() -> None:
    forged = ticket(Ticket(PROJECT, user_id=USER, session_id=SESSION))
    with pytest.raises(TokenInvalid):
        tokens.read(forged, now=NOW, key=KEYS.current)


def test_an_access_token_is_no_ticket() -> None:
    access = tokens.mint(USER, SESSION, now=NOW, key=KEYS.current, life=MINUTE)
    with pytest.raises(TokenInvalid):
        tokens.read_ticket(access.token, now=NOW, keys=KEYS)


@pytest.mark.parametrize("audience", [["syncsphere", "syncsphere:room"], ["syncsphere:room"]])
def test_a_token_for_several_audiences_is_for_none(audience: list[str]) -> None:
    said = {"iss": "syncsphere", "aud": audience, "room": str(PROJECT), "exp": 2_000_000_000}
    key = KEYS.current
    made = jwt.encode(said, key.secret, algorithm="HS256", headers={"kid": key.kid})
    with pytest.raises(TokenInvalid):
        tokens.read_ticket(made, now=NOW, keys=KEYS)


@pytest.mark.parametrize("cap", ["owner", "admin", "none", 5])
def test_a_ticket_caps_at_editor_or_viewer(cap: object) -> None:
    said = {
        "iss": "syncsphere",
        "aud": tokens.ROOM_AUDIENCE,
        "room": str(PROJECT),
        "exp": 2_000_000_000,
        "cap": cap,
    }
    key = KEYS.current
    made = jwt.encode(said, key.secret, algorithm="HS256", headers={"kid": key.kid})
    with pytest.raises(TokenInvalid):
        tokens.read_ticket(made, now=NOW, keys=KEYS)


def test_what_the_key_before_signed_is_still_good_and_no_older_key_is() -> None:
    access = tokens.mint(USER, SESSION, now=NOW, key=OLD, life=MINUTE).token
    tokens.read(access, now=NOW, key=ROTATED.current, previous=ROTATED.previous)
    tokens.read_ticket(ticket(Ticket(PROJECT), OLD), now=NOW, keys=ROTATED)
    held = Generation(SESSION, 3)
    assert tokens.read_refresh(tokens.refresh_token(held, OLD), ROTATED) == held
    with pytest.raises(TokenInvalid):
        tokens.read(access, now=NOW, key=KEYS.current)
    with pytest.raises(TokenInvalid):
        tokens.read_ticket(ticket(Ticket(PROJECT), OLD), now=NOW, keys=KEYS)
    with pytest.raises(TokenInvalid):
        tokens.read_refresh(tokens.refresh_token(held, OLD), KEYS)


def test_a_key_cannot_name_itself_as_the_other() -> None:
    said = {"iss": "syncsphere", "aud": "syncsphere", "exp": 2_000_000_000}
    said |= {"sub": str(USER), "jti": str(SESSION)}
    crossed = jwt.encode(said, OLD.secret, algorithm="HS256", headers={"kid": ROTATED.current.kid})
    with pytest.raises(TokenInvalid):
        tokens.read(crossed, now=NOW, key=ROTATED.current, previous=ROTATED.previous)


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_a_refresh_token_is_the_same_every_time_and_says_its_generation(number: int) -> None:
    held = Generation(SESSION, number)
    made = tokens.refresh_token(held, KEYS.current)
    assert made == tokens.refresh_token(held, KEYS.current)
    assert tokens.read_refresh(made, KEYS) == held


def test_no_refresh_token_is_missing() -> None:
    with pytest.raises(TokenMissing):
        tokens.read_refresh("", KEYS)


@given(st.text() | st.binary(max_size=80).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_other_text_is_no_refresh_token(text: str) -> None:
    with pytest.raises((TokenInvalid, TokenMissing)):
        tokens.read_refresh(text, KEYS)


@pytest.mark.parametrize("at", [0, 15, 16, 23, 24, 55])
def test_a_changed_byte_anywhere_spoils_a_refresh_token(at: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(_padded(tokens.refresh_token(_HELD, KEYS.current))))
    raw[at] ^= 1
    with pytest.raises(TokenInvalid):
        tokens.read_refresh(base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), KEYS)


_HELD = Generation(SESSION, 7)


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
