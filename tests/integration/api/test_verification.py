"""Proving an address: a code that bears five tries, asked for by anybody, told to its owner."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING
from uuid import UUID

import anyio
import pytest

from api import app, testing
from auth.changes import ProjectChanged
from auth.verification import CodeInvalid
from base import clock, ids

from . import post
from .rest import PASSWORD, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from auth.changes import Change

    from .post import Post
    from .rest import Rest

ANNA = "anna@example.com"
HERE = "127.0.0.1"


@pytest.fixture
def mailbox() -> Iterator[Post]:
    with post.opened() as opened:
        yield opened


async def verify(rest: Rest, code: str, email: str = ANNA) -> httpx.Response:
    body = {"email": email, "code": code}
    return await rest.client.post("/api/auth/verify-email", json=body)


async def resend(rest: Rest, email: str = ANNA) -> httpx.Response:
    return await rest.client.post("/api/auth/resend-code", json={"email": email})


def another(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def is_verified(rest: Rest, email: str = ANNA) -> bool:
    async with rest.services.database.connection() as tx:
        query = "SELECT email_verified_at IS NOT NULL FROM users WHERE email = %s"
        row = await (await tx.execute(query, (email,))).fetchone()
    assert row is not None
    return row[0]


async def test_the_code_of_the_letter_proves_the_address(rest: Rest, mailbox: Post) -> None:
    anna = await rest.person("anna")
    assert anna.user["emailVerified"] is False
    code = mailbox.code(ANNA)
    done = await verify(rest, f" {code[:3]} {code[3:]} ", " Anna@Example.com")
    assert (done.status_code, done.content) == (204, b"")
    assert (await anna("GET", "/api/users/me")).json()["emailVerified"] is True


async def test_a_code_is_good_for_ten_minutes_and_cannot_be_read_from_redis(
    rest: Rest, mailbox: Post
) -> None:
    await rest.person("anna")
    client = rest.services.redis.client
    assert 590_000 < await client.pttl(f"verification:{ANNA}") <= 600_000
    kept = await client.hgetall(f"verification:{ANNA}")
    assert mailbox.code(ANNA) not in repr(kept)
    await client.delete(f"verification:{ANNA}")  # as its time to live does
    refused(await verify(rest, mailbox.code(ANNA)), 422, "code_invalid")


async def test_whatever_is_wrong_with_a_code_the_answer_is_the_same(
    rest: Rest, mailbox: Post
) -> None:
    await rest.person("anna")
    await rest.person("bert")
    code = mailbox.code(ANNA)
    wrong = await verify(rest, another(code))
    refused(wrong, 422, "code_invalid")
    for same in (
        await verify(rest, ""),
        await verify(rest, "x" * 5000),
        await verify(rest, code, "bert@example.com"),
        await verify(rest, code, "nobody@example.com"),
        await verify(rest, code, "not an address"),
        await verify(rest, code, "nobody@example.com\x00"),
        await verify(rest, code, "'; DROP TABLE users; --@example.com"),
    ):
        assert (same.status_code, same.content) == (wrong.status_code, wrong.content)
    assert not await is_verified(rest, "bert@example.com")
    assert (await verify(rest, code)).status_code == 204


async def test_a_code_is_used_up(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    code = mailbox.code(ANNA)
    assert (await verify(rest, code)).status_code == 204
    refused(await verify(rest, code), 422, "code_invalid")


async def test_a_thousand_guesses_at_once_are_a_dozen(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    code = mailbox.code(ANNA)
    answers: list[int] = []

    async def guess(number: int) -> None:
        answers.append((await verify(rest, f"{(int(code) + number) % 10**6:06}")).status_code)

    async with anyio.create_task_group() as group:
        for number in range(1, 1001):
            group.start_soon(guess, number)
    assert set(answers) <= {422, 429}
    assert answers.count(422) <= 12  # (of which the code bears five)
    assert not await is_verified(rest)


async def test_guessers_from_everywhere_have_twenty_tries_together(
    rest: Rest, mailbox: Post
) -> None:
    await rest.person("anna")
    code, codes = mailbox.code(ANNA), rest.services.codes
    refusals: list[int] = []

    async def guess(number: int) -> None:
        guessed = f"{(int(code) + number) % 10**6:06}"
        with pytest.raises(CodeInvalid):
            await codes.redeem(ANNA, guessed, ip=f"198.51.100.{number % 250}")
        refusals.append(number)

    async with anyio.create_task_group() as group:
        for number in range(1, 1001):
            group.start_soon(guess, number)
    assert len(refusals) == 1000
    assert not await rest.services.redis.client.exists(f"verification:{ANNA}")
    with pytest.raises(CodeInvalid):
        await codes.redeem(ANNA, code, ip=HERE)


@pytest.mark.parametrize(("mistakes", "good"), [(0, True), (4, True), (5, False)])
async def test_a_code_forgives_a_network_four_mistakes(
    rest: Rest, mailbox: Post, mistakes: int, good: bool
) -> None:
    await rest.person("anna")
    code, codes = mailbox.code(ANNA), rest.services.codes
    for _ in range(mistakes):
        with pytest.raises(CodeInvalid):
            await codes.redeem(ANNA, another(code), ip=HERE)
    with contextlib.nullcontext() if good else pytest.raises(CodeInvalid):
        await codes.redeem(ANNA, code, ip=HERE)
    if not good:
        await codes.redeem(ANNA, code, ip="198.51.100.7")


async def test_who_guesses_on_must_wait_longer_and_longer(rest: Rest) -> None:
    answers = [(await verify(rest, "000000", "nobody@example.com")).status_code for _ in range(8)]
    assert answers[0] == 422
    assert answers[-1] == 429


async def test_asking_for_a_code_tells_nobody_who_has_an_account(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    await rest.person("bert")
    await rest.person("carl")
    assert (await verify(rest, mailbox.code(ANNA))).status_code == 204
    async with rest.services.database.connection() as tx:
        await tx.execute("UPDATE users SET disabled_at = now() WHERE username = 'carl'")
    await post.a_minute_later(rest)
    before = len(mailbox.letters())
    answers = [
        await resend(rest, email)
        for email in (
            "bert@example.com",
            ANNA,
            "carl@example.com",
            "nobody@example.com",
            "not an address",
            "x" * 300,
        )
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    assert len({tuple(sorted(answer.headers)) for answer in answers}) == 1
    assert [letter.to for letter in mailbox.letters()[before:]] == ["bert@example.com"]


@pytest.mark.parametrize("path", ["/api/auth/resend-code", "/api/auth/forgot-password"])
async def test_an_unknown_address_costs_what_a_known_one_costs(rest: Rest, path: str) -> None:
    await rest.person("anna")
    await post.a_minute_later(rest)
    await rest.client.post(path, json={"email": "nobody@example.com"})  # the hour has begun
    await rest.client.post(path, json={"email": ANNA})
    await post.a_minute_later(rest)
    known = await post.commands(rest, path, ANNA)
    unknown = await post.commands(rest, path, "nobody@example.com")
    assert known == unknown
    assert sum(known.values()) > 4


async def test_another_code_takes_the_place_of_the_first(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    first = mailbox.code(ANNA)
    await post.a_minute_later(rest)
    await resend(rest)
    second = mailbox.code(ANNA)
    if first != second:
        refused(await verify(rest, first), 422, "code_invalid")
    assert (await verify(rest, second)).status_code == 204


async def test_an_address_gets_a_letter_a_minute_and_five_an_hour(
    rest: Rest, mailbox: Post
) -> None:
    await rest.person("anna")
    assert (await resend(rest)).status_code == 202
    assert len(mailbox.letters(ANNA)) == 1
    for _ in range(10):
        await post.a_minute_later(rest)
        assert (await resend(rest)).status_code == 202
    assert len(mailbox.letters(ANNA)) == 5
    for counted in (ANNA, f"{ANNA}|{HERE}"):
        assert 0 < await rest.services.redis.client.ttl(f"verification-hour:{counted}") <= 3600


async def test_a_stranger_cannot_use_up_the_letters_of_somebody_to_come(
    rest: Rest, mailbox: Post
) -> None:
    for _ in range(7):
        await resend(rest)
        await post.a_minute_later(rest)
    assert mailbox.letters() == []
    await rest.person("anna")
    assert (await verify(rest, mailbox.code(ANNA))).status_code == 204


async def test_a_proven_address_enters_what_it_was_invited_to(rest: Rest, mailbox: Post) -> None:
    owner = await rest.person("owner")
    project = await owner.project()
    told: list[Change] = []
    rest.services.changes.listen(told.append)
    now = clock.now()
    async with rest.services.database.connection() as tx:
        await tx.execute(
            """INSERT INTO project_invitations
                (id, project_id, email, role, token_sha256, invited_by, created_at, expires_at)
            VALUES (%s, %s, %s, 'editor', '\\x00', %s, %s, %s + interval '1 day')""",
            (ids.new_id(), project["id"], ANNA, owner.user["id"], now, now),
        )
    anna = await rest.person("anna")
    path = f"/api/projects/{project['id']}"
    refused(await anna("GET", path), 404, "project_not_found")
    assert (await verify(rest, mailbox.code(ANNA))).status_code == 204
    assert (await anna("GET", path)).json()["role"] == "editor"
    assert ProjectChanged(UUID(project["id"])) in told


async def test_where_nothing_is_to_be_proven_everybody_is_verified(
    rest: Rest, mailbox: Post
) -> None:
    easy = dataclasses.replace(rest.services.settings, verify_email=False)
    server = app.build(dataclasses.replace(rest.services, settings=easy))
    body = {"email": ANNA, "username": "anna", "password": PASSWORD}
    async with testing.client(server) as client:
        made = await client.post("/api/auth/register", json=body)
    assert made.json()["user"]["emailVerified"] is True
    assert mailbox.letters() == []
