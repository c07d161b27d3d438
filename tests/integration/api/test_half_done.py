"""What fails half way changes nothing: a part breaks between two others, and is mended again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from . import post
from .rest import PASSWORD, refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from .post import Post
    from .rest import Person, Rest

ANNA = "anna@example.com"
OTHER = "a staple of batteries"


@pytest.fixture
def mailbox() -> Iterator[Post]:
    with post.opened() as opened:
        yield opened


@contextlib.asynccontextmanager
async def redis_breaks(rest: Rest, person: Person) -> AsyncGenerator[None]:
    """Redis answers what reaches for a person's index of sessions with an error."""
    client, index = rest.services.redis.client, f"sessions:{person.user['id']}"
    await client.rename(index, "kept")
    await client.set(index, "of another kind")
    yield
    await client.rename("kept", index)


@contextlib.asynccontextmanager
async def database_breaks(rest: Rest) -> AsyncGenerator[None]:
    """PostgreSQL is shut down at the moment when the audit log is written."""
    await rest.run(
        """CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END $$"""
    )
    await rest.run(
        """CREATE TRIGGER breaks BEFORE INSERT ON audit_events
        FOR EACH ROW EXECUTE FUNCTION breaks()"""
    )
    try:
        yield
    finally:
        await rest.run("DROP FUNCTION breaks() CASCADE")


async def reset(rest: Rest, token: str) -> tuple[int, str]:
    body = {"token": token, "password": OTHER}
    answer = await rest.client.post("/api/auth/reset-password", json=body)
    return answer.status_code, answer.text


async def login(rest: Rest, password: str) -> int:
    body = {"email": ANNA, "password": password}
    return (await rest.client.post("/api/auth/login", json=body)).status_code


async def test_a_name_that_the_sessions_did_not_learn_is_not_changed(rest: Rest) -> None:
    anna = await rest.person("anna")
    async with redis_breaks(rest, anna):
        answer = await anna("PUT", "/api/users/me", json={"username": "hanna", "bio": "new"})
        refused(answer, 503, "redis_unavailable")
    found = (await anna("GET", "/api/users/me")).json()
    assert (found["username"], found["bio"]) == ("anna", "")


async def test_a_reset_that_redis_broke_may_be_tried_again(rest: Rest, mailbox: Post) -> None:
    anna = await rest.person("anna")
    await rest.client.post("/api/auth/forgot-password", json={"email": ANNA})
    token = mailbox.token(ANNA)
    async with redis_breaks(rest, anna):
        status, text = await reset(rest, token)
        assert status == 503, text
    assert await login(rest, PASSWORD) == 200
    assert (await reset(rest, token))[0] == 204
    assert (await reset(rest, token))[0] == 422


async def test_a_reset_that_the_database_broke_may_be_tried_again(
    rest: Rest, mailbox: Post
) -> None:
    anna = await rest.person("anna")
    await rest.client.post("/api/auth/forgot-password", json={"email": ANNA})
    token = mailbox.token(ANNA)
    async with database_breaks(rest):
        assert (await reset(rest, token))[0] == 503
    assert (await anna("GET", "/api/users/me")).status_code == 200
    assert (await reset(rest, token))[0] == 204
    refused(await anna("GET", "/api/users/me"), 401, "session_ended")


async def test_a_code_that_the_database_broke_may_be_typed_again(rest: Rest, mailbox: Post) -> None:
    await rest.person("anna")
    body = {"email": ANNA, "code": mailbox.code(ANNA)}
    async with database_breaks(rest):
        for _ in range(6):  # more than a code bears mistakes
            answer = await rest.client.post("/api/auth/verify-email", json=body)
            refused(answer, 503, "database_unavailable")
    assert (await rest.client.post("/api/auth/verify-email", json=body)).status_code == 204
    answer = await rest.client.post("/api/auth/verify-email", json=body)
    refused(answer, 422, "code_invalid")
