"""Rate limits as clients see them: headers, refusals, and whose requests count as whose."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import httpx
import pytest

import base.redis
from api import app, services, testing
from auth.ratelimit import Limits
from base import embedded
from base.addresses import Proxies
from base.db import Database

from .rest import PASSWORD, SECRET, refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from base.db import Tx
    from base.redis import Redis

    from .rest import Rest

PROXY = "10.0.0.1"
READ = "/api/projects"


@pytest.fixture
async def door(rest: Rest) -> AsyncGenerator[Door]:
    made = Door(rest, rest.services.redis)
    yield made
    for client in made.clients:
        await client.aclose()


class Door:
    """The server with narrow limits, as it is reached from several addresses."""

    def __init__(self, rest: Rest, redis: Redis, *, usual: int = 3, strict: int = 2) -> None:
        self.clients: list[httpx.AsyncClient] = []
        self.app = app.build(
            dataclasses.replace(
                rest.services,
                limits=Limits(redis, usual=usual, strict=strict, connects=3),
                proxies=Proxies(PROXY),
            )
        )

    def of(self, address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 1))
        client = httpx.AsyncClient(transport=transport, base_url="http://syncsphere.test")
        self.clients.append(client)
        return client


async def test_every_counted_answer_says_where_one_stands(rest: Rest, door: Door) -> None:
    anna = await rest.person("anna")
    token = {"Authorization": f"Bearer {anna.token}"}
    client = door.of("203.0.113.9")
    left = [(await client.get(READ, headers=token)).headers["ratelimit-remaining"] for _ in "123"]
    assert left == ["2", "1", "0"]
    answer = await client.get(READ, headers=token)
    told = refused(answer, 429, "too_many_requests")
    assert answer.headers["retry-after"] == str(told["retryAfterSeconds"])
    assert 0 < told["retryAfterSeconds"] <= 60
    assert answer.headers["ratelimit-limit"] == "3"
    assert answer.headers["ratelimit-remaining"] == "0"


async def test_a_strangers_header_does_not_buy_another_minute(door: Door) -> None:
    client = door.of("203.0.113.9")
    for number in range(2):
        spoofed = {"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": f"198.51.100.{number}"}
        await client.post("/api/auth/login", headers=spoofed, json={})
    last = {"X-Forwarded-For": "198.51.100.77", "Forwarded": "for=198.51.100.77"}
    answer = await client.post("/api/auth/login", headers=last, json={})
    refused(answer, 429, "too_many_requests")


async def test_behind_our_proxy_each_client_counts_by_itself(door: Door) -> None:
    proxy = door.of(PROXY)
    for number in range(5):
        one = {"X-Forwarded-For": f"198.51.100.{number}"}
        refused(await proxy.post("/api/auth/login", headers=one, json={}), 422, "validation_failed")
    # ... but not by what a client wrote before the proxy did.
    for number in range(2):
        two = {"X-Forwarded-For": f"192.0.2.{number}, 198.51.100.200"}
        await proxy.post("/api/auth/login", headers=two, json={})
    two = {"X-Forwarded-For": "192.0.2.99, 198.51.100.200"}
    refused(await proxy.post("/api/auth/login", headers=two, json={}), 429, "too_many_requests")


async def test_guarded_routes_are_counted_before_anything_is_looked_at(door: Door) -> None:
    client = door.of("203.0.113.9")
    for _ in range(2):
        await client.post("/api/auth/login", content=b"{", headers={"Content-Type": "text/plain"})
    answer = await client.post("/api/auth/login", json={"name": "anna", "password": PASSWORD})
    refused(answer, 429, "too_many_requests")
    assert (await client.get("/api/health")).status_code == 200


class Counted(Database):
    """Counts how often it is asked."""

    asked = 0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[Tx]:
        self.asked += 1
        async with super().connection() as tx:
            yield tx


@pytest.mark.parametrize("credential", ["ssk_" + "x" * 43, "ssl_" + "x" * 43])
async def test_over_the_limit_a_made_up_credential_costs_the_database_nothing(
    rest: Rest, shared_url: str, credential: str
) -> None:
    own = await Counted.open(shared_url, size=2)
    assert isinstance(own, Counted)
    settings = dataclasses.replace(rest.services.settings, rate_limit_per_minute=3)
    server = app.build(
        services.assemble(
            settings=settings,
            database=own,
            redis=rest.services.redis,
            rooms=rest.rooms,
            secret=SECRET,
        )
    )
    made_up = {"Authorization": f"Bearer {credential}", "Share-Link": "ssl_" + "y" * 43}
    async with testing.client(server) as client:
        answers = [(await client.get(READ, headers=made_up)).status_code for _ in range(4)]
        assert answers == [401, 401, 401, 429]
        before = own.asked
        answer = await client.get(READ, headers=made_up)
    assert own.asked == before > 0
    await own.close()
    refused(answer, 429, "too_many_requests")
    assert answer.headers["ratelimit-remaining"] == "0"


async def test_without_redis_nobody_may_try_a_password(rest: Rest, tmp_path: Path) -> None:
    server = embedded.EmbeddedRedis(tmp_path)
    gone = await base.redis.Redis.connect(server.start())
    door = Door(rest, gone)
    server.stop()
    async with door.of("203.0.113.9") as client:
        answer = await client.post("/api/auth/login", json={"name": "anna", "password": PASSWORD})
        refused(answer, 503, "redis_unavailable")
        assert answer.headers["retry-after"]
        # What needs no sign-in goes on, uncounted.
        anybody = await client.get("/api/projects/00000000-0000-7000-8000-000000000000")
        refused(anybody, 404, "project_not_found")
        assert "ratelimit-limit" not in anybody.headers
    await gone.close()
