"""API keys: as far as their scopes and their owner reach, and no longer than they live."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import pytest

from api.route import Auth
from api.routes import ROUTES
from auth import keys
from auth.changes import KeyRevoked
from auth.errors import TokenInvalid
from base import clock, ids

from . import post
from .rest import refused

if TYPE_CHECKING:
    import httpx

    from auth.changes import Change

    from .rest import Person, Rest

KEYS = "/api/auth/keys"


async def make(who: Person, **fields: object) -> httpx.Response:
    return await who("POST", KEYS, json={"name": "a program", "scopes": ["read"]} | fields)


async def listed(who: Person) -> list[dict[str, Any]]:
    return (await who("GET", KEYS)).json()["items"]


async def test_a_key_is_shown_once_and_kept_as_a_hash(rest: Rest) -> None:
    anna = await rest.person()
    made = (await make(anna, name=" Ableton ", scopes=["write", "read", "read"])).json()
    assert made["token"].startswith("ssk_")
    [key] = await listed(anna)
    assert key == made["key"]
    assert (key["name"], key["scopes"], key["lastUsedAt"]) == ("Ableton", ["read", "write"], None)
    assert made["token"] not in (await anna("GET", KEYS)).text
    async with rest.services.database.connection() as tx:
        row = await (await tx.execute("SELECT api_keys::text FROM api_keys")).fetchone()
    assert row is not None
    secret = base64.urlsafe_b64decode(made["token"].removeprefix("ssk_"))[16:]
    assert len(secret) == 32
    assert secret.hex() not in row[0]
    [event] = await rest.events("key.made")
    assert event["detail"] == {"key": key["id"]}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": " "}, "$.name"),
        ({"name": "x" * 101}, "$.name"),
        ({"scopes": []}, "$.scopes"),
        ({"scopes": ["everything"]}, "$.scopes[0]"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "$.expiresAt"),
        ({"expiresAt": "2099-01-01T00:00:00"}, "$.expiresAt"),
        ({"expiresAt": "9999-12-31T23:59:59-14:00"}, "$.expiresAt"),
        ({"expiresAt": "0001-01-01T00:00:00+14:00"}, "$.expiresAt"),
        ({"name": "a\x00b"}, "$.name"),
        ({"userId": str(ids.new_id())}, "$"),
    ],
)
async def test_a_wrong_key_is_refused_where_it_is_wrong(
    rest: Rest, fields: dict[str, object], path: str
) -> None:
    answer = await make(await rest.person(), **fields)
    assert refused(answer, 422, "validation_failed")["path"] == path


@pytest.mark.parametrize("name", ["'); DROP TABLE api_keys; --", '{"a": 1}', "%s %(x)s", "\\'"])
async def test_a_name_is_text_whatever_it_says(rest: Rest, name: str) -> None:
    anna = await rest.person()
    await make(anna, name=name)
    assert [each["name"] for each in await listed(anna)] == [name]


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [("read", (200, 403, 403)), ("write", (200, 200, 403)), ("manage", (200, 200, 204))],
)
async def test_a_key_does_what_its_scope_says(
    rest: Rest, scope: str, statuses: tuple[int, ...]
) -> None:
    anna = await rest.person()
    project = await anna.project()
    program = await rest.key(anna, scope)
    path = f"/api/projects/{project['id']}"
    answers = [
        await program("GET", path),
        await program("PUT", path, json={"name": "x"}),
        await program("DELETE", path),
    ]
    assert tuple(each.status_code for each in answers) == statuses


async def test_a_key_that_reads_makes_no_project(rest: Rest) -> None:
    anna = await rest.person()
    reads, writes = await rest.key(anna, "read"), await rest.key(anna, "write")
    body = {"name": "x"}
    refused(await reads("POST", "/api/projects", json=body), 403, "not_allowed")
    assert (await writes("POST", "/api/projects", json=body)).status_code == 201
    assert len((await reads("GET", "/api/projects")).json()["items"]) == 1


async def test_a_key_that_reads_takes_the_music_and_brings_none(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    reads, writes = await rest.key(anna, "read"), await rest.key(anna, "write")
    path = f"/api/projects/{project['id']}"
    assert (await reads("GET", path + "/snapshot")).status_code == 200
    refused(await reads("POST", path + "/updates", content=b"\0\0"), 403, "not_allowed")
    assert (await writes("POST", path + "/updates", content=b"\0\0")).status_code == 200
    invitation = {"email": "bert@example.com", "role": "viewer"}
    refused(await writes("POST", path + "/collaborators", json=invitation), 403, "not_allowed")
    refused(await writes("POST", path + "/links", json={"role": "viewer"}), 403, "not_allowed")


async def test_a_key_of_one_project_knows_no_other(rest: Rest) -> None:
    anna = await rest.person()
    mine, other = await anna.project(), await anna.project()
    program = await rest.key(anna, "manage", projectId=mine["id"])
    assert (await program("GET", f"/api/projects/{mine['id']}")).status_code == 200
    refused(await program("GET", f"/api/projects/{other['id']}"), 404, "project_not_found")
    refused(await program("DELETE", f"/api/projects/{other['id']}"), 404, "project_not_found")
    refused(await program("POST", "/api/projects", json={"name": "x"}), 403, "not_allowed")
    for path in ("/api/auth/me", "/api/users/me", "/api/users/me/preferences"):
        # Nor its owner: whoever runs the program may be somebody else.
        refused(await program("GET", path), 403, "not_allowed")
    items = (await program("GET", "/api/projects")).json()["items"]
    assert [each["id"] for each in items] == [mine["id"]]


@pytest.mark.parametrize("scope", ["read", "manage"])
async def test_a_key_of_one_project_asks_nothing_of_the_account(rest: Rest, scope: str) -> None:
    anna = await rest.person()
    program = await rest.key(anna, scope, projectId=(await anna.project())["id"])
    for route in ROUTES:
        if route.auth is Auth.NONE or not route.of_account or route.operation == "projects_index":
            continue
        path = re.sub(r"{\w+}", str(ids.new_id()), route.path)
        answer = await program(route.method, path, json={})
        wanted = {"not_allowed", "session_needed"}
        assert answer.json()["code"] in wanted, (route.operation, answer.text)


async def test_a_new_key_is_told_of_by_mail(rest: Rest) -> None:
    anna = await rest.person("anna")
    with post.opened() as mailbox:
        await make(anna, name="Ableton")
        (letter,) = mailbox.letters("anna@example.com")
    assert "Ableton" in letter.text
    assert "ssk_" not in letter.text


async def test_a_key_may_not_be_bound_to_what_its_owner_cannot_see(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    project = await anna.project()
    theirs = await make(bert, projectId=project["id"])
    refused(theirs, 404, "project_not_found")
    assert theirs.content == (await make(bert, projectId=str(ids.new_id()))).content


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", KEYS),
        ("GET", KEYS),
        ("DELETE", f"{KEYS}/{ids.new_id()}"),
        ("GET", "/api/auth/sessions"),
        ("DELETE", "/api/auth/sessions"),
        ("DELETE", f"/api/auth/sessions/{ids.new_id()}"),
        ("POST", "/api/auth/logout"),
        ("PUT", "/api/auth/password"),
        ("DELETE", "/api/users/me"),
    ],
)
async def test_no_key_does_what_only_a_person_should(rest: Rest, method: str, path: str) -> None:
    program = await rest.key(await rest.person(), "manage")
    refused(await program(method, path, json={}), 403, "session_needed")


async def test_a_revoked_key_opens_nothing_from_then_on(rest: Rest) -> None:
    anna = await rest.person()
    heard: list[Change] = []
    rest.services.changes.listen(heard.append)
    program = await rest.key(anna)
    [key] = await listed(anna)
    assert (await anna("DELETE", f"{KEYS}/{key['id']}")).status_code == 204
    assert heard == [KeyRevoked(UUID(key["id"]))]
    refused(await program("GET", "/api/projects"), 401, "token_invalid")
    refused(await anna("DELETE", f"{KEYS}/{key['id']}"), 404, "key_not_found")
    assert len(await rest.events("key.revoked")) == 1


async def test_nobody_sees_or_revokes_the_key_of_somebody_else(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    program = await rest.key(anna)
    [key] = await listed(anna)
    assert await listed(bert) == []
    theirs = await bert("DELETE", f"{KEYS}/{key['id']}")
    refused(theirs, 404, "key_not_found")
    for unknown in (ids.new_id(), "x"):
        assert (await bert("DELETE", f"{KEYS}/{unknown}")).content == theirs.content
    assert (await program("GET", "/api/projects")).status_code == 200


async def test_a_key_ends_when_it_says(rest: Rest) -> None:
    anna = await rest.person()
    ends = clock.now() + timedelta(hours=1)
    program = await rest.key(anna, expiresAt=ends.isoformat())
    assert (await program("GET", "/api/projects")).status_code == 200
    rest.time.ahead = timedelta(hours=1)
    refused(await program("GET", "/api/projects"), 401, "token_expired")


@pytest.mark.parametrize(
    "bar",
    ["UPDATE users SET disabled_at = now()", "UPDATE users SET closed_at = now()"],
    ids=["disabled", "closed"],
)
async def test_the_key_of_a_barred_account_opens_nothing(rest: Rest, bar: Any) -> None:
    program = await rest.key(await rest.person())
    key_ids = [UUID(bytes=base64.urlsafe_b64decode(program.token.removeprefix("ssk_"))[:16])]
    async with rest.services.database.connection() as tx:
        assert await keys.alive(tx, key_ids, clock.now()) == set(key_ids)
        await tx.execute(bar)
        assert await keys.alive(tx, key_ids, clock.now()) == set()
    refused(await program("GET", "/api/projects"), 401, "token_invalid")


async def test_a_guessed_secret_is_refused(rest: Rest) -> None:
    program = await rest.key(await rest.person())
    good = program.token
    another = "A" if good[-1] != "A" else "B"
    for bad in (good[:-1] + another, good[:-1], good + "A", "ssk_", "ssk_" + "é" * 64, good[4:]):
        with pytest.raises(TokenInvalid):
            await rest.services.identities.identify(bad)
    assert (await program("GET", "/api/projects")).status_code == 200


async def test_that_a_key_was_used_is_noted_once_a_minute(rest: Rest) -> None:
    anna = await rest.person()
    program = await rest.key(anna)
    noted: list[str] = []
    for seconds in (0, 30, 61):
        rest.time.ahead = timedelta(seconds=seconds)
        await program("GET", "/api/projects")
        noted.append((await listed(anna))[0]["lastUsedAt"])
    assert noted[0] == noted[1] < noted[2]


async def test_there_are_never_more_than_fifty(rest: Rest) -> None:
    anna = await rest.person()
    statuses: list[int] = []

    async def attempt() -> None:
        statuses.append((await make(anna)).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(55):
            group.start_soon(attempt)
    assert sorted(statuses) == [201] * 50 + [409] * 5
    assert refused(await make(anna), 409, "keys_full")["most"] == keys.MOST
