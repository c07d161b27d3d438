"""Accounts: made once, opened with the right password only, closed by a logout."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, LiteralString
from uuid import UUID

import anyio
import bcrypt
import pytest
import redis.asyncio
from psycopg import sql
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from api import app, testing
from auth import tokens
from auth.verification import Codes
from base import clock, ids
from base.redis import Redis

from . import post
from .rest import PASSWORD, SECRET, refused

if TYPE_CHECKING:
    import httpx

    from .rest import Rest

ANNA = {"email": "anna@example.com", "username": "anna", "password": PASSWORD}


async def register(rest: Rest, **changes: object) -> httpx.Response:
    return await rest.client.post("/api/auth/register", json=ANNA | changes)


async def login(rest: Rest, **changes: object) -> httpx.Response:
    fields = {"email": ANNA["email"], "password": PASSWORD} | changes
    return await rest.client.post("/api/auth/login", json=fields)


async def me(rest: Rest, token: str) -> httpx.Response:
    return await rest.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})


async def stored(rest: Rest, column: LiteralString) -> str:
    async with rest.services.database.connection() as tx:
        cursor = await tx.execute(sql.SQL("SELECT {}::text FROM users").format(sql.SQL(column)))
        row = await cursor.fetchone()
    assert row is not None
    return str(row[0])


async def test_a_new_account_is_shown_without_its_password(rest: Rest) -> None:
    response = await register(rest, email=" Anna@Example.com ", username=" Anna ")
    assert response.status_code == 201
    user = response.json()["user"]
    assert user.keys().isdisjoint({"password", "passwordHash"})
    assert PASSWORD not in response.text
    assert (user["emailVerified"], user["isAdmin"], user["lastLoginAt"]) == (False, False, None)
    assert (user["email"], user["username"]) == ("anna@example.com", "Anna")
    assert UUID(user["id"]).version == 7
    assert user["createdAt"].endswith("Z")


async def test_a_login_gives_a_token_that_says_who_it_is(rest: Rest) -> None:
    user = (await register(rest)).json()["user"]
    response = await login(rest, email="ANNA@example.com")
    assert response.status_code == 200
    body = response.json()
    assert body["user"].pop("lastLoginAt") >= user["createdAt"]
    del user["lastLoginAt"]
    assert body["user"] == user
    assert body["expiresAt"].endswith("Z")
    assert response.headers["cache-control"] == "no-store"
    assert (await me(rest, body["token"])).json()["user"].items() >= user.items()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"username": "other"}, "email_taken"),
        ({"username": "other", "email": "ANNA@EXAMPLE.COM"}, "email_taken"),
        ({"email": "other@example.com"}, "username_taken"),
        ({"email": "other@example.com", "username": "ANNA"}, "username_taken"),
        ({"email": "other@example.com", "username": "\uff41nna"}, "username_taken"),
    ],
)
async def test_nobody_gets_a_name_that_is_taken(
    rest: Rest, changes: dict[str, str], code: str
) -> None:
    await register(rest)
    refused(await register(rest, **changes), 409, code)


async def test_of_many_who_want_one_name_at_once_one_gets_it(rest: Rest) -> None:
    statuses: list[int] = []

    async def attempt(number: int) -> None:
        response = await register(rest, email=f"anna{number}@example.com")
        statuses.append(response.status_code)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(attempt, number)
    assert sorted(statuses) == [201] + [409] * 7


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"email": "anna"}, "email_invalid", "$.email"),
        ({"email": 5}, "validation_failed", "$.email"),
        ({"email": "anna@example.com\x00"}, "validation_failed", "$.email"),
        ({"username": "a"}, "username_invalid", "$.username"),
        ({"username": "an na"}, "username_invalid", "$.username"),
        ({"username": "a\x00b"}, "validation_failed", "$.username"),
        ({"password": "short"}, "password_too_short", "$.password"),
        ({"password": "x" * 73}, "password_too_long", "$.password"),
        ({"password": "long\x00enough"}, "validation_failed", "$.password"),
        ({"password": None}, "validation_failed", "$.password"),
        ({"isAdmin": True}, "validation_failed", "$"),
        ({"emailVerified": True}, "validation_failed", "$"),
        ({"username": "ann\u0430"}, "username_invalid", "$.username"),
        ({"username": "a" * 200_000}, "username_invalid", "$.username"),
        ({"username": "'; DROP TABLE users; --"}, "username_invalid", "$.username"),
        ({"email": "'; DROP TABLE users; --"}, "email_invalid", "$.email"),
        ({"email": "a" * 200_000 + "@example.com"}, "email_invalid", "$.email"),
    ],
)
async def test_a_wrong_registration_is_refused_where_it_is_wrong(
    rest: Rest, changes: dict[str, object], code: str, path: str
) -> None:
    assert refused(await register(rest, **changes), 422, code)["path"] == path


@pytest.mark.parametrize("password", ["'; DROP TABLE users; --", "%s%s%s%s", "\\'\\\" OR 1=1"])
async def test_a_password_may_be_anything_that_people_type(rest: Rest, password: str) -> None:
    assert (await register(rest, password=password, email="o'neil@example.com")).status_code == 201
    entered = await login(rest, password=password, email="o'neil@example.com")
    assert entered.status_code == 200


async def test_registering_writes_one_letter_and_one_event(rest: Rest) -> None:
    with post.opened() as mailbox:
        user = (await register(rest)).json()["user"]
        refused(await register(rest), 409, "email_taken")
    assert [letter.to for letter in mailbox.letters()] == [ANNA["email"]]
    async with rest.services.database.connection() as tx:
        cursor = await tx.execute("SELECT kind, user_id, actor_id FROM audit_events")
        found = await cursor.fetchall()
    assert found == [("account.registered", UUID(user["id"]), UUID(user["id"]))]


async def test_without_redis_an_account_is_made_all_the_same(rest: Rest) -> None:
    retry = Retry(NoBackoff(), 0)
    away = Redis(redis.asyncio.Redis(port=1, retry=retry), "redis://127.0.0.1:1")
    codes = Codes(away, SECRET, life=timedelta(minutes=10))
    server = app.build(dataclasses.replace(rest.services, codes=codes))
    async with testing.client(server) as client:
        made = await client.post("/api/auth/register", json=ANNA)
    assert made.status_code == 201
    await away.close()
    assert (await login(rest)).status_code == 200


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(rest: Rest) -> None:
    await register(rest)
    wrong = await login(rest, password="incorrect horse")
    refused(wrong, 401, "invalid_credentials")
    assert wrong.headers["www-authenticate"].startswith("Bearer")
    for unknown in (
        await login(rest, email="nobody@example.com"),
        await login(rest, email="not an address"),
        await login(rest, email="nobody@example.com\x00"),
        await login(rest, password="x" * 100),
        await login(rest, password=""),
        await login(rest, password="\x00"),
    ):
        assert unknown.content == wrong.content
        assert unknown.status_code == wrong.status_code


async def test_every_failed_login_costs_one_comparison(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(rest)
    costs: list[bytes] = []
    compare = bcrypt.checkpw

    def checkpw(secret: bytes, against: bytes) -> bool:
        costs.append(against[:7])
        return compare(secret, against)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    await login(rest, password="incorrect horse")
    await login(rest, email="nobody@example.com")
    await login(rest, email="not an address")
    assert costs == [b"$2b$04$"] * 3


async def test_a_disabled_account_is_told_so_only_with_its_password(rest: Rest) -> None:
    await register(rest)
    async with rest.services.database.connection() as tx:
        await tx.execute("UPDATE users SET disabled_at = now()")
    refused(await login(rest), 403, "account_disabled")
    refused(await login(rest, password="incorrect horse"), 401, "invalid_credentials")


async def test_a_login_renews_a_hash_of_another_cost(rest: Rest) -> None:
    await register(rest)
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    async with rest.services.database.connection() as tx:
        await tx.execute("UPDATE users SET password_hash = %s", (old,))
    assert (await login(rest)).status_code == 200
    assert (await stored(rest, "password_hash")).startswith("$2b$04$")
    assert (await login(rest)).status_code == 200


async def test_after_a_logout_the_token_opens_nothing(rest: Rest) -> None:
    anna, bert = await rest.person("anna"), await rest.person("bert")
    second = (await login(rest)).json()["token"]
    response = await anna("POST", "/api/auth/logout")
    assert (response.status_code, response.content) == (204, b"")
    refused(await me(rest, anna.token), 401, "session_ended")
    refused(await anna("POST", "/api/auth/logout"), 401, "session_ended")
    assert (await me(rest, second)).status_code == 200
    assert (await me(rest, bert.token)).status_code == 200


async def test_a_session_lives_in_redis_for_seven_days(rest: Rest) -> None:
    anna = await rest.person()
    key = tokens.SigningKey.derive(SECRET)
    session = tokens.read(anna.token, now=clock.now(), key=key).session_id
    left = await rest.services.redis.client.ttl(f"session:{session}")
    assert 0 <= timedelta(days=7).total_seconds() - left < 60


async def test_a_token_ends_by_itself(rest: Rest) -> None:
    anna = await rest.person()
    rest.time.ahead = timedelta(days=7, seconds=2)
    refused(await anna("GET", "/api/auth/me"), 401, "token_expired")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "token_missing"),
        ("", "token_invalid"),
        ("Bearer", "token_missing"),
        ("Basic YW5uYTpwdw==", "token_invalid"),
        ("Bearer x", "token_invalid"),
        ("Bearer a.b.c", "token_invalid"),
        ("Bearer " + "x" * 10_000, "token_invalid"),
    ],
)
async def test_without_a_good_token_nobody_gets_in(
    rest: Rest, header: str | None, code: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in (
        ("GET", "/api/auth/me"),
        ("POST", "/api/auth/logout"),
        ("GET", "/api/projects"),
        ("POST", "/api/projects"),
        ("PUT", f"/api/projects/{ids.new_id()}"),
        ("DELETE", f"/api/projects/{ids.new_id()}"),
    ):
        response = await rest.client.request(method, path, headers=headers)
        refused(response, 401, code)
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_forged_token_is_refused(rest: Rest) -> None:
    anna = await rest.person()
    other = tokens.SigningKey.derive("the secret of some other server")
    claims = tokens.read(anna.token, now=clock.now(), key=tokens.SigningKey.derive(SECRET))
    forged = tokens.mint(
        claims.user_id, claims.session_id, now=clock.now(), key=other, life=timedelta(1)
    )
    refused(await me(rest, forged.token), 401, "token_invalid")


async def test_a_token_does_not_open_the_session_of_somebody_else(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    key = tokens.SigningKey.derive(SECRET)
    session = tokens.read(bert.token, now=clock.now(), key=key).session_id
    mixed = tokens.mint(UUID(anna.user["id"]), session, now=clock.now(), key=key, life=timedelta(1))
    refused(await me(rest, mixed.token), 401, "token_invalid")


async def test_an_account_that_is_gone_has_no_session(rest: Rest) -> None:
    anna = await rest.person()
    async with rest.services.database.connection() as tx:
        await tx.execute("DELETE FROM users")
    refused(await anna("GET", "/api/auth/me"), 401, "session_ended")
