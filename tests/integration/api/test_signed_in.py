"""Sessions seen and ended over REST: one's own, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from auth.changes import SessionsEnded
from base import ids

from .rest import refused
from .test_sessions import login, me, refresh, session_of, told

if TYPE_CHECKING:
    from .rest import Person, Rest


async def listed(person: Person) -> list[dict[str, Any]]:
    return (await person("GET", "/api/auth/sessions")).json()["items"]


async def test_a_list_shows_where_one_is_signed_in(rest: Rest) -> None:
    anna = await rest.person("anna")
    await rest.person("bert")
    rest.time.ahead = timedelta(minutes=2)
    await login(rest, agent="x" * 1000)
    here, other = await listed(anna)
    assert (here["current"], other["current"]) == (True, False)
    assert other["userAgent"] == "x" * 300
    assert UUID(here["id"]) == session_of(anna.token)
    assert here["ip"] == other["ip"] == "127.0.0.1"
    assert here["createdAt"] < here["lastUsedAt"] < here["expiresAt"]


async def test_the_address_is_not_what_a_header_says(rest: Rest) -> None:
    await rest.person("anna")
    headers = {"X-Forwarded-For": "192.0.2.66", "Forwarded": "for=192.0.2.66"}
    body = {"email": "anna@example.com", "password": "guess"}
    await rest.client.post("/api/auth/login", json=body, headers=headers)
    [event] = await rest.events("login.failed")
    assert event["ip"] == "127.0.0.1"


async def test_one_session_is_ended_from_another(rest: Rest) -> None:
    anna = await rest.person("anna")
    other, heard = (await login(rest)).json(), told(rest)
    session_id = session_of(other["token"])
    path = f"/api/auth/sessions/{session_id}"
    assert (await anna("DELETE", path)).status_code == 204
    assert heard == [SessionsEnded((session_id,))]
    refused(await me(rest, other["token"]), 401, "session_ended")
    refused(await refresh(rest, other["refreshToken"]), 401, "session_ended")
    refused(await anna("DELETE", path), 404, "session_not_found")
    [event] = await rest.events("session.revoked")
    assert event["detail"] == {"sessions": [str(session_id)]}


async def test_nobody_sees_or_ends_the_session_of_somebody_else(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    assert [each["id"] for each in await listed(bert)] == [str(session_of(bert.token))]
    paths = [f"/api/auth/sessions/{each}" for each in (session_of(anna.token), ids.new_id(), "x")]
    bodies = {(await bert("DELETE", path)).content for path in paths}
    assert len(bodies) == 1
    refused(await bert("DELETE", paths[0]), 404, "session_not_found")
    assert (await me(rest, anna.token)).status_code == 200


async def test_all_others_are_ended(rest: Rest) -> None:
    anna, bert = await rest.person("anna"), await rest.person("bert")
    others = [(await login(rest)).json()["token"] for _ in range(3)]
    assert (await anna("DELETE", "/api/auth/sessions")).status_code == 204
    for token in others:
        refused(await me(rest, token), 401, "session_ended")
    for token in (anna.token, bert.token):
        assert (await me(rest, token)).status_code == 200


async def test_a_logout_ends_the_session_and_is_told(rest: Rest) -> None:
    anna, heard = await rest.person("anna"), told(rest)
    assert (await anna("POST", "/api/auth/logout")).status_code == 204
    assert heard == [SessionsEnded((session_of(anna.token),))]
    refused(await refresh(rest, anna.refresh), 401, "session_ended")
    assert len(await rest.events("logout")) == 1


async def test_somebodys_hundred_and_first_session_ends_the_longest_unused(rest: Rest) -> None:
    anna = await rest.person("anna")
    for _ in range(99):
        await rest.services.identities.sign_in(
            UUID(anna.user["id"]), "anna", ip="203.0.113.9", agent="a program"
        )
    rest.time.ahead = timedelta(minutes=2)
    assert (await anna("GET", "/api/users/me")).status_code == 200  # used: no longer the oldest
    heard = told(rest)
    before = await listed(anna)
    assert (await login(rest)).status_code == 200
    left = await listed(anna)
    assert len(before) == len(left) == 100
    [gone] = {each["id"] for each in before} - {each["id"] for each in left}
    assert heard == [SessionsEnded((UUID(gone),))]
    assert gone == before[-1]["id"]
