"""The audit log: written in the acts' own transactions, read by administrators only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from auth import audit
from base import clock, ids

from .rest import PASSWORD, refused

if TYPE_CHECKING:
    import httpx

    from .rest import Person, Rest

LOG = "/api/admin/audit"


async def administrator(rest: Rest) -> Person:
    admin = await rest.person("admin")
    async with rest.services.database.connection() as tx:
        await tx.execute("UPDATE users SET is_admin = true WHERE username = 'admin'")
    return admin


def items(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_an_administrator_reads_what_happened_newest_first(rest: Rest) -> None:
    admin, anna = await administrator(rest), await rest.person("anna")
    await rest.client.post("/api/auth/login", json={"email": "anna@example.com", "password": "no"})
    found = items(await admin("GET", LOG, params={"user": anna.user["id"]}))
    assert [event["kind"] for event in found] == ["login.failed", "login", "account.registered"]
    assert found[0]["actorId"] is None
    assert found[2]["actorId"] == found[2]["userId"] == anna.user["id"]
    assert found[0]["at"].endswith("Z")


@pytest.mark.parametrize("way", ["stranger", "anybody"])
async def test_nobody_else_reads_it(rest: Rest, way: str) -> None:
    anna = await rest.person("anna")
    if way == "anybody":
        refused(await rest.client.get(LOG), 401, "token_missing")
    else:
        assert (await anna("GET", LOG)).status_code == 403


async def test_who_is_no_administrator_any_more_reads_no_more(rest: Rest) -> None:
    admin = await administrator(rest)
    assert (await admin("GET", LOG)).status_code == 200
    async with rest.services.database.connection() as tx:
        await tx.execute("UPDATE users SET is_admin = false")
    assert (await admin("GET", LOG)).status_code == 403


async def test_pages_follow_each_other_without_gaps(rest: Rest) -> None:
    admin, project = await administrator(rest), ids.new_id()
    async with rest.services.database.transaction() as tx:
        for number in range(7):
            await audit.record(
                tx, audit.Kind.LINK_MADE, at=clock.now(), project=project, number=number
            )
        await audit.record(tx, audit.Kind.LINK_REVOKED, at=clock.now(), project=project)
    asked = {"project": str(project), "kind": "link.made", "limit": "3"}
    numbers: list[int] = []
    pages = 0
    while True:
        answer = await admin("GET", LOG, params=asked)
        numbers += [event["detail"]["number"] for event in items(answer)]
        pages += 1
        cursor = answer.json()["nextCursor"]
        if cursor is None:
            break
        asked["cursor"] = cursor
    assert numbers == [6, 5, 4, 3, 2, 1, 0]
    assert pages == 3


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"kind": "x"}, "validation_failed"),
        ({"kind": "'; DROP TABLE audit_events; --"}, "validation_failed"),
        ({"user": "me"}, "validation_failed"),
        ({"project": "1"}, "validation_failed"),
        ({"limit": "0"}, "validation_failed"),
        ({"limit": "101"}, "validation_failed"),
        ({"cursor": "x"}, "cursor_invalid"),
        ({"cursor": ""}, "cursor_invalid"),
        ({"cursor": "{01a21e00-0000-7000-8000-000000000000}"}, "cursor_invalid"),
    ],
)
async def test_a_wrong_question_is_refused(rest: Rest, params: dict[str, str], code: str) -> None:
    admin = await administrator(rest)
    refused(await admin("GET", LOG, params=params), 422, code)


async def test_it_holds_no_secret_and_no_address(rest: Rest) -> None:
    admin = await administrator(rest)
    anna = await rest.person("anna")
    await anna("PUT", "/api/auth/password", json={"current": PASSWORD, "new": "another horse"})
    await anna("DELETE", "/api/users/me", json={"password": "another horse"})
    text = (await admin("GET", LOG)).text
    assert "account.closed" in text
    for secret in (PASSWORD, "another horse", "anna@example.com", anna.token, "$2b$"):
        assert secret not in text
