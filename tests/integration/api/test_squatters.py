"""An account that somebody made in another's name: once she takes it, what was left in it is shut."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from auth import accounts
from auth.changes import KeyRevoked
from auth.oidc import Claims
from auth.providers import Entered, enter

from . import post
from .rest import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth.changes import Change

    from .post import Post
    from .rest import Person, Rest

VICTIM = "victim@example.com"
VERIFY = "/api/auth/verify-email"
LAX = ("https://lax.example", "squatter")
"""A provider that lets anybody name any address, and who uses it."""


@pytest.fixture
def mailbox() -> Iterator[Post]:
    with post.opened() as opened:
        yield opened


@pytest.fixture
def told(rest: Rest) -> list[Change]:
    heard: list[Change] = []
    rest.services.changes.listen(heard.append)
    return heard


async def lax_sign_in(rest: Rest) -> None:
    await rest.run("UPDATE users SET oauth_provider = %s, oauth_id = %s", *LAX)


async def is_opened_by(rest: Rest, provider: str, subject: str) -> bool:
    async with rest.services.database.connection() as tx:
        return await accounts.by_provider(tx, provider, subject) is not None


async def reset(rest: Rest, mailbox: Post) -> None:
    await post.a_minute_later(rest)
    await rest.client.post("/api/auth/forgot-password", json={"email": VICTIM})
    body = {"token": mailbox.token(VICTIM), "password": "hers alone"}
    assert (await rest.client.post("/api/auth/reset-password", json=body)).status_code == 204


def revoked(program: Person, told: list[Change]) -> bool:
    return any(isinstance(each, KeyRevoked) for each in told) and bool(program.token)


async def test_a_proof_from_outside_shuts_what_a_squatter_left(
    rest: Rest, mailbox: Post, told: list[Change]
) -> None:
    squatter = await rest.person("victim")
    program = await rest.key(squatter)
    assert (await program("GET", "/api/projects")).status_code == 200
    await lax_sign_in(rest)
    body = {"email": VICTIM, "code": mailbox.code(VICTIM)}
    assert (await rest.client.post(VERIFY, json=body)).status_code == 204
    assert revoked(program, told)
    refused(await program("GET", "/api/projects"), 401, "token_invalid")
    assert not await is_opened_by(rest, *LAX)
    [event] = await rest.events("key.revoked")
    assert event["user"] == UUID(squatter.user["id"])
    assert len(await rest.events("oidc.unlinked")) == 1


@pytest.mark.parametrize("way", ["stranger", "program", "owner"])
async def test_only_the_accounts_own_session_keeps_its_keys(
    rest: Rest, mailbox: Post, way: str
) -> None:
    owner, stranger = await rest.person("victim"), await rest.person("eve")
    program = await rest.key(owner)
    await rest.run("UPDATE users SET oauth_provider = 'p', oauth_id = 'i' WHERE email = %s", VICTIM)
    asker = {"stranger": stranger, "program": program, "owner": owner}[way]
    body = {"email": VICTIM, "code": mailbox.code(VICTIM)}
    assert (await asker("POST", VERIFY, json=body)).status_code == 204
    kept = (await program("GET", "/api/projects")).status_code == 200
    assert (kept, await is_opened_by(rest, "p", "i")) == (way == "owner", way == "owner")


async def test_a_proof_with_a_token_that_is_not_good_is_refused(rest: Rest, mailbox: Post) -> None:
    await rest.person("victim")
    body, bad = {"email": VICTIM, "code": mailbox.code(VICTIM)}, {"Authorization": "Bearer x"}
    refused(await rest.client.post(VERIFY, json=body, headers=bad), 401, "token_invalid")
    assert (await rest.client.post(VERIFY, json=body)).status_code == 204


async def test_every_reset_shuts_also_what_was_left_after_the_proof(
    rest: Rest, mailbox: Post, told: list[Change]
) -> None:
    """A squatter who waits until she has proven it, and comes again with his password."""
    squatter = await rest.person("victim")
    body = {"email": VICTIM, "code": mailbox.code(VICTIM)}
    assert (await rest.client.post(VERIFY, json=body)).status_code == 204
    program = await rest.key(squatter)
    await lax_sign_in(rest)
    await reset(rest, mailbox)
    assert revoked(program, told)
    refused(await program("GET", "/api/projects"), 401, "token_invalid")
    assert not await is_opened_by(rest, *LAX)
    assert "API keys were revoked" in mailbox.letters(VICTIM)[-1].text


async def test_a_reset_leaves_the_sign_in_that_proved_the_address(
    rest: Rest, mailbox: Post
) -> None:
    claims = Claims("https://good.example", "hers", VICTIM, True, "victim", None)
    now, grace = rest.services.now(), accounts.GRACE
    async with rest.services.database.transaction() as tx:
        entered = await enter(tx, claims, now=now, grace=grace, trusting=False, ip=None, agent=None)
    assert isinstance(entered, Entered)
    await reset(rest, mailbox)
    assert await is_opened_by(rest, "https://good.example", "hers")
