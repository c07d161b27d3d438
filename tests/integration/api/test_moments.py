"""Moments in requests: one that has not come is refused everywhere where the past is meant."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from .crew import at
from .rest import refused

if TYPE_CHECKING:
    from .rest import Rest

GETS: list[tuple[str, str, str, dict[str, str]]] = [
    ("/at", "time", "$.time", {}),
    ("/changes", "from", "$.from", {}),
    ("/changes", "to", "$.to", {"from": "2026-01-01T00:00:00Z"}),
    ("/history", "from", "$.from", {}),
]
POSTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("/prune", "before", "$.before", {}),
    ("/restore", "time", "$.time", {}),
    ("/rollback", "from", "$.from", {"by": None}),
    ("/rollback", "to", "$.to", {"by": None}),
]


def soon(rest: Rest) -> str:
    return (rest.time.now() + timedelta(hours=1)).isoformat()


@pytest.mark.parametrize(("path", "name", "where", "more"), GETS)
async def test_what_has_not_come_is_not_read(
    rest: Rest, path: str, name: str, where: str, more: dict[str, str]
) -> None:
    anna = await rest.person()
    project = await anna.project()
    asked = {**more, name: soon(rest)}
    told = refused(await anna("GET", at(project, path), params=asked), 422, "validation_failed")
    assert told["path"] == where


@pytest.mark.parametrize(("path", "name", "where", "more"), POSTS)
async def test_what_has_not_come_is_not_gone_back_to(
    rest: Rest, path: str, name: str, where: str, more: dict[str, Any]
) -> None:
    anna = await rest.person()
    project = await anna.project()
    body = {**more, name: soon(rest)}
    told = refused(await anna("POST", at(project, path), json=body), 422, "validation_failed")
    assert told["path"] == where


@pytest.mark.parametrize(("end", "other"), [("from", "to"), ("to", "from")])
async def test_a_diff_has_two_ends_in_the_past(rest: Rest, end: str, other: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    asked = {end: f"time:{soon(rest)}", other: "live"}
    told = refused(await anna("GET", at(project, "/diff"), params=asked), 422, "validation_failed")
    assert told["path"] == f"$.{end}"


async def test_activity_may_be_asked_for_until_a_time_to_come(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    early = "1999-01-01T00:00:00Z"  # and from before there was anything: it begins where it begins
    asked = {"from": early, "to": soon(rest)}
    answer = await anna("GET", at(project, "/history"), params=asked)
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 1
