"""Guessing passwords: from many windows at once, under both names, and at every door."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from uuid import UUID

import anyio
import bcrypt
import pytest

from api import app, testing
from auth.backoff import ALLOWANCE, FREE
from auth.passwords import Passwords

from .rest import PASSWORD, Rest, refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

ANNA = "anna@example.com"
LOGIN, REOPEN, ME = "/api/auth/login", "/api/auth/reopen", "/api/users/me"


async def guess(rest: Rest, name: str = ANNA, password: str = "a guess") -> httpx.Response:
    kind = "email" if "@" in name else "username"
    return await rest.client.post(LOGIN, json={kind: name, "password": password})


async def reopen(rest: Rest, password: str = "a guess") -> httpx.Response:
    return await rest.client.post(REOPEN, json={"name": "anna", "password": password})


@pytest.mark.parametrize("name", [ANNA, "nobody@example.com", "nobody"])
async def test_of_two_hundred_guesses_at_once_a_dozen_are_compared(
    rest: Rest, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await rest.person("anna")
    compare, compared = bcrypt.checkpw, list[bool]()

    def checkpw(secret: bytes, against: bytes) -> bool:
        compared.append(compare(secret, against))
        return compared[-1]

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    answers: list[int] = []

    async def once() -> None:
        answers.append((await guess(rest, name)).status_code)

    async with anyio.create_task_group() as everybody:
        for _ in range(200):
            everybody.start_soon(once)
    assert set(answers) == {401, 429}
    assert FREE < len(compared) <= FREE + ALLOWANCE
    refused(await guess(rest, name, PASSWORD), 429, "too_many_attempts")


async def test_somebodys_few_windows_all_come_in_at_once(rest: Rest) -> None:
    await rest.person("anna")
    answers: list[int] = []

    async def once() -> None:
        answers.append((await guess(rest, password=PASSWORD)).status_code)

    async with anyio.create_task_group() as windows:
        for _ in range(8):
            windows.start_soon(once)
    assert answers == [200] * 8


async def test_two_names_of_one_account_are_no_further_guesses(rest: Rest) -> None:
    await rest.person("anna")
    names = [ANNA, "anna"] * 3
    answers = [(await guess(rest, name)).status_code for name in names]
    assert answers == [401] * 5 + [429]
    refused(await reopen(rest, PASSWORD), 429, "too_many_attempts")


async def test_the_id_of_an_account_is_not_its_name(rest: Rest) -> None:
    anna = await rest.person("anna")
    for _ in range(6):
        await guess(rest, anna.user["id"])
    assert (await guess(rest, password=PASSWORD)).status_code == 200


async def test_every_door_writes_down_who_did_not_come_in(rest: Rest) -> None:
    anna = await rest.person("anna")
    refused(await guess(rest), 401, "invalid_credentials")
    refused(await reopen(rest), 401, "invalid_credentials")
    body = {"current": "a guess", "new": "another horse"}
    refused(await anna("PUT", "/api/auth/password", json=body), 403, "password_wrong")
    refused(await anna("DELETE", ME, json={"password": "a guess"}), 403, "password_wrong")
    await rest.run("UPDATE users SET disabled_at = now()")
    refused(await guess(rest, password=PASSWORD), 403, "account_disabled")
    refused(await reopen(rest, PASSWORD), 403, "account_disabled")
    events = await rest.events("login.failed")
    assert {event["user"] for event in events} == {UUID(anna.user["id"])}
    assert {event["ip"] for event in events} == {"127.0.0.1"}
    whys = [event["detail"]["why"] for event in events]
    assert whys == ["password", "reopen", "confirm", "confirm"] + ["account_disabled"] * 2


@pytest.mark.parametrize("door", [guess, reopen])
async def test_who_knows_the_password_of_a_disabled_account_is_no_guesser(
    rest: Rest, door: Callable[..., Awaitable[httpx.Response]]
) -> None:
    """Neither counted, nor left in a place that the next attempt waits for."""
    await rest.person("anna")
    await rest.run("UPDATE users SET disabled_at = now()")
    for _ in range(3):
        await guess(rest)
    for _ in range(20):
        refused(await door(rest, password=PASSWORD), 403, "account_disabled")
    assert await rest.services.redis.client.keys("backoff:*") == []


async def test_who_was_not_compared_has_not_guessed(rest: Rest) -> None:
    """The queue for comparing is full: nobody learned anything, and the place is free again."""
    await rest.person("anna")
    full = dataclasses.replace(rest.services, passwords=Passwords(cost=4, waiting=0))
    async with testing.client(app.build(full)) as client:
        for path in (LOGIN, REOPEN):
            for _ in range(20):
                body = {"username": "anna"} if path == LOGIN else {"name": "anna"}
                answer = await client.post(path, json=body | {"password": "a guess"})
                refused(answer, 503, "server_busy")
    assert await rest.services.redis.client.keys("backoff:*") == []
    assert await rest.events("login.failed") == []
