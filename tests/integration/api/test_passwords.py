"""Passwords: forgotten, replaced, changed; and what becomes of whoever was inside."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import anyio
import bcrypt
import pytest

from api import app, testing
from auth import accounts
from auth.errors import InvalidCredentials
from auth.passwords import Passwords
from base import ids

from . import post
from .rest import PASSWORD, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from base.db import Database

    from .post import Post
    from .rest import Rest

ANNA = "anna@example.com"
OTHER = "a staple of batteries"


@pytest.fixture
def mailbox() -> Iterator[Post]:
    with post.opened() as opened:
        yield opened


async def forgot(rest: Rest, email: str = ANNA) -> httpx.Response:
    return await rest.client.post("/api/auth/forgot-password", json={"email": email})


async def reset(rest: Rest, token: str, password: str = OTHER) -> httpx.Response:
    body = {"token": token, "password": password}
    return await rest.client.post("/api/auth/reset-password", json=body)


async def login(rest: Rest, password: str) -> httpx.Response:
    return await rest.client.post("/api/auth/login", json={"email": ANNA, "password": password})


async def kinds(rest: Rest) -> list[str]:
    async with rest.services.database.connection() as tx:
        rows = await (await tx.execute("SELECT kind FROM audit_events ORDER BY id")).fetchall()
    return [row[0] for row in rows]


async def change_row(rest: Rest, change: str) -> None:
    async with rest.services.database.connection() as tx:
        await tx.execute(f"UPDATE users SET {change}")  # pyright: ignore[reportArgumentType, reportCallIssue] (the test's own words)


async def test_a_letter_leads_to_a_new_password_and_ends_every_session(
    rest: Rest, mailbox: Post
) -> None:
    anna = await rest.person("anna")
    asked = await forgot(rest, " ANNA@example.com")
    assert (asked.status_code, asked.content) == (202, b"")
    done = await reset(rest, mailbox.token(ANNA))
    assert (done.status_code, done.content) == (204, b"")
    refused(await anna("GET", "/api/users/me"), 401, "session_ended")
    refused(await login(rest, PASSWORD), 401, "invalid_credentials")
    again = await login(rest, OTHER)
    # Who read the letter owns the address.
    assert again.json()["user"]["emailVerified"] is True
    assert mailbox.letters(ANNA)[-1].subject == "Your password was changed"
    assert {"password.reset", "email.verified"} <= set(await kinds(rest))


async def test_a_reset_token_works_once_also_for_two_at_once(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    await forgot(rest)
    token, answers = mailbox.token(ANNA), list[int]()

    async def use(password: str) -> None:
        answers.append((await reset(rest, token, password)).status_code)

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(use, f"{OTHER} {number}")
    assert sorted(answers) == [204] + [422] * 4
    refused(await reset(rest, token), 422, "reset_invalid")


async def test_a_newer_token_replaces_the_older(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    await forgot(rest)
    first = mailbox.token(ANNA)
    await post.a_minute_later(rest)
    await forgot(rest)
    assert mailbox.token(ANNA) != first
    refused(await reset(rest, first), 422, "reset_invalid")
    assert (await reset(rest, mailbox.token(ANNA))).status_code == 204


@pytest.mark.parametrize(
    ("password", "code"), [("short", "password_too_short"), ("x" * 73, "password_too_long")]
)
async def test_a_password_that_cannot_be_kept_does_not_use_the_token_up(
    rest: Rest, mailbox: Post, password: str, code: str
) -> None:
    await rest.person("anna")
    await forgot(rest)
    refused(await reset(rest, mailbox.token(ANNA), password), 422, code)
    assert (await reset(rest, mailbox.token(ANNA))).status_code == 204


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\x00", "*", "'; DROP TABLE users; --"])
async def test_no_other_token_opens_anything(rest: Rest, token: str) -> None:
    await rest.person("anna")
    await forgot(rest)
    refused(await reset(rest, token), 422, "reset_invalid")


async def test_a_token_lives_half_an_hour_and_cannot_be_read_from_redis(
    rest: Rest, mailbox: Post
) -> None:
    await rest.person("anna")
    await forgot(rest)
    client, token = rest.services.redis.client, mailbox.token(ANNA)
    keys = await client.keys("reset*")
    assert len(keys) == 5
    for key in keys:
        assert token not in repr((key, await client.get(key)))
    (kept,) = await client.keys("reset:*")
    assert 1790 < await client.ttl(kept) <= 1800


async def test_asking_tells_nobody_who_has_an_account(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    await rest.person("bert")
    async with rest.services.database.connection() as tx:
        await tx.execute("UPDATE users SET disabled_at = now() WHERE username = 'bert'")
    before = len(mailbox.letters())
    answers = [
        await forgot(rest, email)
        for email in (ANNA, ANNA, "bert@example.com", "nobody@example.com", "not an address")
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    assert len({tuple(sorted(answer.headers)) for answer in answers}) == 1
    assert [letter.to for letter in mailbox.letters()[before:]] == [ANNA]


async def test_an_account_that_was_disabled_meanwhile_stays_shut(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    await forgot(rest)
    await change_row(rest, "disabled_at = now()")
    refused(await reset(rest, mailbox.token(ANNA)), 422, "reset_invalid")


async def test_where_people_reach_us_the_letter_has_a_link(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    known = dataclasses.replace(rest.services.settings, public_url="https://sync.example/")
    server = app.build(dataclasses.replace(rest.services, settings=known))
    async with testing.client(server) as client:
        await client.post("/api/auth/forgot-password", json={"email": ANNA})
    link = f"https://sync.example/#reset={mailbox.token(ANNA)}"
    assert link in mailbox.letters(ANNA)[-1].text


async def test_who_made_the_account_of_somebody_else_leaves_no_back_door(
    rest: Rest, mailbox: Post
) -> None:
    thief = await rest.person("anna")  # with Anna's address, and not her mailbox
    await change_row(rest, "oauth_provider = 'google', oauth_id = 'thief'")
    async with rest.services.database.connection() as tx:
        await tx.execute(
            """INSERT INTO api_keys (id, user_id, name, secret_sha256, scopes, created_at)
            VALUES (%s, %s, 'mine', '\\x00', '{read}', now())""",
            (ids.new_id(), thief.user["id"]),
        )
    await forgot(rest)
    assert (await reset(rest, mailbox.token(ANNA))).status_code == 204
    refused(await thief("GET", "/api/users/me"), 401, "session_ended")
    async with rest.services.database.connection() as tx:
        assert await accounts.by_provider(tx, "google", "thief") is None
        assert await (await tx.execute("SELECT FROM api_keys")).fetchone() is None


async def test_changing_it_ends_every_other_session(rest: Rest, mailbox: Post) -> None:
    anna = await rest.person("anna")
    elsewhere = dataclasses.replace(anna, token=(await login(rest, PASSWORD)).json()["token"])
    await forgot(rest)
    done = await anna("PUT", "/api/auth/password", json={"current": PASSWORD, "new": OTHER})
    assert (done.status_code, done.content) == (204, b"")
    assert (await anna("GET", "/api/users/me")).status_code == 200
    refused(await elsewhere("GET", "/api/users/me"), 401, "session_ended")
    refused(await login(rest, PASSWORD), 401, "invalid_credentials")
    assert (await login(rest, OTHER)).status_code == 200
    assert mailbox.letters(ANNA)[-1].subject == "Your password was changed"
    assert "password.changed" in await kinds(rest)
    # A letter that was under way, perhaps asked for by a thief.
    refused(await reset(rest, mailbox.token(ANNA)), 422, "reset_invalid")


@pytest.mark.parametrize(
    ("new", "code"), [("short", "password_too_short"), ("é" * 37, "password_too_long")]
)
async def test_a_new_password_is_refused_where_it_stands(rest: Rest, new: str, code: str) -> None:
    anna = await rest.person("anna")
    body = {"current": PASSWORD, "new": new}
    assert refused(await anna("PUT", "/api/auth/password", json=body), 422, code)["path"] == "$.new"


async def test_a_stolen_session_cannot_guess_the_password(rest: Rest) -> None:
    anna = await rest.person("anna")
    answers: list[httpx.Response] = []
    for number in range(7):
        body = {"current": f"guess {number}", "new": OTHER}
        answers.append(await anna("PUT", "/api/auth/password", json=body))
    refused(answers[0], 403, "password_wrong")
    refused(answers[-1], 429, "too_many_attempts")
    refused(
        await anna("DELETE", "/api/users/me", json={"password": "guess"}), 429, "too_many_attempts"
    )
    assert (await login(rest, PASSWORD)).status_code == 200


async def test_an_account_without_a_password_is_sent_to_its_mailbox(rest: Rest) -> None:
    anna = await rest.person("anna")
    await change_row(rest, "password_hash = NULL")
    body = {"current": "", "new": OTHER}
    refused(await anna("PUT", "/api/auth/password", json=body), 409, "password_not_set")
    refused(await login(rest, ""), 401, "invalid_credentials")


class ChangedMeanwhile(Passwords):
    """Somebody sets another password after this one was found right."""

    def __init__(self, database: Database) -> None:
        super().__init__(cost=4)
        self._database = database

    async def rehash(self, password: str, hashed: str) -> str | None:
        other = bcrypt.hashpw(OTHER.encode(), bcrypt.gensalt(4)).decode()
        async with self._database.connection() as tx:
            await tx.execute("UPDATE users SET password_hash = %s", (other,))
        return await super().rehash(password, hashed)


async def test_the_old_password_opens_nothing_once_another_is_set(rest: Rest) -> None:
    await rest.person("anna")
    passwords = ChangedMeanwhile(rest.services.database)
    with pytest.raises(InvalidCredentials):
        await accounts.login(
            rest.services.database,
            passwords,
            name="anna",
            password=PASSWORD,
            now=rest.services.now(),
        )
