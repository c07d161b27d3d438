"""Whatever is wrong, the answer is a problem with a code, and it tells nothing that is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis.asyncio
import structlog.testing
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from api import app, services, testing
from base import metrics
from base.redis import Redis

from .rest import SECRET, refused

if TYPE_CHECKING:
    from api.ports import LiveRooms

    from .rest import Rest

HARDENED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/projects/",
        "/api/health/",
        "/api/projects/x/y/z",
        "/nothing",
        "/index.php",
        "/%00",
        "/..%2f..%2fetc%2fpasswd",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_address_is_not_found(rest: Rest, method: str, path: str) -> None:
    refused(await rest.client.request(method, path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/api/auth/register", "POST"),
        ("GET", "/api/auth/login", "POST"),
        ("PATCH", "/api/projects", "GET, HEAD, POST"),
        ("POST", "/api/projects/x", "DELETE, GET, HEAD, PUT"),
        ("BREW", "/api/health", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_which_ones_there_are(
    rest: Rest, method: str, path: str, allow: str
) -> None:
    response = await rest.client.request(method, path)
    refused(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allow


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"name=x", 400, "malformed_json"),
        (b'{"email": "\xff"}', 400, "malformed_json"),
        (b"[]", 422, "validation_failed"),
        (b'{"email":' + b"[" * 100_000, 422, "validation_failed"),
        (b'{"email": "' + b"x" * 300_000 + b'"}', 413, "body_too_large"),
    ],
)
async def test_json_is_read_strictly(rest: Rest, content: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = await rest.client.post("/api/auth/login", content=content, headers=headers)
    refused(response, status, code)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_json(rest: Rest, headers: dict[str, str]) -> None:
    response = await rest.client.post("/api/auth/login", content=b"{}", headers=headers)
    refused(response, 415, "unsupported_media_type")


async def test_an_unexpected_error_shows_an_id_and_nothing_else(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def statistics() -> None:
        raise RuntimeError("the password of the database is hunter2")

    monkeypatch.setattr(rest.rooms, "statistics", statistics)
    with structlog.testing.capture_logs() as logged:
        response = await rest.client.get("/api/health")
    problem = refused(response, 500, "internal")
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    assert response.headers.items() >= HARDENED.items()
    found = next(entry for entry in logged if entry["event"] == "internal_error")
    assert (found["id"], found["log_level"]) == (problem["id"], "error")
    assert "hunter2" in str(found["exc_info"])


async def test_every_answer_is_hardened(rest: Rest) -> None:
    for response in (
        await rest.client.get("/api/health"),
        await rest.client.get("/nothing"),
        await rest.client.post("/api/auth/login"),
    ):
        assert response.headers.items() >= HARDENED.items()


async def test_without_the_database_the_answer_is_503(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await rest.services.database.close()
    for method, path, body in (
        ("GET", "/api/projects", None),
        ("GET", f"/api/projects/{project['id']}", None),
        ("POST", "/api/projects", {"name": "x"}),
        ("POST", "/api/auth/login", {"email": "a@example.com", "password": "x"}),
    ):
        response = await anna(method, path, json=body)
        refused(response, 503, "database_unavailable")
        assert int(response.headers["retry-after"]) > 0


async def test_without_redis_the_answer_is_503(rest: Rest) -> None:
    anna = await rest.person()
    nowhere = redis.asyncio.Redis(
        unix_socket_path="/nowhere/redis.sock", retry=Retry(NoBackoff(), 0)
    )
    made = services.assemble(
        settings=rest.services.settings,
        database=rest.services.database,
        redis=Redis(nowhere, rest.services.redis.url),
        rooms=rest.rooms,
        secret=SECRET,
    )
    anna.client = testing.client(app.build(made))
    async with anna.client:
        refused(await anna("GET", "/api/projects"), 503, "redis_unavailable")
        assert (await anna.client.get("/api/health")).status_code == 200
        problem = refused(await anna.client.get("/api/ready"), 503, "not_ready")
    checks = {"database": "ok", "redis": "unreachable", "migrations": "ok"}
    assert problem["checks"] == checks


async def test_answers_are_counted_by_route_and_not_by_address(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    labels = {"route": "/api/projects/{project_id}", "method": "GET", "status": "200"}
    before = metrics.REGISTRY.get_sample_value("syncsphere_http_requests_total", labels) or 0
    await anna("GET", f"/api/projects/{project['id']}")
    await rest.client.request("BREW", "/nobody/ever/asked/for/this")
    after = metrics.REGISTRY.get_sample_value("syncsphere_http_requests_total", labels)
    assert after == before + 1
    text = (await rest.client.get("/metrics")).text
    assert "BREW" not in text
    assert "nobody" not in text
    assert 'route="unknown"' in text


async def test_a_head_request_gets_the_headers_of_a_get(rest: Rest) -> None:
    response = await rest.client.head("/api/health")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"


def test_the_fake_rooms_are_rooms() -> None:
    rooms: LiveRooms = testing.FakeRooms()
    assert rooms.statistics() == (0, 0)
