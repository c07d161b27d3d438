"""Alive, ready, in numbers, and described."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openapi_spec_validator import OpenAPIV31SpecValidator

from api import health
from docstore import migrate

from .rest import refused

if TYPE_CHECKING:
    import pytest

    from .rest import Rest


async def test_health_asks_nobody(rest: Rest) -> None:
    await rest.services.database.close()
    response = await rest.client.get("/api/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "version": health.VERSION,
        "rooms": 0,
        "connections": 0,
    }


async def test_a_server_with_everything_is_ready(rest: Rest) -> None:
    response = await rest.client.get("/api/ready")
    assert response.status_code == 200
    checks = {"database": "ok", "redis": "ok", "migrations": "ok"}
    assert response.json() == {"status": "ready", "checks": checks}


async def test_a_server_whose_database_is_behind_is_not_ready(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "head", lambda: "9999")
    problem = refused(await rest.client.get("/api/ready"), 503, "not_ready")
    assert problem["checks"] == {"database": "ok", "redis": "ok", "migrations": "behind"}


async def test_a_server_without_its_database_is_not_ready(rest: Rest) -> None:
    await rest.services.database.close()
    problem = refused(await rest.client.get("/api/ready"), 503, "not_ready")
    assert problem["checks"]["database"] == "unreachable"
    assert problem["checks"]["redis"] == "ok"
    assert rest.services.database.url not in str(problem)


async def test_metrics_are_prometheus_text(rest: Rest) -> None:
    await rest.client.get("/api/health")
    response = await rest.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    for name in ("syncsphere_http_requests_total", "syncsphere_rooms", "process_resident_memory"):
        assert name in response.text


async def test_the_description_that_is_served_is_valid(rest: Rest) -> None:
    response = await rest.client.get("/api/openapi.json")
    assert response.headers["content-type"] == "application/json"
    OpenAPIV31SpecValidator(response.json()).validate()
