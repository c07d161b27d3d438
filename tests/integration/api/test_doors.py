"""Projects that are open: who opens them, what guests are, and who hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from auth.changes import ProjectChanged

from .crew import at as path
from .crew import joined, proven
from .rest import refused

if TYPE_CHECKING:
    from .rest import Rest


@pytest.mark.parametrize("door", [{"isPublic": True}, {"guestRole": "viewer"}])
async def test_doors_are_opened_by_who_has_proven_an_address(
    rest: Rest, door: dict[str, object]
) -> None:
    anna = await rest.person()
    body = {"name": "x"} | door
    refused(await anna("POST", "/api/projects", json=body), 403, "email_not_verified")
    made = await anna.project()
    refused(await anna("PUT", path(made), json=door), 403, "email_not_verified")
    shut = {"isPublic": False, "guestRole": "none"}
    assert (await anna("PUT", path(made), json=shut)).status_code == 200


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("editor", 403), ("viewer", 403)])
async def test_doors_and_names_are_for_admins(rest: Rest, role: str, status: int) -> None:
    anna = await proven(rest)
    made = await anna.project()
    bert = await joined(rest, anna, made, role)
    for body in ({"name": "x"}, {"isPublic": True}, {"guestRole": "editor"}):
        assert (await bert("PUT", path(made), json=body)).status_code == status
    refused(await bert("DELETE", path(made)), 403, "not_allowed")


async def test_guests_are_what_the_owner_says(rest: Rest) -> None:
    anna, bert = await proven(rest), await rest.person()
    made = await anna.project(guestRole="editor")
    for answer in (await rest.client.get(path(made)), await bert("GET", path(made))):
        assert (answer.json()["role"], answer.json()["guestRole"]) == ("editor", "editor")
    await anna("PUT", path(made), json={"guestRole": "viewer"})
    assert (await rest.client.get(path(made))).json()["role"] == "viewer"
    await anna("PUT", path(made), json={"guestRole": "none"})
    refused(await rest.client.get(path(made)), 404, "project_not_found")


async def test_a_door_that_moves_is_told_and_written_down(rest: Rest) -> None:
    heard: list[object] = []
    rest.services.changes.listen(heard.append)
    anna = await proven(rest)
    made = await anna.project(isPublic=True)
    await anna("PUT", path(made), json={"isPublic": True, "guestRole": "none", "name": "x"})
    assert heard == []
    await anna("PUT", path(made), json={"isPublic": False})
    await anna("PUT", path(made), json={"guestRole": "editor"})
    assert heard == [ProjectChanged(UUID(made["id"]))] * 2
    details = [event["detail"] for event in await rest.events("project.opened")]
    assert details == [
        {"is_public": True, "guest_role": "none"},
        {"is_public": False, "guest_role": "none"},
        {"is_public": False, "guest_role": "editor"},
    ]
