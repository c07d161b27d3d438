"""Signing in with a real OpenID Connect provider, and what others try on the way."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from api import app, testing
from auth import accounts
from auth.identity import Identities, Signed
from auth.oidc import Provider
from tests.e2e import provider
from tests.e2e.conftest import install_clients

from . import post
from .rest import PASSWORD, SECRET, Rest, refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from uuid import UUID

    import httpx

SITE = "http://syncsphere.test"
BACK = SITE + "/api/auth/oidc/callback"
LOGIN = "/api/auth/oidc/login"
LINK = "/api/auth/oidc/link"
LATER = timedelta(seconds=30)


@pytest.fixture(scope="session")
async def issuer() -> AsyncGenerator[str]:
    install_clients()
    async with provider.running(BACK) as started:
        yield started


@pytest.fixture
async def site(rest: Rest, issuer: str) -> AsyncGenerator[Rest]:
    """The server with a provider; its client is one browser."""
    with_provider = dataclasses.replace(rest.services, oidc=_provider(rest, issuer))
    async with testing.client(app.build(with_provider)) as browser:
        yield dataclasses.replace(rest, services=with_provider, client=browser)


def _provider(rest: Rest, issuer: str, **other: str) -> Provider:
    names = {"client_id": provider.CLIENT_ID, "client_secret": provider.CLIENT_SECRET} | other
    return Provider(issuer, **names, store=rest.services.redis, now=rest.time.now)


async def _way_back(site: Rest, login: str, **asked: str) -> str:
    """What the provider tells the browser to open."""
    gone = await site.client.get(LOGIN, params=asked)
    assert gone.status_code == 303, gone.text
    return await provider.agree(gone.headers["location"], login, back_to=BACK)


async def _sign_in(site: Rest, login: str, **asked: str) -> httpx.Response:
    return await site.client.get(await _way_back(site, login, **asked))


async def _me(site: Rest, answer: httpx.Response) -> dict[str, object]:
    token = {"Authorization": f"Bearer {answer.json()['token']}"}
    me = await site.client.get("/api/auth/me", headers=token)
    assert me.status_code == 200, me.text
    return me.json()["user"]


async def test_who_comes_for_the_first_time_gets_an_account_and_later_the_same_one(
    site: Rest,
) -> None:
    first = await _me(site, await _sign_in(site, "anna@example.com"))
    assert first["email"] == "anna@example.com"
    assert first["username"] == "anna"
    assert first["emailVerified"] is True
    second = await _me(site, await _sign_in(site, "anna@example.com"))
    assert second["id"] == first["id"]


async def test_the_way_there_tells_the_provider_nothing_of_ours_but_hashes(site: Rest) -> None:
    gone = await site.client.get(LOGIN)
    asked = parse_qs(urlsplit(gone.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["state"][0]) == len(asked["nonce"][0]) == 43
    cookie = gone.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert provider.CLIENT_SECRET not in gone.headers["location"]


async def test_a_page_goes_on_with_cookies(site: Rest) -> None:
    back = await _sign_in(site, "anna@example.com", returnTo="/studio?tab=1")
    assert (back.status_code, back.headers["location"]) == (303, "/studio?tab=1")
    assert (await site.client.get("/api/auth/me")).status_code == 200


def _told_in(answer: httpx.Response, path: str) -> dict[str, list[str]]:
    """What a page learns from the address that it is sent on to."""
    assert answer.status_code == 303, answer.text
    where, _, said = answer.headers["location"].partition("#")
    assert where == path
    return parse_qs(said)


async def test_a_page_is_told_of_a_problem_in_its_address(site: Rest) -> None:
    there = {"returnTo": "/studio?tab=1#room=7"}
    told = _told_in(await _sign_in(site, "mailless", **there), "/studio?tab=1")
    assert told == {"error": ["oidc_email_missing"]}
    gone = await site.client.get(LOGIN, params=there)
    state = parse_qs(urlsplit(gone.headers["location"]).query)["state"][0]
    no = await site.client.get(BACK, params={"state": state, "error": "access_denied"})
    assert _told_in(no, "/studio?tab=1") == {"error": ["oidc_refused"]}
    assert "syncsphere_access" not in no.headers.get("set-cookie", "")


async def test_a_page_can_prove_an_account_and_goes_on_with_cookies(site: Rest) -> None:
    await site.person("otto")
    back = await _sign_in(site, "otto@example.com", returnTo="/studio")
    told = _told_in(back, "/studio")
    assert told["error"] == ["oidc_link_required"]
    proof = {"link": told["link"][0], "password": PASSWORD}
    linked = await site.client.post(LINK, json=proof)
    assert (linked.status_code, linked.json()["token"]) == (200, None)
    assert (await site.client.get("/api/auth/me")).status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:x",
        "evil",
        "",
        "/a b",
    ],
)
async def test_nobody_is_sent_on_to_another_site(site: Rest, elsewhere: str) -> None:
    refused(await site.client.get(LOGIN, params={"returnTo": elsewhere}), 422, "validation_failed")


async def test_two_of_one_name_are_told_apart(site: Rest) -> None:
    await site.person("bert")
    user = await _me(site, await _sign_in(site, "bert@example.net"))
    assert str(user["username"]).startswith("bert-")


async def test_an_address_that_the_provider_did_not_prove_is_not_proven(site: Rest) -> None:
    with post.opened() as letters:
        user = await _me(site, await _sign_in(site, "unproven+carl@example.com"))
    assert user["email"] == "carl@example.com"
    assert user["emailVerified"] is False
    assert letters.code("carl@example.com")


async def test_without_an_address_there_is_no_account(site: Rest) -> None:
    refused(await _sign_in(site, "mailless"), 422, "oidc_email_missing")


async def test_an_account_of_the_same_address_is_linked_only_by_its_password(site: Rest) -> None:
    dora = await site.person("dora")
    told = refused(await _sign_in(site, "dora@example.com"), 409, "oidc_link_required")
    proof = {"link": told["link"], "password": "guessed wrong"}
    refused(await site.client.post(LINK, json=proof), 401, "invalid_credentials")
    refused(await site.client.post(LINK, json={"link": told["link"]}), 401, "invalid_credentials")
    linked = await site.client.post(LINK, json=proof | {"password": PASSWORD})
    assert (await _me(site, linked))["id"] == dora.user["id"]
    again = await _sign_in(site, "dora@example.com")
    assert (await _me(site, again))["id"] == dora.user["id"]
    refused(
        await site.client.post(LINK, json=proof | {"password": PASSWORD}), 422, "oidc_link_invalid"
    )


async def test_who_is_signed_in_to_the_account_needs_no_password(site: Rest) -> None:
    emil, eve = await site.person("emil"), await site.person("eve")
    told = refused(await _sign_in(site, "emil@example.com"), 409, "oidc_link_required")
    proof = {"link": told["link"]}
    refused(await eve("POST", LINK, json=proof), 401, "invalid_credentials")
    assert (await emil("POST", LINK, json=proof)).status_code == 200


async def test_guessing_the_password_here_is_as_slow_as_at_the_front_door(site: Rest) -> None:
    await site.person("fritz")
    told = refused(await _sign_in(site, "fritz@example.com"), 409, "oidc_link_required")
    guess = {"link": told["link"], "password": "guessed wrong"}
    for _ in range(5):
        refused(await site.client.post(LINK, json=guess), 401, "invalid_credentials")
        site.time.ahead += LATER
    right = guess | {"password": PASSWORD}
    site.time.ahead -= LATER
    slow = refused(await site.client.post(LINK, json=right), 429, "too_many_attempts")
    assert slow["retryAfterSeconds"] >= 1


async def test_another_browser_cannot_use_the_link(site: Rest) -> None:
    await site.person("gerd")
    told = refused(await _sign_in(site, "gerd@example.com"), 409, "oidc_link_required")
    site.client.cookies.clear()
    proof = {"link": told["link"], "password": PASSWORD}
    refused(await site.client.post(LINK, json=proof), 422, "oidc_link_invalid")


async def test_an_account_is_opened_by_one_sign_in_only(site: Rest) -> None:
    await site.person("hans")
    for login, status in (("hans@example.com", 200), ("unproven+hans@example.com", 409)):
        told = refused(await _sign_in(site, login), 409, "oidc_link_required")
        proof = {"link": told["link"], "password": PASSWORD}
        answer = await site.client.post(LINK, json=proof)
        assert answer.status_code == status, answer.text
    refused(answer, 409, "oidc_already_linked")


async def test_a_way_back_leads_in_once(site: Rest) -> None:
    way = await _way_back(site, "ida@example.com")
    assert (await site.client.get(way)).status_code == 200
    refused(await site.client.get(way), 422, "oidc_state_invalid")


async def test_nobody_is_signed_in_to_an_attackers_account_by_a_link(site: Rest) -> None:
    way = await _way_back(site, "eve@example.com")
    site.client.cookies.clear()  # the victim's browser
    refused(await site.client.get(way), 422, "oidc_state_invalid")
    await site.client.get(LOGIN)  # and one that is on its own way
    refused(await site.client.get(way), 422, "oidc_state_invalid")


@pytest.mark.parametrize("state", ["", "x", "link:x", "\x00", "é" * 50])
async def test_a_state_that_we_never_gave_leads_nowhere(site: Rest, state: str) -> None:
    await site.client.get(LOGIN)
    answer = await site.client.get(BACK, params={"state": state, "code": "x"})
    refused(answer, 422, "oidc_state_invalid")


async def test_a_stolen_code_is_worth_nothing_in_another_sign_in(site: Rest) -> None:
    """PKCE: the code belongs to the way that it was made for."""
    stolen = parse_qs(urlsplit(await _way_back(site, "victim@example.com")).query)["code"][0]
    own = parse_qs(urlsplit(await _way_back(site, "eve@example.com")).query)["state"][0]
    answer = await site.client.get(BACK, params={"state": own, "code": stolen})
    refused(answer, 502, "oidc_failed")


async def test_who_says_no_at_the_provider_is_not_signed_in(site: Rest) -> None:
    gone = await site.client.get(LOGIN)
    state = parse_qs(urlsplit(gone.headers["location"]).query)["state"][0]
    answer = await site.client.get(BACK, params={"state": state, "error": "access_denied"})
    assert refused(answer, 403, "oidc_refused")["reason"] == "access_denied"


async def test_another_providers_answer_is_refused(site: Rest) -> None:
    way = await _way_back(site, "anna@example.com")
    mixed = way.replace("iss=http", "iss=https")
    refused(await site.client.get(mixed), 502, "oidc_failed")


async def test_a_disabled_account_is_refused_here_too(site: Rest) -> None:
    await _sign_in(site, "kurt@example.com")
    async with site.services.database.connection() as tx:
        await tx.execute("UPDATE users SET disabled_at = now() WHERE email = 'kurt@example.com'")
    refused(await _sign_in(site, "kurt@example.com"), 403, "account_disabled")


class BarredMeanwhile(Identities):
    """Somebody's account is disabled after they proved it, before they get a session."""

    async def sign_in(
        self, user_id: UUID, username: str, *, ip: str, agent: str, since: datetime | None = None
    ) -> Signed:
        async with self._database.transaction() as tx:
            assert await accounts.disable(tx, user_id, self._now())
        await self.end_all(user_id)
        return await super().sign_in(user_id, username, ip=ip, agent=agent, since=since)


