"""Collaborators: let in, listed, changed, sent away, and a project that changes hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import pytest

from auth import members
from auth.changes import ProjectChanged
from base import ids

from .crew import at, invited, joined, let_in, linked, proven, roles
from .rest import refused

if TYPE_CHECKING:
    from .rest import Person, Rest

CREW = "/collaborators"


def one(project: dict[str, Any], person: Person) -> str:
    return at(project, f"{CREW}/{person.user['id']}")


@pytest.mark.parametrize("by", ["userId", "username", "email"])
async def test_somebody_with_an_account_is_let_in_at_once(rest: Rest, by: str) -> None:
    heard: list[object] = []
    rest.services.changes.listen(heard.append)
    anna, bert = await proven(rest, "anna"), await proven(rest, "bert")
    project = await anna.project()
    names = {"userId": bert.user["id"], "username": "BERT", "email": " Bert@Example.com "}
    body = {by: names[by], "role": "editor", "permissions": {"canExport": False, "canEdit": True}}
    answer = await anna("POST", at(project, CREW), json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["status"], made["invitation"]) == ("added", None)
    shown = made["collaborator"]
    assert (shown["username"], shown["role"], shown["invitedBy"]) == (
        "bert",
        "editor",
        anna.user["id"],
    )
    assert shown["permissions"] == {
        "canEdit": True,
        "canAddStems": True,
        "canDeleteStems": True,
        "canInviteOthers": False,
        "canExport": False,
    }
    assert heard == [ProjectChanged(UUID(project["id"]))]
    assert (await bert("GET", at(project))).json()["role"] == "editor"
    (event,) = await rest.events("collaborator.added")
    assert (str(event["user"]), str(event["actor"])) == (bert.user["id"], anna.user["id"])
    assert event["detail"] == {"role": "editor", "fine": {"can_export": False}}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"username": "nobody"}, 404, "user_not_found"),
        ({"username": "!"}, 404, "user_not_found"),
        ({"username": "'; DROP TABLE users; --"}, 404, "user_not_found"),
        ({"username": "unproven"}, 404, "user_not_found"),
        ({"userId": str(ids.new_id())}, 404, "user_not_found"),
        ({"email": "no address"}, 422, "email_invalid"),
        ({}, 422, "validation_failed"),
        ({"username": "nobody", "email": "a@example.com"}, 422, "validation_failed"),
        ({"username": "nobody", "role": "owner"}, 422, "validation_failed"),
        ({"username": "nobody", "permissions": {"canFly": True}}, 422, "validation_failed"),
        ({"username": "anna"}, 409, "already_collaborator"),
        ({"username": "bert"}, 409, "already_collaborator"),
    ],
)
async def test_who_cannot_be_let_in(
    rest: Rest, body: dict[str, object], status: int, code: str
) -> None:
    anna, bert = await proven(rest, "anna"), await proven(rest, "bert")
    await rest.person("unproven")
    project = await anna.project()
    await let_in(anna, project, bert, "viewer")
    refused(await anna("POST", at(project, CREW), json={"role": "viewer"} | body), status, code)
    assert roles((await anna("GET", at(project, CREW))).json()) == {
        "anna": "owner",
        "bert": "viewer",
    }


@pytest.mark.parametrize("account", ["disabled_at", "closed_at"])
async def test_whose_account_is_not_open_is_nobody(rest: Rest, account: str) -> None:
    anna, bert = await proven(rest), await proven(rest, "bert")
    project = await anna.project()
    await rest.run(f"UPDATE users SET {account} = now() WHERE username = 'bert'")  # pyright: ignore[reportArgumentType] (our own names)
    body = {"username": "bert", "role": "viewer"}
    refused(await anna("POST", at(project, CREW), json=body), 404, "user_not_found")
    invitation = await invited(anna, project, bert.user["email"])
    assert invitation["email"] == bert.user["email"]


@pytest.mark.parametrize(
    ("role", "permissions", "names"),
    [
        ("viewer", {"canEdit": True}, ["canEdit"]),
        ("viewer", {"canAddStems": True, "canExport": False}, ["canAddStems"]),
        ("admin", {"canExport": False}, ["canExport"]),
    ],
)
async def test_a_role_cannot_have_every_permission(
    rest: Rest, role: str, permissions: dict[str, bool], names: list[str]
) -> None:
    anna, bert = await proven(rest), await proven(rest)
    project = await anna.project()
    body = {"userId": bert.user["id"], "role": role, "permissions": permissions}
    problem = refused(await anna("POST", at(project, CREW), json=body), 422, "permissions_invalid")
    assert problem["permissions"] == names
    await let_in(anna, project, bert, role)
    change = {"permissions": permissions}
    refused(await anna("PUT", one(project, bert), json=change), 422, "permissions_invalid")


async def test_inviting_asks_for_a_proven_address(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    body = {"email": "new@example.org", "role": "viewer"}
    refused(await anna("POST", at(project, CREW), json=body), 403, "email_not_verified")


@pytest.mark.parametrize(
    ("granter", "permissions", "gives"),
    [
        ("admin", {}, {"editor", "viewer"}),
        ("editor", {"canInviteOthers": True}, {"editor", "viewer"}),
        ("editor", {"canInviteOthers": True, "canExport": False}, set[str]()),
        ("viewer", {"canInviteOthers": True}, {"viewer"}),
        ("editor", {}, set[str]()),
    ],
)
async def test_nobody_lets_in_above_what_they_are(
    rest: Rest, granter: str, permissions: dict[str, bool], gives: set[str]
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, granter, **permissions)
    for role in ("admin", "editor", "viewer"):
        friend = await proven(rest)
        body = {"userId": friend.user["id"], "role": role}
        answer = await bert("POST", at(project, CREW), json=body)
        assert answer.status_code == (201 if role in gives else 403), (role, answer.text)


async def test_the_list_begins_with_the_owner_and_hides_addresses(rest: Rest) -> None:
    anna = await proven(rest, "anna")
    project = await anna.project()
    await invited(anna, project, "new@example.org")
    inviter = await joined(rest, anna, project, "editor", canInviteOthers=True)
    own = await invited(inviter, project, "friend@example.org", "viewer")
    admin = await joined(rest, anna, project, "admin")
    viewer = await joined(rest, anna, project, "viewer")
    for person, seen in (
        (anna, ["new@example.org", "friend@example.org"]),
        (admin, ["new@example.org", "friend@example.org"]),
        (inviter, ["friend@example.org"]),
        (viewer, []),
    ):
        crew = (await person("GET", at(project, CREW))).json()
        assert [each["email"] for each in crew["invitations"]] == seen
        names = [each.user["username"] for each in (anna, inviter, admin, viewer)]
        assert [each["username"] for each in crew["items"]] == names
        assert "@" not in str(crew["items"])
    assert crew["items"][0]["permissions"]["canInviteOthers"] is True
    assert own["invitedBy"] == inviter.user["id"]


async def test_who_comes_by_an_open_door_does_not_see_the_people(rest: Rest) -> None:
    anna, bert = await proven(rest), await rest.person()
    project = await anna.project(isPublic=True)
    refused(await bert("GET", at(project, CREW)), 403, "not_allowed")
    refused(await rest.client.get(at(project, CREW)), 401, "token_missing")


async def test_a_changed_role_keeps_what_still_fits(rest: Rest) -> None:
    heard: list[object] = []
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor", canExport=False, canAddStems=False)
    rest.services.changes.listen(heard.append)
    changed = await anna("PUT", one(project, bert), json={"role": "viewer"})
    assert changed.status_code == 200
    assert changed.json()["permissions"]["canExport"] is False
    assert heard == [ProjectChanged(UUID(project["id"]))]
    changed = await anna("PUT", one(project, bert), json={"permissions": {"canExport": True}})
    assert (changed.json()["role"], changed.json()["permissions"]["canExport"]) == ("viewer", True)
    back = await anna("PUT", one(project, bert), json={"role": "editor"})
    assert back.json()["permissions"]["canExport"] is True
    # Denied by name, and a viewer has it no more than before: it stays denied.
    assert back.json()["permissions"]["canAddStems"] is False
    assert len(await rest.events("collaborator.changed")) == 3


async def test_nobody_changes_or_removes_their_equals_the_owner_or_themselves(rest: Rest) -> None:
    anna = await proven(rest, "anna")
    project = await anna.project()
    admin, other = [await joined(rest, anna, project, "admin") for _ in range(2)]
    editor = await joined(rest, anna, project, "editor", canInviteOthers=True)
    for person, target in (
        (admin, admin),
        (admin, other),
        (admin, anna),
        (editor, admin),
        (editor, editor),
        (anna, anna),
    ):
        answer = await person("PUT", one(project, target), json={"role": "viewer"})
        refused(answer, 403, "not_allowed")
        if person is not target:
            refused(await person("DELETE", one(project, target)), 403, "not_allowed")
    refused(await admin("PUT", one(project, editor), json={"role": "admin"}), 403, "not_allowed")
    assert sorted(roles((await anna("GET", at(project, CREW))).json()).values()) == [
        "admin",
        "admin",
        "editor",
        "owner",
    ]


async def test_whoever_is_removed_is_out_with_all_that_they_made(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    admin = await joined(rest, anna, project, "admin")
    link = await linked(admin, project)
    await invited(admin, project, "accomplice@example.org")
    guest = {"Authorization": f"Bearer {link['token']}"}
    assert (await rest.client.get(at(project), headers=guest)).status_code == 200
    assert (await anna("DELETE", one(project, admin))).status_code == 204
    refused(await admin("GET", at(project)), 404, "project_not_found")
    refused(await rest.client.get(at(project), headers=guest), 401, "link_invalid")
    assert (await anna("GET", at(project, CREW))).json()["invitations"] == []
    refused(await anna("DELETE", one(project, admin)), 404, "collaborator_not_found")
    assert len(await rest.events("collaborator.removed")) == 1


async def test_an_admin_who_becomes_an_editor_leaves_no_links_open(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    admin = await joined(rest, anna, project, "admin")
    await linked(admin, project)
    kept = await linked(anna, project)
    await anna("PUT", one(project, admin), json={"role": "editor"})
    items = (await anna("GET", at(project, "/links"))).json()["items"]
    assert [each["id"] for each in items] == [kept["link"]["id"]]


async def test_everybody_may_leave_but_the_owner(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    for role in ("admin", "editor", "viewer"):
        person = await joined(rest, anna, project, role)
        robot = await rest.key(person, "write")
        refused(await robot("DELETE", one(project, person)), 403, "not_allowed")
        assert (await person("DELETE", one(project, person))).status_code == 204
        refused(await person("GET", at(project)), 404, "project_not_found")
    refused(await anna("DELETE", one(project, anna)), 409, "owner_stays")


async def test_a_project_has_room_for_so_many(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST", 3)
    anna = await proven(rest)
    project = await anna.project()
    inviter = await joined(rest, anna, project, "editor", canInviteOthers=True)
    await invited(anna, project, "one@example.org")
    statuses: list[int] = []

    async def invite(name: str) -> None:
        body = {"email": f"{name}@example.org", "role": "viewer"}
        answer = await inviter("POST", at(project, CREW), json=body)
        statuses.append(answer.status_code)

    # All at once, by somebody who does not see the invitations of others.
    async with anyio.create_task_group() as group:
        for name in ("two", "three", "four"):
            group.start_soon(invite, name)
    assert sorted(statuses) == [201, 409, 409]
    person = await proven(rest)
    body = {"userId": person.user["id"], "role": "viewer"}
    refused(await anna("POST", at(project, CREW), json=body), 409, "collaborators_full")
    # Inviting the same address again takes no further place.
    await invited(anna, project, "one@example.org", "viewer")
