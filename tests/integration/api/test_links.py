"""Share links: made, used, taken back, and what does not open with them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import pytest

from auth import links
from auth.changes import ProjectChanged
from auth.permissions import Role
from syncserver import users

from .crew import at, joined, linked, proven
from .rest import refused

if TYPE_CHECKING:
    import httpx

    from .rest import Rest


async def enter(rest: Rest, path: str, token: str) -> httpx.Response:
    return await rest.client.get(path, headers={"Authorization": f"Bearer {token}"})


async def test_a_link_lets_in_whoever_holds_it(rest: Rest) -> None:
    heard: list[object] = []
    rest.services.changes.listen(heard.append)
    anna = await proven(rest)
    project, other = await anna.project(), await anna.project()
    made = await linked(anna, project, role="editor", name=" For the band ")
    assert made["link"] | {"name": "For the band", "role": "editor"} == made["link"]
    assert made["link"]["expiresAt"] is None
    assert made["token"].startswith("ssl_")
    assert heard == [ProjectChanged(UUID(project["id"]))]
    seen = await enter(rest, at(project), made["token"])
    assert (seen.status_code, seen.json()["role"]) == (200, "editor")
    # Nothing else opens with it.
    refused(await enter(rest, at(other), made["token"]), 404, "project_not_found")
    refused(await enter(rest, at(project, "/links"), made["token"]), 401, "token_missing")
    refused(await enter(rest, at(project, "/collaborators"), made["token"]), 401, "token_missing")
    refused(await enter(rest, "/api/projects", made["token"]), 401, "token_missing")


async def test_what_opens_a_link_is_told_once_and_kept_by_nobody(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    made = await linked(anna, project)
    listed = await anna("GET", at(project, "/links"))
    assert listed.json() == {"items": [made["link"]]}
    secret = made["token"].removeprefix("ssl_")[22:]
    assert secret not in listed.text
    async with rest.services.database.connection() as tx:
        cursor = await tx.execute(
            "SELECT to_jsonb(l)::text FROM project_links l"
            " UNION ALL SELECT to_jsonb(a)::text FROM audit_events a"
        )
        assert secret not in str(await cursor.fetchall())


async def test_a_link_ends_with_its_time(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    until = rest.services.now() + timedelta(hours=1)
    made = await linked(anna, project, expiresAt=until.isoformat())
    assert (await enter(rest, at(project), made["token"])).status_code == 200
    rest.time.ahead = timedelta(hours=1, seconds=1)
    refused(await enter(rest, at(project), made["token"]), 401, "link_invalid")


async def test_a_link_that_is_taken_back_opens_nothing(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    made, kept = await linked(anna, project), await linked(anna, project)
    assert (await anna("DELETE", at(project, f"/links/{made['link']['id']}"))).status_code == 204
    refused(await enter(rest, at(project), made["token"]), 401, "link_invalid")
    assert (await enter(rest, at(project), kept["token"])).status_code == 200
    again = await anna("DELETE", at(project, f"/links/{made['link']['id']}"))
    refused(again, 404, "link_not_found")
    assert len(await rest.events("link.made")) == 2
    (event,) = await rest.events("link.revoked")
    assert event["detail"]["link"] == made["link"]["id"]


async def test_a_link_of_a_deleted_project_opens_nothing(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    token = (await linked(anna, project))["token"]
    await anna("DELETE", at(project))
    refused(await enter(rest, at(project), token), 401, "link_invalid")


@pytest.mark.parametrize("ended", ["disabled_at", "closed_at"])
async def test_a_link_opens_nothing_while_its_makers_account_is_barred(
    rest: Rest, ended: Literal["disabled_at", "closed_at"]
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "admin")
    his, hers = await linked(bert, project, role="editor"), await linked(anna, project)
    bars = f"UPDATE users SET {ended} = now() WHERE id = %s"
    await rest.run(bars, bert.user["id"])
    refused(await enter(rest, at(project), his["token"]), 401, "link_invalid")
    assert (await enter(rest, at(project), hers["token"])).status_code == 200
    # Rooms ask about those who are in already.
    both = [UUID(each["link"]["id"]) for each in (his, hers)]
    async with rest.services.database.connection() as tx:
        alive = await links.alive(tx, UUID(project["id"]), both, rest.services.now())
    assert alive == {both[1]: Role.VIEWER}
    await rest.run(f"UPDATE users SET {ended} = NULL")
    assert (await enter(rest, at(project), his["token"])).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"role": "admin"},
        {"role": "owner"},
        {"name": "x" * 101},
        {"name": "a\x00b"},
        {"expiresAt": "2001-01-01T00:00:00Z"},
        {"expiresAt": "2101-01-01T00:00:00"},
        {"expiresAt": "tomorrow"},
        {"token": "ssl_mine"},
    ],
)
async def test_a_wrong_link_is_refused(rest: Rest, fields: dict[str, object]) -> None:
    anna = await proven(rest)
    project = await anna.project()
    answer = await anna("POST", at(project, "/links"), json={"role": "viewer"} | fields)
    refused(answer, 422, "validation_failed")
    assert (await anna("GET", at(project, "/links"))).json()["items"] == []


async def test_sharing_is_for_admins_with_a_proven_address(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    body = {"role": "viewer"}
    refused(await anna("POST", at(project, "/links"), json=body), 403, "email_not_verified")
    await rest.run("UPDATE users SET email_verified_at = now()")
    made = await linked(anna, project)
    for role, status in (("admin", 201), ("editor", 403), ("viewer", 403)):
        person = await joined(rest, anna, project, role, **({} if role == "admin" else INVITES))
        assert (await person("POST", at(project, "/links"), json=body)).status_code == status
        assert (await person("GET", at(project, "/links"))).status_code in (200, status)
        if status == 403:
            refused(await person("GET", at(project, "/links")), 403, "not_allowed")
            gone = await person("DELETE", at(project, f"/links/{made['link']['id']}"))
            refused(gone, 403, "not_allowed")


INVITES = {"canInviteOthers": True}


async def test_a_project_has_only_so_many_links(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MOST", 2)
    anna = await proven(rest)
    project = await anna.project()
    made = [await linked(anna, project) for _ in range(2)]
    answer = await anna("POST", at(project, "/links"), json={"role": "viewer"})
    assert refused(answer, 409, "links_full")["most"] == 2
    await anna("DELETE", at(project, f"/links/{made[0]['link']['id']}"))
    await linked(anna, project)


def forgeries(token: str) -> list[str]:
    return [
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        token[:-1],
        token + "A",
        token[:26] + "A" * 42,  # the right id with another secret
        "ssl_" + token[4:].swapcase(),
        "ssl_",
        "ssl_" + "A" * 64,
        "ssl_" + "!" * 64,
        "ssl_' OR 1=1; --",
    ]


async def test_rooms_hear_at_once_that_the_maker_of_a_link_was_disabled(rest: Rest) -> None:
    anna, parts, heard = await proven(rest, "anna"), rest.services, list[object]()
    project = await anna.project()
    await linked(anna, project)
    await anna.project()
    parts.changes.listen(heard.append)
    on = users.Operation(parts.database, parts.identities, parts.changes, parts.passwords)
    await users.disable("anna")(on)
    assert [each for each in heard if isinstance(each, ProjectChanged)] == [
        ProjectChanged(UUID(project["id"]))
    ]


async def test_a_guessed_link_opens_nothing(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    token = (await linked(anna, project))["token"]
    for forged in forgeries(token):
        refused(await enter(rest, at(project), forged), 401, "link_invalid")
    assert (await enter(rest, at(project), token)).status_code == 200


async def test_a_key_makes_no_link_wider_than_itself(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    writing = await rest.key(anna, "write")
    for role in ("viewer", "editor"):
        answer = await writing("POST", at(project, "/links"), json={"role": role})
        refused(answer, 403, "not_allowed")
    managing = await rest.key(anna, "manage")
    await linked(managing, project, role="editor")
