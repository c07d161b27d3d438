"""What a provider, or somebody in its place, says is believed only as far as it is proven."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from joserfc.jwk import OctKey

from auth.oidc import Begun, OidcFailed, OidcStateInvalid, OidcUnavailable, Provider
from base import clock

from .forger import CLIENT_ID, CLIENT_SECRET, Forger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from base.redis import Redis

BROWSER = "a secret of one browser"


@pytest.fixture
def forger() -> Iterator[Forger]:
    made = Forger()
    made.start()
    yield made
    made.stop()


def _provider(forger: Forger, redis: Redis) -> Provider:
    return Provider(forger.issuer, CLIENT_ID, CLIENT_SECRET, redis)


async def _begun(provider: Provider) -> Begun:
    url = await provider.begin(
        browser=BROWSER, redirect_uri="http://us.example/back", return_to=None, cookie=False
    )
    state = parse_qs(urlsplit(url).query)["state"][0]
    return await provider.returned(state, BROWSER)


async def test_a_good_token_says_who_somebody_is(forger: Forger, redis: Redis) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    forger.give(forger.claims(begun.nonce))
    claims = await provider.finish(begun, "code")
    assert (claims.subject, claims.email, claims.email_verified) == (
        "anna",
        "anna@example.com",
        True,
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "somebody else"},
        {"aud": ["somebody else"]},
        {"aud": [CLIENT_ID, "somebody else"]},
        {"aud": None},
        {"azp": "somebody else"},
        {"iss": "https://accounts.example"},
        {"iss": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "never"},
        {"iat": 99_999_999_999},
        {"iat": None},
        {"nbf": 99_999_999_999},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\x00b"},
        {"sub": "a" * 300},
        {"at_hash": "of another access token"},
    ],
)
async def test_a_token_that_is_not_for_us_now_is_refused(
    forger: Forger, redis: Redis, changed: dict[str, object]
) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    forger.give(forger.claims(begun.nonce, **changed))
    with pytest.raises(OidcFailed):
        await provider.finish(begun, "code")


async def test_a_token_that_another_key_signed_is_refused(forger: Forger, redis: Redis) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    forger.give(forger.claims(begun.nonce), key=forger.new_key("first"))
    with pytest.raises(OidcFailed):
        await provider.finish(begun, "code")


@pytest.mark.parametrize("secret", ["client", "public key"])
async def test_a_signature_with_a_shared_secret_is_none(
    forger: Forger, redis: Redis, secret: str
) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    known = CLIENT_SECRET.encode() if secret == "client" else json.dumps(forger.key.dict_value)
    forger.give(forger.claims(begun.nonce), key=OctKey.import_key(known), algorithm="HS256")
    with pytest.raises(OidcFailed):
        await provider.finish(begun, "code")


async def test_a_token_without_a_signature_is_refused(forger: Forger, redis: Redis) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    token = f"{part({'alg': 'none', 'kid': 'first'})}.{part(forger.claims(begun.nonce))}."
    forger.answers["/token"] = {"id_token": token, "access_token": "x"}
    with pytest.raises(OidcFailed):
        await provider.finish(begun, "code")


async def test_new_keys_of_the_provider_are_fetched_when_they_are_needed(
    forger: Forger, redis: Redis
) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    forger.give(forger.claims(begun.nonce))
    await provider.finish(begun, "code")
    fresh = forger.new_key("second")
    forger.publish(fresh)
    forger.give(forger.claims(begun.nonce), key=fresh, kid="second")
    assert (await provider.finish(begun, "code")).subject == "anna"
    # and what is not published any more counts no longer
    forger.give(forger.claims(begun.nonce))
    with pytest.raises(OidcFailed):
        await provider.finish(begun, "code")


@pytest.mark.parametrize("said", ["true", 1, None, False])
async def test_only_true_is_a_proven_address(forger: Forger, redis: Redis, said: object) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    forger.give(forger.claims(begun.nonce, email_verified=said))
    assert (await provider.finish(begun, "code")).email_verified is False


async def test_an_address_may_come_later_but_only_of_the_same_person(
    forger: Forger, redis: Redis
) -> None:
    forger.metadata["userinfo_endpoint"] = forger.issuer + "/userinfo"
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    forger.give(forger.claims(begun.nonce, email=None, email_verified=None))
    forger.answers["/userinfo"] = {"sub": "anna", "email": "a@b.example", "email_verified": True}
    claims = await provider.finish(begun, "code")
    assert (claims.email, claims.email_verified) == ("a@b.example", True)
    forger.answers["/userinfo"] = {"sub": "eve", "email": "a@b.example", "email_verified": True}
    with pytest.raises(OidcFailed):
        await provider.finish(begun, "code")


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"\xff",
        b"[]",
        {"id_token": 7, "access_token": "x"},
        {"access_token": "x"},
        {"id_token": "x", "access_token": "x"},
        {"id_token": "a.b.c", "access_token": "x"},
        b" " * (600 * 1024),
        "http://127.0.0.1:1/elsewhere",
    ],
)
async def test_an_answer_that_is_none_is_said_to_be_wrong(
    forger: Forger, redis: Redis, answer: object
) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    forger.answers["/token"] = answer
    with pytest.raises(OidcFailed) as failed:
        await provider.finish(begun, "code")
    assert CLIENT_SECRET not in str(failed.value.data)


@pytest.mark.parametrize(
    "keys", [{}, {"keys": []}, {"keys": 7}, {"keys": [7]}, {"keys": [{"kty": "RSA"}]}]
)
async def test_keys_that_are_none_are_said_to_be_wrong(
    forger: Forger, redis: Redis, keys: object
) -> None:
    provider = _provider(forger, redis)
    begun = await _begun(provider)
    forger.give(forger.claims(begun.nonce))
    forger.answers["/jwks"] = keys
    with pytest.raises(OidcFailed):
        await provider.finish(begun, "code")


async def test_somebody_who_answers_for_another_provider_is_not_asked(
    forger: Forger, redis: Redis
) -> None:
    forger.metadata["issuer"] = "https://accounts.example"
    with pytest.raises(OidcFailed):
        await _begun(_provider(forger, redis))


async def test_a_provider_that_went_away_is_said_to_be_unreachable(redis: Redis) -> None:
    gone = Forger()
    gone.start()
    provider = _provider(gone, redis)
    begun = await _begun(provider)
    gone.stop()
    with pytest.raises(OidcUnavailable):
        await provider.finish(begun, "code")


async def test_a_state_is_kept_for_ten_minutes_and_holds_no_secret_of_the_browser(
    forger: Forger, redis: Redis
) -> None:
    provider = _provider(forger, redis)
    url = await provider.begin(browser=BROWSER, redirect_uri="x", return_to=None, cookie=False)
    state = parse_qs(urlsplit(url).query)["state"][0]
    assert 590 < await redis.client.ttl(f"oidc:{state}") <= 600
    kept = await redis.client.get(f"oidc:{state}")
    assert isinstance(kept, bytes)
    assert BROWSER.encode() not in kept
    assert msgspec.json.decode(kept, type=Begun).verifier not in url
    with pytest.raises(OidcStateInvalid):
        await provider.returned(state, "another browser")
    with pytest.raises(OidcStateInvalid):
        await provider.returned(state, BROWSER)


async def test_times_are_judged_by_the_servers_clock(forger: Forger, redis: Redis) -> None:
    late = Provider(
        forger.issuer,
        CLIENT_ID,
        CLIENT_SECRET,
        redis,
        now=lambda: clock.now() + timedelta(minutes=7),
    )
    begun = await _begun(late)
    forger.give(forger.claims(begun.nonce))
    with pytest.raises(OidcFailed):
        await late.finish(begun, "code")