@pytest.mark.parametrize("linking", [False, True])
async def test_who_is_barred_between_proof_and_session_gets_none(site: Rest, linking: bool) -> None:
    services = site.services
    barring = BarredMeanwhile.assemble(
        services.settings,
        database=services.database,
        redis=services.redis,
        changes=services.changes,
        secret=SECRET,
        now=services.now,
    )
    server = app.build(dataclasses.replace(services, identities=barring))
    if linking:
        await site.person("maria")
    async with testing.client(server) as browser:
        here = dataclasses.replace(site, client=browser)
        answer = await _sign_in(here, "maria@example.com")
        if linking:
            told = refused(answer, 409, "oidc_link_required")
            proof = {"link": told["link"], "password": PASSWORD}
            answer = await browser.post(LINK, json=proof)
    refused(answer, 401, "session_ended")
    async with services.database.connection() as tx:
        user = await accounts.by_email(tx, "maria@example.com")
    assert user is not None
    assert await services.identities.sessions_of(user.id) == []


async def test_a_wrong_password_for_a_link_is_written_down(site: Rest) -> None:
    maria = await site.person("maria")
    told = refused(await _sign_in(site, "maria@example.com"), 409, "oidc_link_required")
    await site.client.post(LINK, json={"link": told["link"], "password": "guessed wrong"})
    [event] = await site.events("login.failed")
    assert (str(event["user"]), event["detail"]) == (maria.user["id"], {"why": "oidc_link"})


async def test_what_happened_is_written_down(site: Rest) -> None:
    await site.person("lars")
    told = refused(await _sign_in(site, "lars@example.com"), 409, "oidc_link_required")
    proof = {"link": told["link"], "password": PASSWORD}
    await site.client.post(LINK, json=proof)
    async with site.services.database.connection() as tx:
        rows = await (await tx.execute("SELECT kind FROM audit_events ORDER BY id")).fetchall()
    assert [kind for (kind,) in rows][-3:] == ["oidc.linked", "email.verified", "login"]


async def test_a_provider_that_is_gone_is_said_to_be(rest: Rest) -> None:
    gone = _provider(rest, provider.issuer(provider.free_port()))
    services = dataclasses.replace(rest.services, oidc=gone)
    async with testing.client(app.build(services)) as browser:
        refused(await browser.get(LOGIN), 503, "oidc_unavailable")


async def test_without_a_provider_there_is_nothing_here(rest: Rest) -> None:
    refused(await rest.client.get(LOGIN), 404, "oidc_not_configured")
    refused(await rest.client.get(BACK, params={"state": "x"}), 404, "oidc_not_configured")
    refused(await rest.client.post(LINK, json={"link": "x"}), 404, "oidc_not_configured")
