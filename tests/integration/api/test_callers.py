"""Who asks, and how often: addresses, limits and kinds of callers, before any handler runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from api import app, testing
from auth.ratelimit import Limits
from base.addresses import Proxies

from .rest import PASSWORD, refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx

    from base.redis import Redis

    from .rest import Rest

LOGIN = {"email": "anna@example.com", "password": PASSWORD}


@pytest.fixture
async def limited(rest: Rest, redis: Redis) -> AsyncGenerator[Rest]:
    """Ten requests a minute, three to a guarded route; a proxy that is believed at 192.0.2.1."""
    made = replace(
        rest.services,
        limits=Limits(redis, usual=10, strict=3, connects=0),
        proxies=Proxies("192.0.2.1"),
    )
    async with testing.client(app.build(made)) as client:
        yield replace(rest, services=made, client=client)


def standing(answer: httpx.Response) -> tuple[int, int]:
    assert 1 <= int(answer.headers["ratelimit-reset"]) <= 60
    return int(answer.headers["ratelimit-limit"]), int(answer.headers["ratelimit-remaining"])


async def test_every_answer_says_where_its_asker_stands(limited: Rest) -> None:
    ask = limited.client.get
    assert standing(await ask("/api/openapi.json")) == (10, 9)
    missing = await ask("/api/auth/me")
    refused(missing, 401, "token_missing")
    assert standing(missing) == (10, 8)
    forged = await ask("/api/auth/me", headers={"Authorization": "Bearer x"})
    refused(forged, 401, "token_invalid")
    assert standing(forged) == (10, 7)


async def test_guessed_tokens_are_counted_too(limited: Rest) -> None:
    forged = {"Authorization": "Bearer x"}
    for _ in range(10):
        refused(await limited.client.get("/api/auth/me", headers=forged), 401, "token_invalid")
    over = await limited.client.get("/api/auth/me", headers=forged)
    refused(over, 429, "too_many_requests")
    assert standing(over) == (10, 0)
    assert 1 <= int(over.headers["retry-after"]) <= 60


async def test_a_guarded_route_is_counted_by_itself_before_its_body_is_read(limited: Rest) -> None:
    post = limited.client.post
    for _ in range(3):
        refused(await post("/api/auth/login", content=b"{"), 415, "unsupported_media_type")
    refused(await post("/api/auth/login", json=LOGIN), 429, "too_many_requests")
    assert standing(await limited.client.get("/api/openapi.json")) == (10, 9)


async def test_a_header_does_not_make_another_address_of_a_stranger(limited: Rest) -> None:
    answers = [
        await limited.client.post(
            "/api/auth/login", json=LOGIN, headers={"X-Forwarded-For": f"198.51.100.{number}"}
        )
        for number in range(4)
    ]
    assert [each.status_code for each in answers] == [401, 401, 401, 429]


async def test_a_user_is_counted_wherever_they_come_from(rest: Rest, redis: Redis) -> None:
    anna = await rest.person("anna")
    made = replace(
        rest.services,
        limits=Limits(redis, usual=10, strict=0, connects=0),
        proxies=Proxies("127.0.0.1"),
    )
    async with testing.client(app.build(made)) as client:
        bearer = {"Authorization": f"Bearer {anna.token}"}
        answers = [
            await client.get(
                "/api/auth/me", headers=bearer | {"X-Forwarded-For": f"198.51.100.{number}"}
            )
            for number in range(11)
        ]
        assert {each.status_code for each in answers[:10]} == {200}
        refused(answers[10], 429, "too_many_requests")
        elsewhere = {"X-Forwarded-For": "198.51.100.99"}
        assert standing(await client.get("/api/openapi.json", headers=elsewhere)) == (10, 9)


async def test_a_proxy_that_is_believed_says_who_the_client_is(rest: Rest) -> None:
    await rest.person("anna")
    made = replace(rest.services, proxies=Proxies("127.0.0.1"))
    async with testing.client(app.build(made)) as client:
        # What the client wrote itself stands before what the proxy added, or in a line before.
        for forwarded in (
            [("X-Forwarded-For", "203.0.113.66, 198.51.100.7")],
            [("X-Forwarded-For", "203.0.113.66"), ("X-Forwarded-For", "198.51.100.7")],
        ):
            wrong = LOGIN | {"password": "guess"}
            await client.post("/api/auth/login", json=wrong, headers=forwarded)
    assert {each["ip"] for each in await rest.events("login.failed")} == {"198.51.100.7"}


async def test_only_administrators_who_signed_in_read_what_is_theirs(rest: Rest) -> None:
    anna = await rest.person("anna")
    path = "/api/admin/audit"
    refused(await rest.client.get(path), 401, "token_missing")
    refused(await anna("GET", path), 403, "not_allowed")
    await rest.run("UPDATE users SET is_admin = true")
    assert (await anna("GET", path)).status_code == 200
    program = await rest.key(anna, "manage")
    refused(await program("GET", path), 403, "session_needed")
    await rest.run("UPDATE users SET disabled_at = now()")
    refused(await anna("GET", path), 403, "not_allowed")


async def test_a_share_link_is_no_account(rest: Rest) -> None:
    anna = await rest.person()
    await rest.run("UPDATE users SET email_verified_at = now()")
    project = await anna.project()
    path = f"/api/projects/{project['id']}"
    made = (await anna("POST", path + "/links", json={"role": "editor"})).json()
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert (await rest.client.get(path, headers=bearer)).json()["role"] == "editor"
    assert (await rest.client.get(path, headers={"Share-Link": made["token"]})).status_code == 200
    for method, where in (("GET", "/api/auth/me"), ("PUT", path), ("GET", "/api/auth/keys")):
        answer = await rest.client.request(method, where, headers=bearer, json={})
        refused(answer, 401, "token_missing")
    bad = {"Share-Link": made["token"][:-1] + ("A" if made["token"][-1] != "A" else "B")}
    refused(await rest.client.get(path, headers=bad), 401, "link_invalid")
