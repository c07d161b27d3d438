"""Invitations by e-mail: sent, taken, refused, withdrawn; and those that are worth nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import pytest

from auth.changes import ProjectChanged
from base import ids

from . import post
from .crew import at, invited, joined, linked, proven
from .rest import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from .rest import Person, Rest

NEW = "new@example.com"
ACCEPT = "/api/invitations/accept"


@pytest.fixture
def mailbox() -> Iterator[post.Post]:
    with post.opened() as opened:
        yield opened


async def offers(person: Person) -> list[dict[str, Any]]:
    return (await person("GET", "/api/invitations")).json()["items"]


async def take(person: Person, token: str) -> httpx.Response:
    return await person("POST", ACCEPT, json={"token": token})


async def test_who_has_no_account_gets_a_letter_and_then_the_project(
    rest: Rest, mailbox: post.Post
) -> None:
    anna = await proven(rest, "anna")
    project = await anna.project()
    made = await invited(anna, project, " New@Example.com ")
    assert (made["email"], made["role"], made["invitedBy"]) == (NEW, "editor", anna.user["id"])
    (letter,) = [each for each in mailbox.letters(NEW) if "invites you" in each.subject]
    assert "Night drive" in letter.text
    assert mailbox.token(NEW) not in str(made)
    new = await proven(rest, "new")
    heard: list[object] = []
    rest.services.changes.listen(heard.append)
    (offer,) = await offers(new)
    assert (offer["id"], offer["projectId"], offer["inviterUsername"]) == (
        made["id"],
        project["id"],
        "anna",
    )
    answer = await new("POST", f"/api/invitations/{offer['id']}/accept")
    assert answer.json() == {"projectId": project["id"], "role": "editor"}
    assert heard == [ProjectChanged(UUID(project["id"]))]
    assert (await new("GET", at(project))).json()["role"] == "editor"
    assert await offers(new) == []
    assert (await anna("GET", at(project, "/collaborators"))).json()["invitations"] == []
    again = await new("POST", f"/api/invitations/{offer['id']}/accept")
    refused(again, 404, "invitation_not_found")
    (event,) = await rest.events("invitation.accepted")
    assert NEW not in str(event)


async def test_a_letter_holds_a_link_where_we_have_a_page(rest: Rest, mailbox: post.Post) -> None:
    object.__setattr__(rest.services.settings, "public_url", "https://music.example/")
    anna, bert = await proven(rest), await rest.person()
    await invited(anna, await anna.project(), NEW)
    assert f"https://music.example/#invite={mailbox.token(NEW)}" in mailbox.letters(NEW)[0].text
    assert (await take(bert, mailbox.token(NEW))).status_code == 200


async def test_a_token_is_taken_once_by_whoever_holds_it(rest: Rest, mailbox: post.Post) -> None:
    anna = await proven(rest)
    project = await anna.project()
    await invited(anna, project, NEW)
    people = [await rest.person() for _ in range(4)]
    token = mailbox.token(NEW)
    statuses: list[int] = []

    async def try_it(person: Person) -> None:
        statuses.append((await take(person, token)).status_code)

    async with anyio.create_task_group() as group:
        for person in people:
            group.start_soon(try_it, person)
    assert sorted(statuses) == [200, 404, 404, 404]
    crew = (await anna("GET", at(project, "/collaborators"))).json()
    assert len(crew["items"]) == 2


@pytest.mark.parametrize("token", ["x", "A" * 43, "' OR ''='", "\udcff", "x" * 200])
async def test_a_guessed_token_takes_nothing(rest: Rest, token: str) -> None:
    anna, bert = await proven(rest), await rest.person()
    await invited(anna, await anna.project(), NEW)
    if token == "\udcff":
        body = rb'{"token": "\udcff"}'
        headers = {"Content-Type": "application/json"}
        answer = await bert("POST", ACCEPT, content=body, headers=headers)
        assert answer.status_code in (400, 404, 422)
        return
    refused(await take(bert, token), 404, "invitation_not_found")


async def test_nobody_takes_anothers_invitation_by_its_id(rest: Rest) -> None:
    anna, bert = await proven(rest), await proven(rest)
    made = await invited(anna, await anna.project(), NEW)
    unproven = await rest.person("new")
    never = await bert("POST", f"/api/invitations/{ids.new_id()}/accept")
    for person in (bert, unproven):
        assert await offers(person) == []
        for verb in ("accept", "decline"):
            answer = await person("POST", f"/api/invitations/{made['id']}/{verb}")
            refused(answer, 404, "invitation_not_found")
            assert answer.content == never.content
    assert (await take(bert, made["id"])).status_code == 404


async def test_declined_and_withdrawn_invitations_are_gone(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    made = await invited(anna, project, NEW)
    new = await proven(rest, "new")
    assert (await new("POST", f"/api/invitations/{made['id']}/decline")).status_code == 204
    made = await invited(anna, project, "other@example.com")
    gone = at(project, f"/invitations/{made['id']}")
    assert (await anna("DELETE", gone)).status_code == 204
    refused(await anna("DELETE", gone), 404, "invitation_not_found")
    assert (await anna("GET", at(project, "/collaborators"))).json()["invitations"] == []
    events = await rest.events("invitation.withdrawn")
    assert [event["detail"]["declined"] for event in events] == [True, False]


async def test_an_invitation_is_withdrawn_by_its_maker_or_who_is_above(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    admin = await joined(rest, anna, project, "admin")
    inviter = await joined(rest, anna, project, "editor", canInviteOthers=True)
    of_admin = await invited(anna, project, "a@example.org", "admin")
    of_editor = await invited(inviter, project, "b@example.org")
    here = at(project, "/invitations/")
    refused(await inviter("DELETE", here + of_admin["id"]), 404, "invitation_not_found")
    refused(await admin("DELETE", here + of_admin["id"]), 403, "not_allowed")
    assert (await admin("DELETE", here + of_editor["id"])).status_code == 204


async def test_inviting_again_replaces_the_older_one(rest: Rest, mailbox: post.Post) -> None:
    anna, bert = await proven(rest), await rest.person()
    project = await anna.project()
    first = await invited(anna, project, NEW)
    old = mailbox.token(NEW)
    await post.a_minute_later(rest)
    second = await invited(anna, project, NEW, "viewer")
    crew = (await anna("GET", at(project, "/collaborators"))).json()
    assert [each["id"] for each in crew["invitations"]] == [second["id"]]
    assert first["id"] != second["id"]
    refused(await take(bert, old), 404, "invitation_not_found")
    assert (await take(bert, mailbox.token(NEW))).json()["role"] == "viewer"


async def test_nobody_replaces_what_they_could_not_take_back(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    admin = await joined(rest, anna, project, "admin")
    inviter = await joined(rest, anna, project, "editor", canInviteOthers=True)
    await invited(anna, project, NEW, "admin")
    for person in (admin, inviter):
        body = {"email": NEW, "role": "viewer"}
        answer = await person("POST", at(project, "/collaborators"), json=body)
        refused(answer, 409, "already_invited")
    # When its time is over, the address is free again, also for who never saw the older one.
    rest.time.ahead = timedelta(days=14, seconds=1)
    await rest.run("UPDATE users SET email_verified_at = now()")
    body = {"email": inviter.user["email"], "password": "correct horse"}
    signed = (await rest.client.post("/api/auth/login", json=body)).json()
    inviter.token = signed["token"]
    assert (await invited(inviter, project, NEW))["role"] == "editor"


async def test_an_invitation_lives_a_fortnight(rest: Rest, mailbox: post.Post) -> None:
    anna = await proven(rest)
    await invited(anna, await anna.project(), NEW)
    rest.time.ahead = timedelta(days=14, seconds=1)
    new = await proven(rest, "new")
    assert await offers(new) == []
    refused(await take(new, mailbox.token(NEW)), 404, "invitation_not_found")


@pytest.mark.parametrize("how", ["removed", "demoted", "disabled", "closed", "deleted"])
async def test_whose_maker_lost_the_right_is_worth_nothing(
    rest: Rest, mailbox: post.Post, how: str
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    admin = await joined(rest, anna, project, "admin")
    made = await invited(admin, project, NEW)
    number = admin.user["id"]
    match how:
        case "deleted":
            await anna("DELETE", at(project))
        case "disabled":
            await rest.run("UPDATE users SET disabled_at = now() WHERE id = %s", number)
        case "closed":
            await rest.run("UPDATE users SET closed_at = now() WHERE id = %s", number)
        # Behind the application's back, which would have withdrawn it.
        case "removed":
            await rest.run("DELETE FROM project_collaborators WHERE user_id = %s", number)
        case _:
            await rest.run("UPDATE project_collaborators SET role = 'editor'")
    new = await proven(rest, "new")
    assert await offers(new) == []
    refused(await take(new, mailbox.token(NEW)), 404, "invitation_not_found")
    answer = await new("POST", f"/api/invitations/{made['id']}/accept")
    refused(answer, 404, "invitation_not_found")


async def test_who_is_there_already_keeps_the_role(rest: Rest, mailbox: post.Post) -> None:
    anna = await proven(rest)
    project = await anna.project()
    admin = await joined(rest, anna, project, "admin")
    for person, role in ((admin, "admin"), (anna, "owner")):
        await post.a_minute_later(rest)
        await invited(anna, project, NEW, "viewer")
        answer = await take(person, mailbox.token(NEW))
        assert answer.json() == {"projectId": project["id"], "role": role}
    crew = (await anna("GET", at(project, "/collaborators"))).json()
    assert [each["role"] for each in crew["items"]] == ["owner", "admin"]


ROUTES = [
    ("GET", "", None),
    ("PUT", "", {"name": "x"}),
    ("DELETE", "", None),
    ("GET", "/snapshot", None),
    ("POST", "/updates", None),
    ("GET", "/collaborators", None),
    ("POST", "/collaborators", {"username": "bert", "role": "viewer"}),
    ("PUT", "/collaborators/{user}", {"role": "viewer"}),
    ("DELETE", "/collaborators/{user}", None),
    ("DELETE", "/collaborators/{me}", None),
    ("POST", "/transfer", {"userId": str(ids.new_id())}),
    ("DELETE", "/invitations/{invitation}", None),
    ("POST", "/links", {"role": "viewer"}),
    ("GET", "/links", None),
    ("DELETE", "/links/{link}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_ids_of_others_answer_like_ids_of_nobody(
    rest: Rest, method: str, path: str, body: object
) -> None:
    anna, bert = await proven(rest), await proven(rest, "bert")
    project, own = await anna.project(), await bert.project()
    carl = await joined(rest, anna, project, "viewer")
    real = {
        "user": carl.user["id"],
        "me": bert.user["id"],
        "invitation": (await invited(anna, project, NEW))["id"],
        "link": (await linked(anna, project))["link"]["id"],
    }
    random = {name: str(ids.new_id()) for name in real} | {"me": bert.user["id"]}
    theirs = await bert(method, at(project, path.format(**real)), json=body)
    nobodys = await bert(method, at({"id": ids.new_id()}, path.format(**random)), json=body)
    refused(theirs, 404, "project_not_found")
    assert theirs.content == nobodys.content
    # Through a project of one's own, what hangs on another's is not there either.
    if path.endswith(("{user}", "{invitation}", "{link}")):
        crossed = await bert(method, at(own, path.format(**real)), json=body)
        nothing = await bert(method, at(own, path.format(**random)), json=body)
        assert crossed.status_code == 404
        assert crossed.content == nothing.content
