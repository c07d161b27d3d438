"""Letters to others: few, to whom they want to reach, and what follows from having got one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from auth import outreach
from base import ids

from . import post
from .crew import at, invited, joined, let_in, proven
from .rest import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from .post import Post
    from .rest import Person, Rest

NEW = "new@example.com"


@pytest.fixture
def mailbox() -> Iterator[Post]:
    with post.opened() as opened:
        yield opened


async def take(person: Person, token: str) -> httpx.Response:
    return await person("POST", "/api/invitations/accept", json={"token": token})


def invitations(mailbox: Post, to: str = NEW) -> int:
    return len([each for each in mailbox.letters(to) if "invites you" in each.subject])


async def test_a_stranger_is_not_flooded_by_many_at_once(rest: Rest, mailbox: Post) -> None:
    people = [await proven(rest) for _ in range(6)]
    projects = [(person, await person.project()) for person in people]
    async with anyio.create_task_group() as group:
        for person, project in projects:
            group.start_soon(invited, person, project, NEW)
    assert invitations(mailbox) == 1


async def test_an_address_gets_five_letters_an_hour(rest: Rest, mailbox: Post) -> None:
    anna = await proven(rest)
    project = await anna.project()
    for _ in range(8):
        await invited(anna, project, NEW)
        await post.a_minute_later(rest)
    assert invitations(mailbox) == 5
    # Other addresses still hear of it.
    await invited(anna, project, "other@example.com")
    assert invitations(mailbox, "other@example.com") == 1


async def test_somebody_writes_thirty_letters_an_hour_and_no_more(rest: Rest) -> None:
    store, one, other = rest.services.redis, ids.new_id(), ids.new_id()
    sent = [await outreach.may_write(store, to=f"{n}@example.org", by=one) for n in range(33)]
    assert sent == [True] * 30 + [False] * 3
    # What was refused has used up nothing of what that address may get from others.
    assert await outreach.may_write(store, to="32@example.org", by=other)


async def test_without_a_letter_the_earlier_one_leads_to_the_invitation(
    rest: Rest, mailbox: Post
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    first = await invited(anna, project, NEW)
    second = await invited(anna, project, NEW, "viewer")
    assert (invitations(mailbox), first["id"] == second["id"]) == (1, False)
    answer = await take(await rest.person(), mailbox.token(NEW))
    assert answer.json() == {"projectId": project["id"], "role": "viewer"}


async def test_an_invitation_that_no_letter_tells_of_waits_for_its_address(
    rest: Rest, mailbox: Post
) -> None:
    anna, bert = await proven(rest), await proven(rest)
    await invited(anna, await anna.project(), NEW)
    project = await bert.project()
    made = await invited(bert, project, NEW)
    new = await proven(rest, "new")
    assert (await new("POST", f"/api/invitations/{made['id']}/accept")).status_code == 200
    assert invitations(mailbox) == 1


async def test_who_holds_the_letter_of_their_own_address_has_proven_it(
    rest: Rest, mailbox: Post
) -> None:
    anna, bert = await proven(rest), await proven(rest)
    project, other = await anna.project(), await bert.project()
    await invited(anna, project, NEW)
    await invited(bert, other, NEW, "viewer")
    new, stranger = await rest.person("new"), await rest.person()
    assert (await take(new, mailbox.token(NEW))).json() == {
        "projectId": project["id"],
        "role": "editor",
    }
    assert (await new("GET", "/api/users/me")).json()["emailVerified"] is True
    # And so has what else waited for the address.
    assert (await new("GET", at(other))).json()["role"] == "viewer"
    (event,) = await rest.events("email.verified")
    assert str(event["user"]) == new.user["id"]
    assert (await stranger("GET", "/api/users/me")).json()["emailVerified"] is False


async def test_a_letter_to_somebody_else_proves_nothing(rest: Rest, mailbox: Post) -> None:
    anna, thief = await proven(rest), await rest.person()
    await invited(anna, await anna.project(), NEW)
    assert (await take(thief, mailbox.token(NEW))).status_code == 200
    assert (await thief("GET", "/api/users/me")).json()["emailVerified"] is False
    refused(await take(await rest.person("new"), mailbox.token(NEW)), 404, "invitation_not_found")
    assert await rest.events("email.verified") == []


@pytest.mark.parametrize("first", ["token", "id", "proof"])
async def test_a_second_click_leads_to_the_project_again(
    rest: Rest, mailbox: Post, first: str
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    made = await invited(anna, project, NEW)
    token = mailbox.token(NEW)
    new, stranger = await rest.person("new"), await rest.person()
    if first == "proof":
        body = {"email": NEW, "code": mailbox.code(NEW)}
        assert (await rest.client.post("/api/auth/verify-email", json=body)).status_code == 204
    elif first == "id":
        await rest.run("UPDATE users SET email_verified_at = now()")
        await new("POST", f"/api/invitations/{made['id']}/accept")
    answers = [await take(new, token) for _ in range(2)]
    assert [each.json() for each in answers] == [{"projectId": project["id"], "role": "editor"}] * 2
    refused(await take(stranger, token), 404, "invitation_not_found")
    # Whoever was removed does not come back by it.
    assert (await anna("DELETE", at(project, f"/collaborators/{new.user['id']}"))).is_success
    refused(await take(new, token), 404, "invitation_not_found")


def added(mailbox: Post, person: Person) -> int:
    return len([x for x in mailbox.letters(person.user["email"]) if "added you" in x.subject])


@pytest.mark.parametrize(
    ("chosen", "letters"),
    [
        ({}, 1),
        ({"emailNotifications": False}, 0),
        ({"collaborationNotifications": False}, 0),
        ({"theme": "dark"}, 1),
    ],
)
async def test_who_is_added_hears_of_it_if_they_like(
    rest: Rest, mailbox: Post, chosen: dict[str, Any], letters: int
) -> None:
    anna, bert = await proven(rest, "anna"), await proven(rest)
    await bert("PUT", "/api/users/me/preferences", json=chosen)
    await let_in(anna, await anna.project(), bert, "viewer")
    assert added(mailbox, bert) == letters


async def test_adding_again_and_again_floods_nobody(rest: Rest, mailbox: Post) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "viewer")
    for _ in range(3):
        await anna("DELETE", at(project, f"/collaborators/{bert.user['id']}"))
        await let_in(anna, project, bert, "viewer")
    assert added(mailbox, bert) == 1
