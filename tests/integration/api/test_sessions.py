"""Sessions over REST: signing in, staying signed in, and what thieves and guessers get."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import bcrypt
import pytest

from auth import tokens
from auth.changes import SessionRenewed, SessionsEnded
from base import clock

from .rest import PASSWORD, SECRET, refused

if TYPE_CHECKING:
    import httpx

    from auth.changes import Change

    from .rest import Rest

SOON, LATER = timedelta(seconds=9), timedelta(seconds=11)


async def login(rest: Rest, agent: str = "a browser", **fields: object) -> httpx.Response:
    body = {"email": "anna@example.com", "password": PASSWORD} | fields
    given = {name: value for name, value in body.items() if value is not None}
    return await rest.client.post("/api/auth/login", json=given, headers={"User-Agent": agent})


async def refresh(rest: Rest, token: str) -> httpx.Response:
    return await rest.client.post("/api/auth/refresh", json={"refreshToken": token})


async def me(rest: Rest, token: str) -> httpx.Response:
    return await rest.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})


def session_of(token: str) -> UUID:
    return tokens.read(token, now=clock.now(), key=tokens.SigningKey.derive(SECRET)).session_id


def told(rest: Rest) -> list[Change]:
    heard: list[Change] = []
    rest.services.changes.listen(heard.append)
    return heard


@pytest.mark.parametrize(
    "who",
    [
        {"email": "ANNA@example.com"},
        {"email": None, "username": "Anna"},
        {"email": "anna"},
        {"email": None, "username": "anna@example.com"},
    ],
)
async def test_a_login_takes_the_address_or_the_name(rest: Rest, who: dict[str, Any]) -> None:
    anna = await rest.person("anna")
    body = (await login(rest, **who)).json()
    assert body["user"]["id"] == anna.user["id"]
    assert body["csrfToken"] is None
    assert (await me(rest, body["token"])).status_code == 200


@pytest.mark.parametrize("who", [{"email": None}, {"username": "anna"}])
async def test_a_login_takes_one_name(rest: Rest, who: dict[str, Any]) -> None:
    refused(await login(rest, **who), 422, "validation_failed")


@pytest.mark.parametrize(
    "name", ["' OR '1'='1", "anna'; DROP TABLE users; --", "anna\x00", "%s", "", "x" * 100_000]
)
async def test_no_name_is_more_than_a_name(rest: Rest, name: str) -> None:
    anna = await rest.person("anna")
    refused(await login(rest, email=name), 401, "invalid_credentials")
    refused(await login(rest, password=name), 401, "invalid_credentials")
    assert (await me(rest, anna.token)).status_code == 200


async def test_every_login_is_a_new_session(rest: Rest) -> None:
    anna = await rest.person("anna")
    again = [(await login(rest)).json()["token"] for _ in range(2)]
    assert len({session_of(each) for each in (anna.token, *again)}) == 3


async def test_logins_good_and_bad_are_written_down_without_names(rest: Rest) -> None:
    anna = await rest.person("anna")
    await login(rest, password="incorrect horse")
    await login(rest, email="nobody@example.com")
    [good] = await rest.events("login")
    assert good["user"] == good["actor"] == UUID(anna.user["id"])
    bad, unknown = await rest.events("login.failed")
    assert (bad["user"], bad["actor"], bad["agent"]) == (good["user"], None, "a browser")
    assert unknown["user"] is None
    assert "example.com" not in f"{good}{bad}{unknown}"


async def test_whoever_guesses_waits_longer_each_time(rest: Rest) -> None:
    await rest.person("anna")
    for name in ("anna@example.com", "nobody@example.com"):
        answers = [await login(rest, email=name, password="guess") for _ in range(6)]
        assert [each.status_code for each in answers] == [401] * 5 + [429]
        refused(answers[-1], 429, "too_many_attempts")
        # Also the right password has to wait: or an answer would say which one it is.
        refused(await login(rest, email=name.upper()), 429, "too_many_attempts")
    rest.time.ahead = timedelta(minutes=1)
    assert (await login(rest)).status_code == 200


async def test_who_proves_the_old_password_while_it_is_changed_gets_nothing(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await rest.person("anna")
    compare, loop = bcrypt.checkpw, asyncio.get_running_loop()
    compared: list[bool] = []

    def checkpw(secret: bytes, against: bytes) -> bool:
        compared.append(compare(secret, against))
        rest.time.ahead += timedelta(seconds=1)
        ending = rest.services.identities.end_all(UUID(anna.user["id"]))
        asyncio.run_coroutine_threadsafe(ending, loop).result(10)
        rest.time.ahead += timedelta(seconds=1)
        return compared[-1]

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    refused(await login(rest), 401, "invalid_credentials")
    assert compared == [True]
    assert await rest.services.identities.sessions_of(UUID(anna.user["id"])) == []
    monkeypatch.undo()
    assert (await login(rest)).status_code == 200


async def test_a_refresh_gives_new_tokens_for_the_same_session(rest: Rest) -> None:
    anna, heard = await rest.person(), told(rest)
    answer = await refresh(rest, anna.refresh)
    assert answer.status_code == 200
    body = answer.json()
    assert body["refreshToken"] != anna.refresh
    assert session_of(body["token"]) == session_of(anna.token)
    [renewed] = heard
    assert isinstance(renewed, SessionRenewed)
    assert renewed.session_id == session_of(anna.token)
    assert (await me(rest, body["token"])).status_code == 200


async def test_an_access_token_is_short_and_its_session_is_not(rest: Rest) -> None:
    anna = await rest.person()
    rest.time.ahead = timedelta(minutes=16)
    refused(await me(rest, anna.token), 401, "token_expired")
    renewed = (await refresh(rest, anna.refresh)).json()
    assert (await me(rest, renewed["token"])).status_code == 200


async def test_a_session_that_is_used_every_six_days_does_not_end(rest: Rest) -> None:
    anna = await rest.person()
    token = anna.refresh
    for _ in range(3):
        rest.time.ahead += timedelta(days=6)
        token = (await refresh(rest, token)).json()["refreshToken"]
    rest.time.ahead += timedelta(days=7, seconds=1)
    refused(await refresh(rest, token), 401, "session_ended")


async def test_an_answer_that_was_lost_is_given_again(rest: Rest) -> None:
    anna = await rest.person()
    first = (await refresh(rest, anna.refresh)).json()
    rest.time.ahead = SOON
    again = (await refresh(rest, anna.refresh)).json()
    assert again["refreshToken"] == first["refreshToken"]
    assert (await refresh(rest, again["refreshToken"])).status_code == 200


async def test_a_stolen_refresh_token_ends_the_session_for_both(rest: Rest) -> None:
    anna, heard = await rest.person(), told(rest)
    renewed = (await refresh(rest, anna.refresh)).json()
    rest.time.ahead = LATER
    refused(await refresh(rest, anna.refresh), 401, "token_reused")
    assert heard[-1] == SessionsEnded((session_of(anna.token),))
    for token in (anna.token, renewed["token"]):
        refused(await me(rest, token), 401, "session_ended")
    for token in (anna.refresh, renewed["refreshToken"]):
        refused(await refresh(rest, token), 401, "session_ended")
    [event] = await rest.events("token.reused")
    assert event["user"] == UUID(anna.user["id"])
    assert event["detail"] == {"session": str(session_of(anna.token))}


async def test_other_sessions_outlive_a_theft(rest: Rest) -> None:
    anna = await rest.person("anna")
    other = (await login(rest)).json()
    await refresh(rest, anna.refresh)
    rest.time.ahead = LATER
    await refresh(rest, anna.refresh)
    assert (await refresh(rest, other["refreshToken"])).status_code == 200


async def test_twenty_refreshes_at_once_are_one(rest: Rest) -> None:
    anna = await rest.person()
    answers: list[dict[str, Any]] = []

    async def attempt() -> None:
        answer = await refresh(rest, anna.refresh)
        assert answer.status_code == 200
        answers.append(answer.json())

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(attempt)
    assert len({each["refreshToken"] for each in answers}) == 1


async def test_twenty_thieves_at_once_end_the_session_once(rest: Rest) -> None:
    anna = await rest.person()
    renewed = (await refresh(rest, anna.refresh)).json()
    rest.time.ahead = LATER
    codes: Counter[str] = Counter()

    async def attempt() -> None:
        codes[(await refresh(rest, anna.refresh)).json()["code"]] += 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(attempt)
    assert codes == {"token_reused": 1, "session_ended": 19}
    refused(await refresh(rest, renewed["refreshToken"]), 401, "session_ended")


@pytest.mark.parametrize("column", ["disabled_at", "closed_at"])
async def test_an_account_that_is_barred_is_not_refreshed(rest: Rest, column: str) -> None:
    anna = await rest.person()
    disable, close = "UPDATE users SET disabled_at = now()", "UPDATE users SET closed_at = now()"
    await rest.run(disable if column == "disabled_at" else close)
    refused(await refresh(rest, anna.refresh), 401, "session_ended")
    refused(await me(rest, anna.token), 401, "session_ended")


async def test_what_is_no_refresh_token_is_refused(rest: Rest) -> None:
    anna = await rest.person()
    for token in (anna.token, "x", "ssk_x", anna.refresh[:-4] + "AAAA", "\x00", "é"):
        refused(await refresh(rest, token), 401, "token_invalid")
    for token in ("", None):
        body = {"refreshToken": token}
        refused(await rest.client.post("/api/auth/refresh", json=body), 401, "token_missing")
    refused(await me(rest, anna.refresh), 401, "token_invalid")
    assert (await refresh(rest, anna.refresh)).status_code == 200


async def test_a_new_name_is_in_the_session_after_a_refresh(rest: Rest) -> None:
    anna = await rest.person("anna")
    await rest.run("UPDATE users SET username = 'anne', username_key = 'anne'")
    body = (await refresh(rest, anna.refresh)).json()
    who = await rest.services.identities.admit(body["token"])
    assert who[1] == "anne"
