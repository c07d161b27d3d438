"""Tokens: ours are read back, everything else is refused with the right code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import tokens
from auth.errors import TokenExpired, TokenInvalid, TokenMissing
from base.errors import AppError

NOW = datetime(2030, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
LIFE = timedelta(days=7)
KEY = tokens.SigningKey.derive("a secret that is long enough for anybody")
OTHER_KEY = tokens.SigningKey.derive("a secret of some other server in the world")
USER = UUID("01900000-0000-7000-8000-000000000001")
SESSION = UUID("01900000-0000-7000-8000-000000000002")


GOOD: dict[str, object] = {
    "iss": tokens.ISSUER,
    "aud": tokens.AUDIENCE,
    "sub": str(USER),
    "jti": str(SESSION),
    "exp": int((NOW + LIFE).timestamp()),
}


def minted(**changes: object) -> str:
    """A token signed with our key whose payload differs from a good one; None takes a claim out."""
    payload = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return signed({"alg": "HS256", "typ": "JWT", "kid": KEY.kid}, payload)


def signed(header: dict[str, object], payload: object, secret: bytes = KEY.secret) -> str:
    """A JWT by hand: the library would refuse to make the bad ones."""
    head, body = (part(json.dumps(each).encode()) for each in (header, payload))
    signature = hmac.digest(secret, f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{part(signature)}"


def part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_token_says_who_and_which_session_until_when() -> None:
    made = tokens.mint(USER, SESSION, now=NOW, key=KEY, life=LIFE)
    claims = tokens.read(made.token, now=NOW, key=KEY)
    assert (claims.user_id, claims.session_id) == (USER, SESSION)
    assert claims.expires_at == made.expires_at == NOW.replace(microsecond=0) + LIFE


def test_a_token_dies_after_its_life() -> None:
    made = tokens.mint(USER, SESSION, now=NOW, key=KEY, life=LIFE)
    tokens.read(made.token, now=made.expires_at - timedelta(microseconds=1), key=KEY)
    with pytest.raises(TokenExpired):
        tokens.read(made.token, now=made.expires_at, key=KEY)


def test_a_life_of_less_than_a_second_is_one_second() -> None:
    made = tokens.mint(USER, SESSION, now=NOW, key=KEY, life=timedelta(milliseconds=5))
    assert made.expires_at == NOW.replace(microsecond=0) + timedelta(seconds=1)


def test_no_token_is_missing_rather_than_invalid() -> None:
    with pytest.raises(TokenMissing):
        tokens.read("", now=NOW, key=KEY)


def test_a_token_of_another_server_is_invalid() -> None:
    made = tokens.mint(USER, SESSION, now=NOW, key=OTHER_KEY, life=LIFE)
    with pytest.raises(TokenInvalid):
        tokens.read(made.token, now=NOW, key=KEY)


def test_our_key_id_does_not_help_a_forged_signature() -> None:
    forged = signed({"alg": "HS256", "kid": KEY.kid}, GOOD, OTHER_KEY.secret)
    with pytest.raises(TokenInvalid):
        tokens.read(forged, now=NOW, key=KEY)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": KEY.kid},
        {"alg": "HS512", "kid": KEY.kid},
        {"alg": "RS256", "kid": KEY.kid},
        {"alg": "HS256"},
        {"alg": "HS256", "kid": "another"},
        {"alg": "HS256", "kid": 7},
        {"alg": "HS256", "kid": KEY.kid, "crit": ["exp"]},
        {},
    ],
)
def test_other_headers_are_invalid(header: dict[str, object]) -> None:
    with pytest.raises(TokenInvalid):
        tokens.read(signed(header, GOOD), now=NOW, key=KEY)


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "jti", "exp"])
def test_every_claim_is_needed(claim: str) -> None:
    with pytest.raises(TokenInvalid):
        tokens.read(minted(**{claim: None}), now=NOW, key=KEY)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "somebody"),
        ("aud", "elsewhere"),
        ("sub", "not-a-uuid"),
        ("sub", 5),
        ("jti", "x"),
        ("exp", "tomorrow"),
        ("exp", -1),
        ("exp", 10**18),
        ("exp", 1e400),
        ("exp", [1]),
    ],
)
def test_claims_of_the_wrong_kind_are_invalid(claim: str, value: object) -> None:
    with pytest.raises(TokenInvalid):
        tokens.read(minted(**{claim: value}), now=NOW, key=KEY)


def test_a_signed_payload_that_is_no_object_is_invalid() -> None:
    header: dict[str, object] = {"alg": "HS256", "kid": KEY.kid}
    payloads: list[object] = [[], "text", 5, None]
    for payload in payloads:
        with pytest.raises(TokenInvalid):
            tokens.read(signed(header, payload), now=NOW, key=KEY)


def test_a_header_of_nested_brackets_is_invalid() -> None:
    header = part(b'{"a":' + b"[" * 2_000)
    with pytest.raises(TokenInvalid):
        tokens.read(f"{header}.{part(b'{}')}.x", now=NOW, key=KEY)


def test_a_very_long_token_is_invalid_without_being_read() -> None:
    with pytest.raises(TokenInvalid):
        tokens.read(minted() + "x" * tokens.LONGEST, now=NOW, key=KEY)


@given(st.text(max_size=200) | st.from_regex(r"\A[\w-]*\.[\w-]*\.[\w-]*\Z"))
def test_any_text_gives_an_error_with_a_code_and_nothing_else(text: str) -> None:
    with pytest.raises(AppError) as caught:
        tokens.read(text, now=NOW, key=KEY)
    assert caught.value.code in {"token_missing", "token_invalid"}


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_no_changed_byte_goes_unnoticed(position: int, value: int) -> None:
    good = tokens.mint(USER, SESSION, now=NOW, key=KEY, life=LIFE).token
    at = position % len(good)
    changed = good[:at] + chr(value) + good[at + 1 :]
    try:
        claims = tokens.read(changed, now=NOW, key=KEY)
    except TokenInvalid:
        return
    # Base64 has spare bits at its ends: another spelling of the very same bytes may pass.
    assert claims == tokens.read(good, now=NOW, key=KEY)


def test_a_key_is_the_same_every_time_and_its_name_does_not_give_it_away() -> None:
    assert tokens.SigningKey.derive("secret") == tokens.SigningKey.derive(b"secret")
    assert tokens.SigningKey.derive("secret") != tokens.SigningKey.derive("secret ")
    assert len(KEY.secret) == 32
    assert KEY.kid not in KEY.secret.hex()


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        tokens.SigningKey.derive("")
