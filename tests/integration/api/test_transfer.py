"""A project that changes hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from base import ids

from .crew import at, joined, linked, proven, roles
from .rest import refused

if TYPE_CHECKING:
    from .rest import Person, Rest

CREW = "/collaborators"


async def test_a_project_changes_hands(rest: Rest) -> None:
    anna, stranger = await proven(rest, "anna"), await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "viewer")
    link = await linked(anna, project)
    transfer = at(project, "/transfer")
    for to in (stranger.user["id"], anna.user["id"], str(ids.new_id())):
        body = {"userId": to}
        refused(await anna("POST", transfer, json=body), 404, "collaborator_not_found")
    await rest.run("UPDATE users SET email_verified_at = NULL WHERE id = %s", bert.user["id"])
    body = {"userId": bert.user["id"]}
    refused(await anna("POST", transfer, json=body), 409, "owner_unfit")
    refused(await bert("POST", transfer, json=body), 403, "not_allowed")
    await rest.run("UPDATE users SET email_verified_at = now() WHERE id = %s", bert.user["id"])
    assert (await anna("POST", transfer, json=body)).status_code == 204
    crew = (await anna("GET", at(project, CREW))).json()
    assert roles(crew) == {bert.user["username"]: "owner", "anna": "admin"}
    assert crew["items"][0]["username"] == bert.user["username"]
    refused(await anna("DELETE", at(project)), 403, "not_allowed")
    guest = {"Authorization": f"Bearer {link['token']}"}
    assert (await rest.client.get(at(project), headers=guest)).status_code == 200
    (event,) = await rest.events("project.transferred")
    assert (str(event["user"]), str(event["actor"])) == (bert.user["id"], anna.user["id"])


async def test_of_two_transfers_at_once_one_counts(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    people = [await joined(rest, anna, project, "editor") for _ in range(2)]
    statuses: list[int] = []

    async def give(to: Person) -> None:
        body = {"userId": to.user["id"]}
        statuses.append((await anna("POST", at(project, "/transfer"), json=body)).status_code)

    async with anyio.create_task_group() as group:
        for person in people:
            group.start_soon(give, person)
    assert sorted(statuses) == [204, 403]
    held = sorted(roles((await anna("GET", at(project, CREW))).json()).values())
    assert held == ["admin", "editor", "owner"]
