"""REST as a test needs it: accounts, projects, snapshots.

Only what the end-to-end tests call. Every unexpected status raises with the server's answer.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

if TYPE_CHECKING:
    from types import TracebackType

PASSWORD = "seven silent cymbals in a van"
_numbers = itertools.count(1)


class User(msgspec.Struct, frozen=True):
    id: str
    username: str


class _Session(msgspec.Struct, frozen=True):
    token: str
    user: User


class Account(msgspec.Struct, frozen=True):
    """Somebody who is signed in."""

    user: User
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Project(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    name: str
    room_id: str


class RestError(AssertionError):
    """The server answered with another status than the test counted on."""


class Rest:
    """An HTTP client that knows the shapes of SyncSphere's answers."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=30)

    async def __aenter__(self) -> Rest:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def account(self, name: str = "player") -> Account:
        """Register somebody new and sign in."""
        unique = f"{name}{os.getpid()}x{next(_numbers)}"
        email = f"{unique}@band.example"
        body = {"email": email, "username": unique, "password": PASSWORD}
        _expect(await self._http.post("/api/auth/register", json=body), 201)
        return await self.login(email)

    async def login(self, email: str) -> Account:
        body = {"email": email, "password": PASSWORD}
        answer = _expect(await self._http.post("/api/auth/login", json=body), 200)
        session = msgspec.json.decode(answer.content, type=_Session)
        return Account(session.user, email, session.token)

    async def logout(self, account: Account) -> None:
        _expect(await self._http.post("/api/auth/logout", headers=account.headers), 204)

    async def call(
        self, method: str, path: str, who: Account, body: object = None, *, status: int = 200
    ) -> dict[str, Any]:
        """Any request in somebody's name; its JSON, if it has any."""
        answer = await self._http.request(method, path, json=body, headers=who.headers)
        content = _expect(answer, status).content
        return msgspec.json.decode(content, type=dict[str, Any]) if content else {}

    async def project(
        self, owner: Account, name: str = "Song", *, kind: str | None = None, public: bool = False
    ) -> Project:
        body: dict[str, object] = {"name": name, "isPublic": public}
        if kind is not None:
            body["kind"] = kind
        answer = await self._http.post("/api/projects", json=body, headers=owner.headers)
        return msgspec.json.decode(_expect(answer, 201).content, type=Project)

    async def delete(self, owner: Account, project: Project) -> None:
        answer = await self._http.delete(f"/api/projects/{project.id}", headers=owner.headers)
        assert answer.is_success, answer.text

    async def post_update(self, owner: Account, project: Project, update: bytes) -> httpx.Response:
        """The raw answer: several tests are about refusals."""
        return await self._http.post(
            f"/api/projects/{project.id}/updates",
            content=update,
            headers={**owner.headers, "Content-Type": "application/octet-stream"},
        )

    async def snapshot_update(self, reader: Account, project: Project) -> bytes:
        return (await self._snapshot(reader, project, "yjs")).content

    async def snapshot_json(self, reader: Account, project: Project) -> dict[str, object]:
        answer = await self._snapshot(reader, project, "json")
        return msgspec.json.decode(answer.content, type=dict[str, object])

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 when it has no sample yet."""
        text = _expect(await self._http.get("/metrics"), 200).text
        samples = (line.rpartition(" ") for line in text.splitlines() if line.startswith(name))
        return sum(float(value) for key, _, value in samples if key.partition("{")[0] == name)

    async def _snapshot(self, reader: Account, project: Project, wanted: str) -> httpx.Response:
        answer = await self._http.get(
            f"/api/projects/{project.id}/snapshot",
            params={"format": wanted},
            headers=reader.headers,
        )
        return _expect(answer, 200)


def _expect(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        request = answer.request
        raise RestError(
            f"{request.method} {request.url}: {answer.status_code} {answer.text[:2000]}"
        )
    return answer
