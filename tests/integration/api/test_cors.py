"""Pages of other origins: which may read our answers, which may change something, which neither."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from api import app, testing
from api.routes import ROUTES
from base.origins import Origins

from .rest import refused

if TYPE_CHECKING:
    import httpx

    from .rest import Rest

STUDIO = {"Origin": "https://studio.example"}
EVIL = {"Origin": "https://evil.example"}
PREFLIGHT = {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization",
}
ALLOW = "access-control-allow-origin"
CREDENTIALS = "access-control-allow-credentials"


def _site(rest: Rest, origins: str, public_url: str | None = None) -> httpx.AsyncClient:
    settings = dataclasses.replace(rest.services.settings, public_url=public_url)
    judged = Origins(origins, public_url=public_url)
    return testing.client(
        app.build(dataclasses.replace(rest.services, settings=settings, origins=judged))
    )


async def test_a_listed_page_may_ask_read_and_use_cookies(rest: Rest) -> None:
    async with _site(rest, "https://studio.example") as client:
        asked = await client.options("/api/projects", headers=STUDIO | PREFLIGHT)
        assert (asked.status_code, asked.content) == (204, b"")
        methods = asked.headers["access-control-allow-methods"].split(", ")
        assert {route.method for route in ROUTES} <= set(methods)
        for header in ("Authorization", "X-CSRF-Token", "Share-Link", "If-Match", "Range"):
            assert header in asked.headers["access-control-allow-headers"]
        assert asked.headers["access-control-max-age"] == "600"
        read = await client.get("/api/health", headers=STUDIO)
        for answer in (asked, read):
            assert answer.headers[ALLOW] == STUDIO["Origin"]
            assert answer.headers[CREDENTIALS] == "true"
            assert "Origin" in answer.headers["vary"]
        for header in ("ETag", "Link", "Location", "Retry-After", "RateLimit-Remaining"):
            assert header in read.headers["access-control-expose-headers"]
        assert read.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_a_strangers_page_may_not_ask_read_or_write(rest: Rest) -> None:
    async with _site(rest, "https://studio.example") as client:
        asked = await client.options("/api/projects", headers=EVIL | PREFLIGHT)
        read = await client.get("/api/health", headers=EVIL)
        wrote = await client.post("/api/auth/login", headers=EVIL, json={})
        assert refused(wrote, 403, "origin_not_allowed")["origin"] == EVIL["Origin"]
        for answer in (asked, read, wrote):
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert "Origin" in answer.headers["vary"]
        assert read.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_no_method_that_changes_something_gets_through(rest: Rest, method: str) -> None:
    async with _site(rest, "") as client:
        for origin in ("https://evil.example", "null", "x", ""):
            answer = await client.request(method, "/api/projects", headers={"Origin": origin})
            refused(answer, 403, "origin_not_allowed")


async def test_any_page_may_call_with_a_token_where_the_operator_says_so(rest: Rest) -> None:
    async with _site(rest, "*") as client:
        for headers in (EVIL, {"Origin": "null"}):
            read = await client.get("/api/health", headers=headers)
            assert read.headers[ALLOW] == "*"
            assert CREDENTIALS not in read.headers
            wrote = await client.post("/api/auth/login", headers=headers, json={})
            refused(wrote, 422, "validation_failed")
            assert wrote.headers[ALLOW] == "*"


async def test_our_own_page_is_listed_without_being_named(rest: Rest) -> None:
    async with _site(rest, "") as client:
        own = await client.post(
            "/api/auth/login", headers={"Origin": "http://syncsphere.test"}, json={}
        )
        refused(own, 422, "validation_failed")


async def test_programs_are_no_pages(rest: Rest) -> None:
    async with _site(rest, "") as client:
        refused(await client.post("/api/auth/login", json={}), 422, "validation_failed")


async def test_refusals_and_missing_pages_can_be_read_by_a_listed_page_too(rest: Rest) -> None:
    async with _site(rest, "https://studio.example") as client:
        for path in ("/api/nothing", "/api/projects"):
            answer = await client.get(path, headers=STUDIO)
            assert answer.status_code >= 400
            assert answer.headers[ALLOW] == STUDIO["Origin"]


async def test_options_that_are_no_preflight_reach_the_routes(rest: Rest) -> None:
    async with _site(rest, "*") as client:
        refused(await client.options("/api/projects", headers=STUDIO), 405, "method_not_allowed")


async def test_browsers_are_told_to_keep_to_tls_only_where_there_is_tls(rest: Rest) -> None:
    name = "strict-transport-security"
    async with _site(rest, "*", "https://sync.example") as client:
        assert (await client.get("/api/health")).headers[name] == "max-age=31536000"
    async with _site(rest, "*", "http://sync.example") as client:
        assert name not in (await client.get("/api/health")).headers
