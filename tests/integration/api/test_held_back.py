"""Bodies that are held back: whoever is nobody by the time they end can do nothing with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pycrdt
import pytest

from api import requests
from api.route import OCTETS

from .crew import at, joined, proven
from .rest import PASSWORD, refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from .rest import Person, Rest


class Held:
    """A request of which all but the first byte comes when the test says so."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.begun = anyio.Event()
        self.go_on = anyio.Event()
        self.answer: httpx.Response | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        yield self._content[:1]
        self.begun.set()
        await self.go_on.wait()
        await anyio.sleep(requests._SWIFT_SECONDS * 2)  # how long "held back" is
        yield self._content[1:]

    async def send(self, who: Person, path: str, kind: str) -> None:
        headers = {"Content-Type": kind}
        self.answer = await who("POST", path, headers=headers, content=self.parts())


@pytest.mark.parametrize("how", ["removed", "signed out"])
async def test_an_update_that_ends_after_its_author_went_is_not_taken(rest: Rest, how: str) -> None:
    owner = await proven(rest, "anna")
    project = await owner.project()
    editor = await joined(rest, owner, project, "editor")
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("takes", type=pycrdt.Map[int])["late"] = 1
    held = Held(doc.get_update())
    async with anyio.create_task_group() as group:
        group.start_soon(held.send, editor, at(project, "/updates"), OCTETS)
        await held.begun.wait()
        if how == "removed":
            path = at(project, f"/collaborators/{editor.user['id']}")
            assert (await owner("DELETE", path)).status_code == 204
        else:
            assert (await editor("POST", "/api/auth/logout")).status_code == 204
        held.go_on.set()
    assert held.answer is not None
    if how == "removed":
        refused(held.answer, 404, "project_not_found")
    else:
        refused(held.answer, 401, "session_ended")
    assert rest.rooms.applied == []


async def test_a_key_is_not_made_by_a_session_that_has_ended(rest: Rest) -> None:
    anna = await rest.person("anna")
    body = {"email": "anna@example.com", "password": PASSWORD}
    thief = (await rest.client.post("/api/auth/login", json=body)).json()["token"]
    held = Held(json.dumps({"name": "mine", "scopes": ["manage"]}).encode())
    stolen = type(anna)(rest.client, anna.user, thief)
    async with anyio.create_task_group() as group:
        group.start_soon(held.send, stolen, "/api/auth/keys", "application/json")
        await held.begun.wait()
        change = {"current": PASSWORD, "new": PASSWORD + "!"}
        assert (await anna("PUT", "/api/auth/password", json=change)).status_code == 204
        held.go_on.set()
    assert held.answer is not None
    refused(held.answer, 401, "session_ended")
    assert (await anna("GET", "/api/auth/keys")).json()["items"] == []


async def test_a_body_that_does_not_come_is_waited_for_no_longer_than_said(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "_CHUNK_SECONDS", 0.2)
    anna = await rest.person("anna")
    held = Held(b"{}")
    with anyio.fail_after(5):
        await held.send(anna, "/api/projects", "application/json")
    assert held.answer is not None
    refused(held.answer, 408, "body_too_slow")
