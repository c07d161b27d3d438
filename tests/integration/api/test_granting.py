"""What somebody gives is their own to give; what was denied by name stays denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .crew import at, joined, let_in, linked, proven
from .rest import refused
from .test_audit import LOG, administrator, items

if TYPE_CHECKING:
    from .rest import Person, Rest

CREW = "/collaborators"


async def invites(
    person: Person, project: dict[str, Any], whom: dict[str, str], link: str | None
) -> int:
    """The status for who gives the role of an editor, with a share link beside their token."""
    headers = {"Share-Link": link} if link else None
    body = whom | {"role": "editor"}
    answer = await person("POST", at(project, CREW), json=body, headers=headers)
    if answer.status_code != 201:
        refused(answer, 403, "not_allowed")
    return answer.status_code


@pytest.mark.parametrize("door", ["guests", "link"])
@pytest.mark.parametrize(
    ("role", "denied", "status"),
    [("viewer", {}, 403), ("editor", {"canExport": False}, 403), ("editor", {}, 201)],
)
async def test_an_open_door_is_not_theirs_to_give(
    rest: Rest, door: str, role: str, denied: dict[str, bool], status: int
) -> None:
    anna, friend = await proven(rest), await proven(rest)
    project = await anna.project(guestRole="editor" if door == "guests" else "none")
    link = (await linked(anna, project, role="editor"))["token"] if door == "link" else None
    inviter = await joined(rest, anna, project, role, canInviteOthers=True, **denied)
    assert await invites(inviter, project, {"userId": friend.user["id"]}, link) == status
    assert await invites(inviter, project, {"email": "new@example.org"}, link) == status


async def test_nobody_from_the_street_gives_what_everybody_has(rest: Rest) -> None:
    anna, stranger = await proven(rest), await proven(rest)
    project = await anna.project(guestRole="editor", isPublic=True)
    assert await invites(stranger, project, {"email": "new@example.org"}, None) == 403


async def role_of(
    owner: Person, project: dict[str, Any], user: Person, role: str
) -> dict[str, Any]:
    """The permissions of somebody who is given another role."""
    path = at(project, f"{CREW}/{user.user['id']}")
    answer = await owner("PUT", path, json={"role": role})
    assert answer.status_code == 200, answer.text
    return answer.json()["permissions"]


@pytest.mark.parametrize("through", ["viewer", "admin"])
async def test_what_was_denied_by_name_comes_back_with_no_role(rest: Rest, through: str) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor", canDeleteStems=False, canEdit=False)
    assert (await role_of(anna, project, bert, through))["canDeleteStems"] is (through == "admin")
    again = await role_of(anna, project, bert, "editor")
    assert (again["canDeleteStems"], again["canEdit"], again["canExport"]) == (False, False, True)
    path = at(project, f"{CREW}/{bert.user['id']}")
    given = await anna("PUT", path, json={"permissions": {"canDeleteStems": True, "canEdit": True}})
    assert given.json()["permissions"]["canDeleteStems"] is True
    await role_of(anna, project, bert, through)
    assert (await role_of(anna, project, bert, "editor"))["canDeleteStems"] is True


async def test_an_open_door_gives_a_lesser_role_nothing_back(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project(guestRole="editor")
    bert = await joined(rest, anna, project, "editor", canEdit=False)
    await role_of(anna, project, bert, "viewer")
    assert (await bert("GET", at(project))).json()["permissions"]["canEdit"] is False
    refused(await bert("POST", at(project, "/updates"), content=b"\0\0"), 403, "not_allowed")


async def test_the_log_says_what_was_given_as_json_says_it(rest: Rest) -> None:
    admin, anna = await administrator(rest), await proven(rest)
    project = await anna.project(guestRole="viewer")
    await let_in(anna, project, await proven(rest), "viewer", canExport=False)
    details = [
        items(await admin("GET", LOG, params={"kind": kind}))[0]["detail"]
        for kind in ("collaborator.added", "project.opened")
    ]
    assert details == [
        {"role": "viewer", "fine": {"canExport": False}},
        {"isPublic": False, "guestRole": "viewer"},
    ]


async def test_the_end_of_a_project_and_a_new_name_are_in_the_log(rest: Rest) -> None:
    anna = await rest.person("anna")
    project = await anna.project()
    assert (await anna("DELETE", at(project))).status_code == 204
    for name in ("anne", "anne"):
        await anna("PUT", "/api/users/me", json={"username": name, "bio": "x"})
    (deleted,), (renamed,) = (
        await rest.events("project.deleted"),
        await rest.events("username.changed"),
    )
    assert str(deleted["actor"]) == str(renamed["actor"]) == anna.user["id"]
    assert renamed["detail"] == {}
