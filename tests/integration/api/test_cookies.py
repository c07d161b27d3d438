"""Cookies: what a browser of ours can do with them, and what a foreign page cannot."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import pytest

from .rest import PASSWORD, refused

if TYPE_CHECKING:
    import httpx

    from .rest import Rest

HOST = "http://syncsphere.test"
EVIL = "https://evil.example"


class Browser:
    """A browser on a page of ours, or (origin) of somebody else's; it sends cookies either way."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.cookies: dict[str, str] = {}
        self.set: SimpleCookie = SimpleCookie()
        self.csrf = ""

    async def __call__(
        self, method: str, path: str, json: object = None, **headers: str
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        self.rest.client.cookies.clear()
        answer = await self.rest.client.request(method, path, json=json, headers=sent)
        for each in answer.headers.get_list("set-cookie"):
            self.set.load(each)
        for name, morsel in self.set.items():
            self.cookies[name] = morsel.value
        return answer

    async def login(self, **headers: str) -> dict[str, Any]:
        body = {"email": "anna@example.com", "password": PASSWORD, "cookie": True}
        answer = await self("POST", "/api/auth/login", body, **({"Origin": HOST} | headers))
        assert answer.status_code == 200, answer.text
        self.csrf = answer.json()["csrfToken"]
        return answer.json()


@pytest.fixture
async def browser(rest: Rest) -> Browser:
    """Signed in as anna."""
    await rest.person("anna")
    made = Browser(rest)
    await made.login()
    return made


async def test_the_tokens_are_in_cookies_only_and_out_of_reach_of_scripts(rest: Rest) -> None:
    await rest.person("anna")
    browser = Browser(rest)
    body = await browser.login()
    assert (body["token"], body["refreshToken"]) == (None, None)
    access, refresh, csrf = (browser.set[f"syncsphere_{n}"] for n in ("access", "refresh", "csrf"))
    assert (access["httponly"], access["samesite"], access["path"]) == (True, "lax", "/")
    assert (refresh["httponly"], refresh["samesite"]) == (True, "strict")
    assert refresh["path"] == "/api/auth"
    assert (csrf["httponly"], csrf["samesite"], csrf.value) == ("", "strict", body["csrfToken"])
    assert {each["secure"] for each in (access, refresh, csrf)} == {""}
    assert {each["domain"] for each in (access, refresh, csrf)} == {""}


async def test_over_https_they_are_secure(rest: Rest) -> None:
    await rest.person("anna")
    browser = Browser(rest)
    body = {"email": "anna@example.com", "password": PASSWORD, "cookie": True}
    await browser("POST", "https://syncsphere.test/api/auth/login", body)
    assert {each["secure"] for each in browser.set.values()} == {True}


async def test_a_cookie_reads_and_with_the_header_changes(browser: Browser) -> None:
    assert (await browser("GET", "/api/auth/me")).status_code == 200
    assert (await browser("GET", "/api/auth/me", Origin=HOST)).status_code == 200
    body = {"name": "Night drive"}
    made = await browser("POST", "/api/projects", body, Origin=HOST, X_CSRF_Token=browser.csrf)
    assert made.status_code == 201


@pytest.mark.parametrize("given", [None, "", "x", "A" * 43, "!"])
async def test_without_the_right_header_nothing_changes(
    browser: Browser, given: str | None
) -> None:
    headers = {} if given is None else {"X_CSRF_Token": given}
    for method, path, body in (
        ("POST", "/api/projects", {"name": "Night drive"}),
        ("POST", "/api/auth/logout", None),
        ("POST", "/api/auth/refresh", {}),
        ("DELETE", "/api/auth/sessions", None),
    ):
        refused(await browser(method, path, body, **headers), 403, "csrf_failed")
    assert (await browser("GET", "/api/auth/me")).status_code == 200


async def test_the_header_of_another_session_does_not_help(browser: Browser, rest: Rest) -> None:
    await rest.person("mallory")
    mallory = Browser(rest)
    body = {"email": "mallory@example.com", "password": PASSWORD, "cookie": True}
    theirs = (await mallory("POST", "/api/auth/login", body)).json()["csrfToken"]
    answer = await browser("POST", "/api/projects", {"name": "x"}, X_CSRF_Token=theirs)
    refused(answer, 403, "csrf_failed")


@pytest.mark.parametrize(
    "headers", [{"Origin": EVIL}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}]
)
async def test_a_foreign_page_is_nobody_whatever_cookies_come_with_it(
    browser: Browser, headers: dict[str, str]
) -> None:
    refused(await browser("GET", "/api/auth/me", **headers), 401, "token_missing")
    stolen = headers | {"X_CSRF_Token": browser.csrf}
    refused(await browser("POST", "/api/projects", {"name": "x"}, **stolen), 401, "token_missing")
    refused(await browser("POST", "/api/auth/refresh", {}, **stolen), 401, "token_missing")


