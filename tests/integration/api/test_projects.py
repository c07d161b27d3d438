"""Projects: what their owner does with them, what others see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args
from uuid import UUID

import pytest

from api.shapes import projects as shapes
from auth.changes import ProjectChanged
from base import ids
from docstore import seeding

from .crew import at as path
from .crew import joined, proven
from .rest import refused

if TYPE_CHECKING:
    from .rest import Person, Rest


async def test_a_new_project_is_answered_in_full(rest: Rest) -> None:
    anna = await proven(rest)
    fields: dict[str, object] = {"name": " Night drive ", "kind": "pattern", "description": "a\nb"}
    fields |= {"isPublic": True, "guestRole": "editor"}
    response = await anna("POST", "/api/projects", json=fields)
    assert response.status_code == 201
    made = response.json()
    assert response.headers["location"] == path(made)
    assert UUID(made["id"]).version == 7
    assert len(made["roomId"]) == 12
    assert made["createdAt"] == made["updatedAt"]
    assert made["createdAt"].endswith("Z")
    assert made | fields | {"name": "Night drive"} == made
    assert (made["ownerId"], made["role"], made["epoch"]) == (anna.user["id"], "owner", 1)
    assert set(made["permissions"].values()) == {True}
    assert (await anna("GET", path(made))).json() == made


def test_every_kind_of_project_can_be_asked_for() -> None:
    assert get_args(shapes.Kind) == seeding.KINDS


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({}, "$"),
        ({"name": ""}, "$.name"),
        ({"name": "a\x00b"}, "$.name"),
        ({"name": "x" * 201}, "$.name"),
        ({"name": "x", "kind": "mixtape"}, "$.kind"),
        ({"name": "x", "description": "x" * 5001}, "$.description"),
        ({"name": "x", "isPublic": "no"}, "$.isPublic"),
        ({"name": "x", "guestRole": "admin"}, "$.guestRole"),
        ({"name": "x", "guestRole": "owner"}, "$.guestRole"),
        ({"name": "x", "roomId": "abc"}, "$"),
    ],
)
async def test_a_wrong_project_is_refused_where_it_is_wrong(
    rest: Rest, fields: dict[str, object], at: str
) -> None:
    anna = await proven(rest)
    problem = refused(await anna("POST", "/api/projects", json=fields), 422, "validation_failed")
    assert problem["path"] == at


async def test_a_list_shows_ones_own_projects_newest_first_page_by_page(rest: Rest) -> None:
    anna, bert = await proven(rest), await proven(rest)
    made = [(await anna.project(name=f"song {number}"))["id"] for number in range(5)]
    await bert.project(isPublic=True)
    found: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    sizes: list[int] = []
    while True:
        page = (await anna("GET", "/api/projects", params=query)).json()
        found += [item["id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert found == made[::-1]
    assert sizes == [2, 2, 1]


async def test_a_list_of_nothing_is_empty(rest: Rest) -> None:
    anna = await proven(rest)
    assert (await anna("GET", "/api/projects")).json() == {"items": [], "nextCursor": None}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "validation_failed"),
        ("limit=101", "validation_failed"),
        ("limit=many", "validation_failed"),
        ("cursor=x", "cursor_invalid"),
        ("cursor=%00", "cursor_invalid"),
        ("cursor=%ff", "cursor_invalid"),
        ("cursor=" + "A" * 500, "cursor_invalid"),
    ],
)
async def test_a_wrong_page_is_refused(rest: Rest, query: str, code: str) -> None:
    anna = await proven(rest)
    refused(await anna("GET", f"/api/projects?{query}"), 422, code)


async def test_a_change_leaves_the_rest_as_it_was(rest: Rest) -> None:
    anna = await proven(rest)
    made = await anna.project(description="slow")
    response = await anna("PUT", path(made), json={"name": "Day drive"})
    assert response.status_code == 200
    changed = response.json()
    assert changed["updatedAt"] > made["updatedAt"]
    assert changed == made | {"name": "Day drive", "updatedAt": changed["updatedAt"]}
    emptied = await anna("PUT", path(made), json={"description": ""})
    assert emptied.json()["description"] == ""
    assert (await anna("PUT", path(made), json={})).status_code == 200


@pytest.mark.parametrize("fields", [{"kind": "opendaw"}, {"name": None}, {"name": " "}, {"id": 1}])
async def test_a_wrong_change_is_refused(rest: Rest, fields: dict[str, object]) -> None:
    anna = await proven(rest)
    made = await anna.project()
    refused(await anna("PUT", path(made), json=fields), 422, "validation_failed")


async def test_what_is_shared_with_me_is_in_my_list_with_what_i_may_do(rest: Rest) -> None:
    anna = await proven(rest)
    first, second = await anna.project(name="first"), await anna.project(name="second")
    bert = await joined(rest, anna, first, "editor", canExport=False)
    own = await bert.project(name="own")
    items = (await bert("GET", "/api/projects")).json()["items"]
    assert [(item["name"], item["role"]) for item in items] == [
        ("own", "owner"),
        ("first", "editor"),
    ]
    wanted = {
        "canEdit": True,
        "canAddStems": True,
        "canDeleteStems": True,
        "canInviteOthers": False,
        "canExport": False,
    }
    assert items[1]["permissions"] == wanted
    assert items[1] == (await bert("GET", path(first))).json()
    refused(await bert("GET", path(second)), 404, "project_not_found")
    refused(await anna("GET", path(own)), 404, "project_not_found")


async def test_a_key_for_one_project_lists_that_one_and_makes_none(rest: Rest) -> None:
    anna = await proven(rest)
    one, two = await anna.project(), await anna.project()
    bound = await rest.key(anna, "manage", projectId=one["id"])
    assert [item["id"] for item in (await bound("GET", "/api/projects")).json()["items"]] == [
        one["id"]
    ]
    refused(await bound("GET", path(two)), 404, "project_not_found")
    refused(await bound("POST", "/api/projects", json={"name": "x"}), 403, "not_allowed")
    reading = await rest.key(anna, "read")
    refused(await reading("POST", "/api/projects", json={"name": "x"}), 403, "not_allowed")
    refused(await reading("PUT", path(one), json={"name": "x"}), 403, "not_allowed")
    assert (await reading("GET", path(one))).json()["permissions"]["canEdit"] is False


async def test_a_deleted_project_is_gone_and_everybody_hears_of_it(rest: Rest) -> None:
    heard: list[object] = []
    rest.services.changes.listen(heard.append)
    anna = await proven(rest)
    made = await anna.project(isPublic=True)
    response = await anna("DELETE", path(made))
    assert heard == [ProjectChanged(UUID(made["id"]))]
    assert (response.status_code, response.content) == (204, b"")
    for method, rest_of_path in (
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/snapshot"),
        ("POST", "/updates"),
    ):
        body = {"name": "x"} if method == "PUT" else None
        response = await anna(method, path(made, rest_of_path), json=body)
        refused(response, 404, "project_not_found")
    assert (await anna("GET", "/api/projects")).json()["items"] == []


CHANGES = [("PUT", ""), ("DELETE", ""), ("POST", "/updates")]
LOOKS = [("GET", ""), ("GET", "/snapshot"), ("GET", "/snapshot?format=json")]


@pytest.mark.parametrize(("method", "rest_of_path"), LOOKS + CHANGES)
async def test_a_private_project_does_not_exist_for_strangers(
    rest: Rest, method: str, rest_of_path: str
) -> None:
    anna, bert = await proven(rest), await proven(rest)
    made = await anna.project()
    body = {"name": "mine"} if method == "PUT" else None
    mine = await bert(method, path(made, rest_of_path), json=body)
    never = await bert(method, path({"id": ids.new_id()}, rest_of_path), json=body)
    refused(mine, 404, "project_not_found")
    assert mine.content == never.content


@pytest.mark.parametrize(("method", "rest_of_path"), LOOKS)
async def test_a_private_project_does_not_exist_without_a_token(
    rest: Rest, method: str, rest_of_path: str
) -> None:
    made = await (await proven(rest)).project()
    response = await rest.client.request(method, path(made, rest_of_path))
    refused(response, 404, "project_not_found")


@pytest.mark.parametrize(("method", "rest_of_path"), LOOKS)
async def test_everybody_may_look_at_a_public_project(
    rest: Rest, method: str, rest_of_path: str
) -> None:
    made = await (await proven(rest)).project(isPublic=True)
    bert = await proven(rest)
    assert (await bert(method, path(made, rest_of_path))).status_code == 200
    assert (await rest.client.request(method, path(made, rest_of_path))).status_code == 200


async def test_a_public_project_says_that_its_guest_is_a_viewer(rest: Rest) -> None:
    made = await (await proven(rest)).project(isPublic=True)
    assert (await rest.client.get(path(made))).json()["role"] == "viewer"


@pytest.mark.parametrize(("method", "rest_of_path"), CHANGES)
async def test_a_public_project_is_changed_by_its_owner_only(
    rest: Rest, method: str, rest_of_path: str
) -> None:
    made = await (await proven(rest)).project(isPublic=True)
    bert = await proven(rest)
    body = {"name": "mine"} if method == "PUT" else None
    refused(await bert(method, path(made, rest_of_path), json=body), 403, "not_allowed")
    anonymous = await rest.client.request(method, path(made, rest_of_path), json=body)
    refused(anonymous, 401, "token_missing")
    assert (await rest.client.get(path(made))).json()["name"] == "Night drive"


async def test_a_token_that_is_sent_must_be_good_even_where_none_is_needed(rest: Rest) -> None:
    made = await (await proven(rest)).project(isPublic=True)
    bert: Person = await proven(rest)
    await bert("POST", "/api/auth/logout")
    refused(await bert("GET", path(made)), 401, "session_ended")


@pytest.mark.parametrize(
    "name",
    [
        "1",
        "nothing",
        "%00",
        "..%2f..",
        "{0190a0b0-0000-7000-8000-000000000000}",
        "0190a0b0000070008000000000000000",
        "urn:uuid:0190a0b0-0000-7000-8000-000000000000",
        "x" * 3000,
    ],
)
async def test_what_is_no_id_is_nobodys_project(rest: Rest, name: str) -> None:
    response = await rest.client.get(f"/api/projects/{name}")
    assert response.status_code == 404
    assert response.json()["code"] in {"project_not_found", "not_found"}


async def test_an_id_may_be_written_in_capitals(rest: Rest) -> None:
    made = await (await proven(rest)).project(isPublic=True)
    assert (await rest.client.get(path({"id": made["id"].upper()}))).status_code == 200


async def test_an_owner_is_not_looked_for_among_the_collaborators(rest: Rest) -> None:
    anna = await proven(rest)
    made = await anna.project()
    bert = await joined(rest, anna, made, "viewer")
    await rest.run("REVOKE SELECT ON project_collaborators FROM syncsphere_member")
    try:
        assert (await anna("GET", path(made))).json()["role"] == "owner"
        assert (await bert("GET", path(made))).status_code == 500
    finally:
        await rest.run("GRANT SELECT ON project_collaborators TO syncsphere_member")
