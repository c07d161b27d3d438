"""Where a guess comes from: strangers elsewhere keep nobody out who has been here before."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from api import app, testing
from base.addresses import Proxies

from . import post
from .rest import PASSWORD, Rest, refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    import httpx

    from .post import Post

ANNA = "anna@example.com"
HOME, ELSEWHERE = "203.0.113.9", "192.0.2.77"
LOGIN, VERIFY = "/api/auth/login", "/api/auth/verify-email"
RESEND, FORGOT = "/api/auth/resend-code", "/api/auth/forgot-password"


@pytest.fixture
def mailbox() -> Iterator[Post]:
    with post.opened() as opened:
        yield opened


@pytest.fixture
async def world(rest: Rest) -> AsyncGenerator[Rest]:
    """A server behind a proxy, which says where each request comes from."""
    behind = dataclasses.replace(rest.services, proxies=Proxies("127.0.0.1"))
    async with testing.client(app.build(behind)) as client:
        yield dataclasses.replace(rest, services=behind, client=client)


async def ask(world: Rest, ip: str, path: str, **body: Any) -> httpx.Response:
    return await world.client.post(path, json=body, headers={"X-Forwarded-For": ip})


async def login(world: Rest, ip: str, password: str = PASSWORD) -> httpx.Response:
    return await ask(world, ip, LOGIN, email=ANNA, password=password)


async def registered(world: Rest) -> None:
    made = await ask(
        world, HOME, "/api/auth/register", email=ANNA, username="anna", password=PASSWORD
    )
    assert made.status_code == 201, made.text


async def besieged(world: Rest) -> None:
    """A hundred wrong passwords from as many addresses, however slow that gets."""
    for number in range(100):
        refused(await login(world, f"198.51.100.{number}", "a guess"), 401, "invalid_credentials")
        if number > 48:
            world.time.ahead += timedelta(seconds=61)
    world.time.ahead -= timedelta(seconds=60)


def wrong(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**6:06}"


async def test_a_siege_from_many_addresses_keeps_the_owner_out_of_new_networks_only(
    world: Rest,
) -> None:
    await registered(world)
    assert (await login(world, HOME)).status_code == 200
    await besieged(world)
    refused(await login(world, ELSEWHERE), 429, "too_many_attempts")
    assert (await login(world, HOME)).status_code == 200
    # Which does not wipe the guessers' slate.
    refused(await login(world, ELSEWHERE), 429, "too_many_attempts")
    world.time.ahead += timedelta(seconds=61)
    assert (await login(world, ELSEWHERE)).status_code == 200


async def test_at_home_too_one_guesses_slowly(world: Rest) -> None:
    await registered(world)
    await login(world, HOME)
    answers = [(await login(world, HOME, "a guess")).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]


async def test_a_network_is_known_for_ninety_days_and_kept_as_a_hash(world: Rest) -> None:
    await registered(world)
    user = (await login(world, HOME)).json()["user"]["id"]
    store, backoff = world.services.redis.client, world.services.backoff
    assert HOME not in repr(await store.zrange(f"known:{user}", 0, -1))
    assert 0 < await store.ttl(f"known:{user}") <= 90 * 24 * 3600
    assert await backoff.knows(user, HOME)
    assert not await backoff.knows(user, ELSEWHERE)
    world.time.ahead += timedelta(days=90, seconds=1)
    assert not await backoff.knows(user, HOME)


async def test_one_ipv6_network_is_one_guesser(world: Rest) -> None:
    await registered(world)
    answers = [
        (await login(world, f"2001:db8:1:2::{number}", "a guess")).status_code
        for number in range(1, 61)
    ]
    assert answers.count(401) == 5
    # Nor does it shut the account for who comes from anywhere else.
    assert (await login(world, ELSEWHERE)).status_code == 200


async def test_the_codes_tries_of_one_network_are_not_anothers(world: Rest, mailbox: Post) -> None:
    await registered(world)
    code = mailbox.code(ANNA)
    for number in range(1, 6):
        answer = await ask(world, ELSEWHERE, VERIFY, email=ANNA, code=wrong(code, number))
        refused(answer, 422, "code_invalid")
    world.time.ahead += timedelta(seconds=2)
    refused(await ask(world, ELSEWHERE, VERIFY, email=ANNA, code=code), 422, "code_invalid")
    assert (await ask(world, HOME, VERIFY, email=ANNA, code=code)).status_code == 204


async def test_a_code_bears_twenty_tries_from_everywhere(world: Rest, mailbox: Post) -> None:
    await registered(world)
    code = mailbox.code(ANNA)
    for number in range(1, 21):
        answer = await ask(world, f"198.51.100.{number}", VERIFY, email=ANNA, code=wrong(code))
        refused(answer, 422, "code_invalid")
    refused(await ask(world, HOME, VERIFY, email=ANNA, code=code), 422, "code_invalid")


@pytest.mark.parametrize("path", [RESEND, FORGOT])
async def test_who_asks_for_letters_does_not_use_up_those_of_others(
    world: Rest, mailbox: Post, path: str
) -> None:
    await registered(world)
    before = len(mailbox.letters(ANNA))
    for _ in range(30):
        await ask(world, ELSEWHERE, path, email=ANNA)
        await post.a_minute_later(world)
    assert len(mailbox.letters(ANNA)) == before + 5
    await ask(world, HOME, path, email=ANNA)
    assert len(mailbox.letters(ANNA)) == before + 6
    for number in range(30):
        await ask(world, f"198.51.100.{number}", path, email=ANNA)
    in_all = 20 if path == FORGOT else 19  # registering sent one
    assert len(mailbox.letters(ANNA)) == before + in_all


async def test_registering_sends_its_letter_whatever_was_asked_for_before(
    world: Rest, mailbox: Post
) -> None:
    """Somebody spent the address's letters on an account that is gone."""
    await registered(world)
    for number in range(30):
        await ask(world, f"198.51.100.{number}", RESEND, email=ANNA)
    await world.run("DELETE FROM users")
    before = len(mailbox.letters(ANNA))
    await registered(world)
    assert len(mailbox.letters(ANNA)) == before + 1
    answer = await ask(world, HOME, VERIFY, email=ANNA, code=mailbox.code(ANNA))
    assert answer.status_code == 204


async def test_wrong_codes_and_resets_asked_for_are_written_down(
    world: Rest, mailbox: Post
) -> None:
    await registered(world)
    await ask(world, HOME, VERIFY, email=ANNA, code=wrong(mailbox.code(ANNA)))
    await ask(world, HOME, VERIFY, email="nobody@example.com", code="000000")
    await ask(world, HOME, FORGOT, email=ANNA)
    await ask(world, HOME, FORGOT, email="nobody@example.com")
    async with world.services.database.connection() as tx:
        [row] = await (await tx.execute("SELECT id FROM users")).fetchall()
    for kind in ("code.failed", "reset.asked"):
        events = await world.events(kind)
        assert [event["user"] for event in events] == [UUID(str(row[0])), None]
        assert {event["ip"] for event in events} == {HOME}
        assert "example.com" not in repr(events)
