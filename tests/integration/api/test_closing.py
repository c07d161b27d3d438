"""Closing an account and coming back; what is erased in the end is in `auth/test_closing.py`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from auth import closing
from auth.changes import AccountBarred, ProjectChanged

from . import post
from .crew import linked
from .rest import PASSWORD, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from auth.changes import Change

    from .post import Post
    from .rest import Person, Rest

ME = "/api/users/me"
ANNA = "anna@example.com"


@pytest.fixture
def mailbox() -> Iterator[Post]:
    with post.opened() as opened:
        yield opened


async def login(rest: Rest, password: str = PASSWORD) -> httpx.Response:
    return await rest.client.post("/api/auth/login", json={"email": ANNA, "password": password})


async def reopen(rest: Rest, name: str = "anna", password: str = PASSWORD) -> httpx.Response:
    return await rest.client.post("/api/auth/reopen", json={"name": name, "password": password})


async def linked_project(rest: Rest, owner: Person) -> UUID:
    """A project that guests may enter by a link of this person."""
    await rest.run("UPDATE users SET email_verified_at = now()")
    project = await owner.project()
    await linked(owner, project)
    return UUID(project["id"])


async def test_a_closed_account_lets_nobody_in_and_says_until_when(
    rest: Rest, mailbox: Post
) -> None:
    anna = await rest.person("anna")
    told: list[Change] = []
    project = await linked_project(rest, anna)
    rest.services.changes.listen(told.append)
    closed = await anna("DELETE", ME, json={"password": PASSWORD})
    # Guests inside by a link of hers have no account: their rooms look again.
    assert ProjectChanged(project) in told
    assert (closed.status_code, closed.content) == (204, b"")
    refused(await anna("GET", ME), 401, "session_ended")
    problem = refused(await login(rest), 403, "account_closed")
    left = datetime.fromisoformat(problem["erasedAt"]) - rest.services.now()
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)
    refused(await login(rest, "guess"), 401, "invalid_credentials")
    assert AccountBarred(UUID(anna.user["id"])) in told
    assert "will be erased on" in mailbox.letters(ANNA)[-1].text


@pytest.mark.parametrize("body", [{"password": "guess"}, {"password": None}, {}])
async def test_only_the_password_closes_an_account(rest: Rest, body: dict[str, object]) -> None:
    anna = await rest.person("anna")
    refused(await anna("DELETE", ME, json=body), 403, "password_wrong")
    assert (await anna("GET", ME)).status_code == 200


async def test_without_a_password_it_takes_somebody_who_has_just_signed_in(rest: Rest) -> None:
    anna, bert = await rest.person("anna"), await rest.person("bert")
    async with rest.services.database.connection() as tx:
        await tx.execute("UPDATE users SET password_hash = NULL")
    assert (await bert("DELETE", ME, json={})).status_code == 204
    rest.time.ahead = timedelta(minutes=11)
    refused(await anna("DELETE", ME, json={}), 403, "sign_in_again")


@pytest.mark.parametrize("name", ["anna", " ANNA ", ANNA, "Anna@Example.com"])
async def test_its_owner_opens_it_again(rest: Rest, name: str) -> None:
    anna = await rest.person("anna")
    await anna.project()
    await anna("DELETE", ME, json={"password": PASSWORD})
    opened = await reopen(rest, name)
    assert (opened.status_code, opened.content) == (204, b"")
    assert (await login(rest)).status_code == 200
    # The old session stays ended.
    refused(await anna("GET", ME), 401, "session_ended")
    # And it is not erased when its time would have come.
    rest.time.ahead = timedelta(days=31)
    database, now = rest.services.database, rest.services.now()
    assert await closing.erase_due(database, now, timedelta(days=30)) == 0


async def test_opening_tells_a_stranger_nothing(rest: Rest) -> None:
    anna, _bert = await rest.person("anna"), await rest.person("bert")
    await anna("DELETE", ME, json={"password": PASSWORD})
    wrong = await reopen(rest, "anna", "guess")
    refused(wrong, 401, "invalid_credentials")
    for same in (
        await reopen(rest, "bert", "guess"),
        await reopen(rest, "nobody", "guess"),
        await reopen(rest, "nobody@example.com", "x" * 100),
        await reopen(rest, "'; DROP TABLE users; --", "\x00"),
        await reopen(rest, "x" * 10_000, ""),
    ):
        assert (same.status_code, same.content) == (wrong.status_code, wrong.content)
    # An account that is open stays so.
    assert (await reopen(rest, "bert")).status_code == 204


async def test_guessing_by_opening_is_slow_like_guessing_by_signing_in(rest: Rest) -> None:
    anna = await rest.person("anna")
    await anna("DELETE", ME, json={"password": PASSWORD})
    answers = [(await reopen(rest, "anna", f"guess {number}")).status_code for number in range(7)]
    assert (answers[0], answers[-1]) == (401, 429)


async def test_a_disabled_account_is_not_opened_by_its_owner(rest: Rest) -> None:
    anna = await rest.person("anna")
    await anna("DELETE", ME, json={"password": PASSWORD})
    async with rest.services.database.connection() as tx:
        await tx.execute("UPDATE users SET disabled_at = now()")
    refused(await reopen(rest), 403, "account_disabled")


async def test_an_erased_account_is_nobodys(rest: Rest) -> None:
    anna = await rest.person("anna")
    await anna("DELETE", ME, json={"password": PASSWORD})
    rest.time.ahead = timedelta(days=30, seconds=1)
    database, now = rest.services.database, rest.services.now()
    assert await closing.erase_due(database, now, timedelta(days=30)) == 1
    refused(await login(rest), 401, "invalid_credentials")
    refused(await reopen(rest), 401, "invalid_credentials")
    assert (await rest.person("anna")).user["id"] != anna.user["id"]


async def test_what_is_due_to_be_erased_cannot_be_opened_again(rest: Rest) -> None:
    """Also while the hourly erasing has not come to it yet."""
    anna = await rest.person("anna")
    await anna("DELETE", ME, json={"password": PASSWORD})
    rest.time.ahead = timedelta(days=29, hours=23, minutes=59)
    await rest.run("UPDATE users SET closed_at = closed_at - interval '1 minute'")
    refused(await reopen(rest), 401, "invalid_credentials")
    await rest.run("UPDATE users SET closed_at = closed_at + interval '1 minute'")
    assert (await reopen(rest)).status_code == 204