async def test_a_foreign_page_signs_nobody_in_with_cookies(rest: Rest) -> None:
    await rest.person("mallory")
    body = {"email": "mallory@example.com", "password": PASSWORD, "cookie": True}
    answer = await Browser(rest)("POST", "/api/auth/login", body, Origin=EVIL)
    refused(answer, 403, "csrf_failed")
    assert "set-cookie" not in answer.headers


async def test_a_token_in_the_header_counts_before_a_cookie(browser: Browser, rest: Rest) -> None:
    bert = await rest.person("bert")
    bearer = {"Authorization": f"Bearer {bert.token}"}
    answer = await browser("GET", "/api/auth/me", **bearer)
    assert answer.json()["user"]["username"] == "bert"
    # A program needs no other header: no page can send its token.
    made = await browser("POST", "/api/projects", {"name": "x"}, **bearer)
    assert made.status_code == 201
    refused(await browser("GET", "/api/auth/me", Authorization="Bearer x"), 401, "token_invalid")


async def test_a_refresh_replaces_the_cookies(browser: Browser) -> None:
    before = dict(browser.cookies)
    csrf = {"X_CSRF_Token": browser.csrf}
    answer = await browser("POST", "/api/auth/refresh", {}, **csrf)
    assert answer.status_code == 200
    assert answer.json()["refreshToken"] is None
    assert browser.cookies["syncsphere_refresh"] != before["syncsphere_refresh"]
    assert answer.json()["csrfToken"] == browser.csrf == browser.cookies["syncsphere_csrf"]


async def test_signing_in_again_is_another_session_and_ends_the_one_before(
    browser: Browser,
) -> None:
    planted = dict(browser.cookies)
    await browser.login()
    assert browser.cookies["syncsphere_access"] != planted["syncsphere_access"]
    former = Browser(browser.rest)
    former.cookies = planted
    refused(await former("GET", "/api/auth/me"), 401, "session_ended")
    assert (await browser("GET", "/api/auth/me")).status_code == 200


async def test_a_logout_takes_the_cookies_away(browser: Browser) -> None:
    answer = await browser("POST", "/api/auth/logout", X_CSRF_Token=browser.csrf)
    assert answer.status_code == 204
    assert {each["max-age"] for each in browser.set.values()} == {"0"}
    assert {each.value for each in browser.set.values()} == {""}


async def test_two_cookies_of_one_name_are_none(browser: Browser) -> None:
    ours = browser.cookies["syncsphere_access"]
    browser.cookies = {"syncsphere_access": f"planted; syncsphere_access={ours}"}
    refused(await browser("GET", "/api/auth/me"), 401, "token_missing")


async def test_a_ticket_in_a_cookie_is_no_sign_in(browser: Browser, rest: Rest) -> None:
    bert = await rest.person("bert")
    project = await bert.project()
    ticket = (await bert("POST", f"/api/projects/{project['id']}/ticket", json={})).json()
    browser.cookies = {"syncsphere_access": ticket["ticket"]}
    refused(await browser("GET", "/api/auth/me"), 401, "token_invalid")
