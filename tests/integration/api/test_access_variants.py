"""Every route of a project, asked by people who are not simply of one role: `variants_table`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from psycopg.types.json import Jsonb

from api.routes import ROUTES as ALL
from auth import permissions

from .access_table import NO, TABLE, World, prove
from .crew import at
from .rest import Person, refused
from .variants_table import GIVES, PRIVATE, RAISES, RANKS, ROUTES, SCENES, TAKES

if TYPE_CHECKING:
    import httpx

    from .access_table import Answer
    from .rest import Rest
    from .variants_table import Asker

BY_NAME = {route.operation: route for route in ALL}


@dataclass
class Scene(World):
    """One project for many askers. Things are done to the same person over and over."""

    spare: Person | None = None

    async def member(self, role: str, **fine: bool) -> Person:
        return await super().collaborator(role, **fine)

    async def collaborator(self, role: str = "viewer", **fine: bool) -> Person:
        """The person that things are done to, who has this role again."""
        if self.spare is None:
            self.spare = await self.rest.person()
            await prove(self.rest, self.spare)
        await self.rest.run(
            "INSERT INTO project_collaborators VALUES (%s, %s, %s, %s, NULL, now(), now())"
            " ON CONFLICT (project_id, user_id)"
            " DO UPDATE SET role = excluded.role, fine = excluded.fine",
            self.project,
            self.spare.user["id"],
            role,
            Jsonb(fine),
        )
        return self.spare

    async def enter(self, how: Asker) -> Person | None:
        """Somebody who comes this way; None: without anything to show."""
        owner = self.people["owner"]
        if how.scopes:
            bound = {"projectId": (await owner.project())["id"]} if how.elsewhere else {}
            return await self.rest.key(owner, *how.scopes, **bound)
        if how.link is not None:
            path = f"/api/projects/{self.project}/links"
            made = (await owner("POST", path, json={"role": how.link})).json()
            return Person(self.rest.client, {}, made["token"])
        if not how.account:
            return None
        if how.role is not None:
            one = await self.member(how.role, **how.fine)
        else:
            one = await self.rest.person()
        await prove(self.rest, one, yes=how.proven)
        if how.admin:
            await self.rest.run("UPDATE users SET is_admin = true WHERE id = %s", one.user["id"])
        return one

    async def asked(self, operation: str, who: Person | None) -> httpx.Response:
        return await self.ask(BY_NAME[operation], who, None if who is None else who.token)


async def scene(rest: Rest, **doors: object) -> Scene:
    owner = await rest.person()
    await prove(rest, owner)
    made = await owner.project(**doors)
    return Scene(rest, made["id"], {"owner": owner}, "")


def differs(response: httpx.Response, expected: Answer) -> bool:
    status, code = expected if isinstance(expected, tuple) else (expected, None)
    return response.status_code != status or (code is not None and response.json()["code"] != code)


def test_every_route_of_a_project_is_asked() -> None:
    assert set(ROUTES) == {name for name, route in BY_NAME.items() if "{project_id}" in route.path}


def test_every_adjustable_permission_is_asked_with_and_without() -> None:
    asked = {
        (permissions.Role(how.role), *how.fine.items()) for how, _ in PRIVATE.values() if how.role
    }
    for role, names in permissions.ADJUSTABLE.items():
        for name in names:
            assert {(role, (name, True)), (role, (name, False))} <= asked


@pytest.mark.parametrize("doors", SCENES)
async def test_everybody_gets_the_answer_of_the_table(rest: Rest, doors: str) -> None:
    fields, table = SCENES[doors]
    here = await scene(rest, **fields)
    askers = {name: await here.enter(how) for name, (how, _) in table.items()}
    wrong: list[str] = []
    for operation in ROUTES:
        done = TABLE[operation].owner
        for name, (_, gets) in table.items():
            expected = done if operation in gets.done else gets.otherwise
            expected = gets.but.get(operation, expected)
            response = await here.asked(operation, askers[name])
            if differs(response, expected):
                said = f"{response.status_code} {response.text[:120]}"
                wrong.append(f"{operation}, {name}: {said} instead of {expected}")
    assert wrong == []


@pytest.mark.parametrize("name", GIVES)
async def test_who_lets_others_in_and_as_what(rest: Rest, name: str) -> None:
    here = await scene(rest)
    how, answers = GIVES[name]
    who = await here.enter(how)
    assert who is not None
    for role, expected in zip(RANKS, answers, strict=True):
        other = await rest.person()
        await prove(rest, other)
        body = {"userId": other.user["id"], "role": role}
        response = await who("POST", f"/api/projects/{here.project}/collaborators", json=body)
        assert not differs(response, expected), f"{role}: {response.text}"


@pytest.mark.parametrize("name", TAKES)
async def test_who_takes_others_out(rest: Rest, name: str) -> None:
    here = await scene(rest)
    how, answers = TAKES[name]
    who = await here.enter(how)
    assert who is not None
    path = f"/api/projects/{here.project}/collaborators/"
    for role, expected in zip(RANKS, answers, strict=True):
        other = await here.collaborator(role)
        response = await who("DELETE", path + other.user["id"])
        assert not differs(response, expected), f"{role}: {response.text}"
    if how.role is not None:
        assert not differs(await who("DELETE", path + here.people["owner"].user["id"]), NO)


@pytest.mark.parametrize("name", RAISES)
async def test_who_raises_others_and_to_what(rest: Rest, name: str) -> None:
    here = await scene(rest)
    how, answers = RAISES[name]
    who = await here.enter(how)
    assert who is not None
    for role, expected in zip(RANKS, answers, strict=True):
        other = await here.collaborator("viewer")
        path = f"/api/projects/{here.project}/collaborators/{other.user['id']}"
        response = await who("PUT", path, json={"role": role})
        assert not differs(response, expected), f"{role}: {response.text}"


async def test_everybody_leaves_but_the_owner_and_nobody_raises_themselves(rest: Rest) -> None:
    here = await scene(rest, isPublic=True)
    project = {"id": here.project}
    owner = here.people["owner"]
    for role in RANKS:
        who = await here.member(role, **({} if role == "admin" else {"can_invite_others": True}))
        me = at(project, f"/collaborators/{who.user['id']}")
        refused(await who("PUT", me, json={"role": "admin"}), 403, "not_allowed")
        assert (await who("DELETE", me)).status_code == 204
        # What is left is the open door.
        assert (await who("GET", at(project))).json()["role"] == "viewer"
        refused(await who("DELETE", me), 404, "collaborator_not_found")
        refused(await who("GET", at(project, "/collaborators")), 403, "not_allowed")
    mine = at(project, f"/collaborators/{owner.user['id']}")
    refused(await owner("DELETE", mine), 409, "owner_stays")
    refused(await owner("PUT", mine, json={"role": "viewer"}), 403, "not_allowed")


async def test_who_invites_takes_back_their_own_invitation_and_no_other(rest: Rest) -> None:
    here = await scene(rest)
    who = await here.member("viewer", can_invite_others=True)
    await prove(rest, who)
    made = (await here.asked("members_add", who)).json()["invitation"]
    path = f"/api/projects/{here.project}/invitations/{made['id']}"
    other = await here.member("editor", can_invite_others=True)
    refused(await other("DELETE", path), 404, "invitation_not_found")
    assert (await who("DELETE", path)).status_code == 204


async def test_the_audit_log_is_for_administrators_of_the_server(rest: Rest) -> None:
    here = await scene(rest)
    operator = await rest.person()
    refused(await operator("GET", "/api/admin/audit"), 403, "not_allowed")
    await rest.run("UPDATE users SET is_admin = true WHERE id = %s", operator.user["id"])
    assert (await operator("GET", "/api/admin/audit")).status_code == 200
    # Not with a key, and not whoever owns the project that events are about.
    key = await rest.key(operator, "manage")
    refused(await key("GET", "/api/admin/audit"), 403, "session_needed")
    refused(await here.people["owner"]("GET", "/api/admin/audit"), 403, "not_allowed")
