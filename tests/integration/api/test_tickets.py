"""Tickets: one room, for a minute, never more than their holder may."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from auth.credentials import NO_LINK, Guest, Identity, Kind
from auth.errors import SessionEnded, TokenExpired, TokenInvalid
from auth.links import LinkInvalid
from auth.permissions import Right, Role
from base import ids

from .rest import refused

if TYPE_CHECKING:
    import httpx

    from .rest import Person, Rest


async def ticket(who: Person, project: dict[str, Any], **body: object) -> dict[str, Any]:
    answer = await asked(who, project, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def asked(who: Person, project: dict[str, Any], **body: object) -> httpx.Response:
    return await who("POST", f"/api/projects/{project['id']}/ticket", json=body)


async def admitted(rest: Rest, project: dict[str, Any], who: Person, **body: object) -> Identity:
    found = await rest.services.identities.admit((await ticket(who, project, **body))["ticket"])
    assert isinstance(found, Identity)
    return found


async def link(owner: Person, project: dict[str, Any], role: str = "viewer") -> dict[str, Any]:
    made = await owner("POST", f"/api/projects/{project['id']}/links", json={"role": role})
    assert made.status_code == 201, made.text
    return made.json()


async def test_a_ticket_says_what_it_opens_and_until_when(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    found = await ticket(anna, project)
    assert (found["role"], found["room"]) == ("owner", project["roomId"])
    assert found["url"] == f"/sync/{project['roomId']}"
    assert found["expiresAt"].endswith("Z")


async def test_who_enters_with_a_ticket_stays_as_long_as_their_session(rest: Rest) -> None:
    anna = await rest.person("anna")
    project = await anna.project()
    who = await admitted(rest, project, anna)
    assert (who.username, who.kind, who.cap) == ("anna", Kind.SESSION, None)
    assert who.project_id == UUID(project["id"])
    assert who.expires_at is None


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_a_ticket_may_ask_for_less(rest: Rest, role: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    assert (await ticket(anna, project, role=role))["role"] == role
    assert (await admitted(rest, project, anna, role=role)).cap is Role(role)


async def test_a_ticket_of_a_key_that_only_reads_is_a_viewers(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    assert (await ticket(await rest.key(anna, "read"), project))["role"] == "viewer"
    assert (await ticket(await rest.key(anna, "write"), project))["role"] == "owner"


async def test_a_ticket_may_be_asked_for_without_any_body(rest: Rest) -> None:
    anna = await rest.person()
    path = f"/api/projects/{(await anna.project())['id']}/ticket"
    assert (await anna("POST", path)).json()["role"] == "owner"
    typed = {"Content-Type": "application/json"}
    refused(await anna("POST", path, headers=typed), 400, "malformed_json")
    refused(await anna("POST", path, content=b"role=viewer"), 415, "unsupported_media_type")
    # Where something has to be said, nothing is not enough.
    refused(await anna("POST", "/api/projects"), 415, "unsupported_media_type")


async def test_a_ticket_that_asks_for_more_gives_what_there_is(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    await rest.run("UPDATE users SET email_verified_at = now()")
    project = await anna.project(isPublic=True)
    assert (await ticket(bert, project, role="editor"))["role"] == "viewer"
    refused(await asked(bert, project, role="owner"), 422, "validation_failed")


async def test_a_ticket_is_worth_nothing_later_or_after_the_session(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    given = (await ticket(anna, project))["ticket"]
    rest.time.ahead = timedelta(seconds=61)
    with pytest.raises(TokenExpired):
        await rest.services.identities.admit(given)
    given = (await ticket(anna, project))["ticket"]
    await anna("POST", "/api/auth/logout")
    with pytest.raises(SessionEnded):
        await rest.services.identities.admit(given)


async def test_rest_takes_no_ticket(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    anna.token = (await ticket(anna, project))["ticket"]
    for method, path in (
        ("GET", "/api/auth/me"),
        ("GET", f"/api/projects/{project['id']}"),
        ("POST", f"/api/projects/{project['id']}/ticket"),
    ):
        refused(await anna(method, path, json={}), 401, "token_invalid")


async def test_nobody_gets_a_ticket_for_what_they_may_not_see(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    project = await anna.project()
    hidden = await asked(bert, project)
    refused(hidden, 404, "project_not_found")
    assert hidden.content == (await asked(bert, {"id": ids.new_id()})).content
    path = f"/api/projects/{project['id']}/ticket"
    refused(await rest.client.post(path, json={}), 404, "project_not_found")


async def test_a_public_room_gives_a_ticket_to_nobody_in_particular(rest: Rest) -> None:
    anna = await rest.person()
    await rest.run("UPDATE users SET email_verified_at = now()")
    project = await anna.project(isPublic=True)
    path = f"/api/projects/{project['id']}/ticket"
    given = (await rest.client.post(path, json={"role": "viewer"})).json()
    assert given["role"] == "viewer"
    found = await rest.services.identities.admit(given["ticket"])
    assert found == Guest(NO_LINK, UUID(project["id"]), Role.NONE, None, Role.VIEWER)


@pytest.mark.parametrize("header", ["Authorization", "Share-Link"])
async def test_a_link_gives_a_ticket_that_ends_with_it(rest: Rest, header: str) -> None:
    anna = await rest.person()
    await rest.run("UPDATE users SET email_verified_at = now()")
    project = await anna.project()
    made = await link(anna, project, "editor")
    shown = f"Bearer {made['token']}" if header == "Authorization" else made["token"]
    path = f"/api/projects/{project['id']}/ticket"
    answer = await rest.client.post(path, json={"role": "viewer"}, headers={header: shown})
    assert answer.json()["role"] == "viewer"
    given = answer.json()["ticket"]
    found = await rest.services.identities.admit(given)
    assert isinstance(found, Guest)
    assert (found.role, found.cap) == (Role.EDITOR, Role.VIEWER)
    await rest.run("DELETE FROM project_links")
    with pytest.raises(LinkInvalid):
        await rest.services.identities.admit(given)


async def test_a_link_beside_an_account_is_in_the_ticket(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person("bert")
    await rest.run("UPDATE users SET email_verified_at = now()")
    project = await anna.project()
    made = await link(anna, project, "editor")
    path = f"/api/projects/{project['id']}/ticket"
    answer = await bert("POST", path, json={}, headers={"Share-Link": made["token"]})
    assert answer.json()["role"] == "editor"
    who = await rest.services.identities.admit(answer.json()["ticket"])
    assert isinstance(who, Identity)
    assert who.username == "bert"
    assert who.link is not None
    assert who.link.role is Role.EDITOR
    await rest.run("DELETE FROM project_links")
    who = await rest.services.identities.admit(answer.json()["ticket"])
    assert isinstance(who, Identity)
    assert who.link is None


async def test_the_ticket_of_a_key_reaches_no_further_and_ends_with_it(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    ends = "2099-01-01T00:00:00Z"
    program = await rest.key(anna, "read", expiresAt=ends)
    given = (await ticket(program, project))["ticket"]
    who = await rest.services.identities.admit(given)
    assert isinstance(who, Identity)
    assert (who.kind, who.project_id) == (Kind.KEY, UUID(project["id"]))
    assert who.rights is not None
    assert Right.DOCUMENT_EDIT not in who.rights
    assert who.expires_at is not None
    await rest.run("DELETE FROM api_keys")
    with pytest.raises(TokenInvalid):
        await rest.services.identities.admit(given)


async def test_sockets_take_what_rest_takes_too(rest: Rest) -> None:
    anna = await rest.person("anna")
    who = await rest.services.identities.admit(anna.token)
    assert isinstance(who, Identity)
    assert who.expires_at is not None
    assert who.project_id is None
