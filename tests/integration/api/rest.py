"""A server's REST side as a test holds it: people, their projects, the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, LiteralString

from base import clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    import httpx

    from api import services, testing

SECRET = "the secret of all servers in these tests"
PASSWORD = "correct horse"

EVENTS: LiteralString = """
    SELECT user_id, actor_id, ip, user_agent, detail FROM audit_events WHERE kind = %s ORDER BY id"""


@dataclass
class Time:
    """The server's clock, which a test may move."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return clock.now() + self.ahead


@dataclass
class Rest:
    """A server's REST side and what a test may want to touch behind it."""

    services: services.Services
    client: httpx.AsyncClient
    rooms: testing.FakeRooms
    time: Time
    _people: int = field(default=0)

    async def person(self, name: str | None = None) -> Person:
        """Somebody registered and signed in."""
        self._people += 1
        name = name or f"person{self._people}"
        email = f"{name}@example.com"
        fields = {"email": email, "username": name, "password": PASSWORD}
        made = await self.client.post("/api/auth/register", json=fields)
        assert made.status_code == 201, made.text
        del fields["username"]
        signed_in = await self.client.post("/api/auth/login", json=fields)
        assert signed_in.status_code == 200, signed_in.text
        signed = signed_in.json()
        return Person(self.client, made.json()["user"], signed["token"], signed["refreshToken"])

    async def key(self, of: Person, *scopes: str, **fields: object) -> Person:
        """A program of somebody, with an API key."""
        body = {"name": "a program", "scopes": scopes or ("manage",)} | fields
        made = await of("POST", "/api/auth/keys", json=body)
        assert made.status_code == 201, made.text
        return Person(self.client, of.user, made.json()["token"])

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """What the audit log says of this kind, oldest first."""
        async with self.services.database.connection() as tx:
            cursor = await tx.execute(EVENTS, (kind,))
            found = await cursor.fetchall()
        names = ("user", "actor", "ip", "agent", "detail")
        return [dict(zip(names, row, strict=True)) for row in found]

    async def run(self, statement: LiteralString, *values: object) -> None:
        """SQL behind the server's back."""
        async with self.services.database.connection() as tx:
            await tx.execute(statement, values)


@dataclass
class Person:
    """Somebody with a token."""

    client: httpx.AsyncClient
    user: dict[str, Any]
    token: str
    refresh: str = ""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        json: object = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> httpx.Response:
        """One request in this person's name."""
        return await self.client.request(
            method,
            path,
            headers={"Authorization": f"Bearer {self.token}"} | (headers or {}),
            params=params,
            json=json,
            content=content,
        )

    async def project(self, **fields: object) -> dict[str, Any]:
        made = await self("POST", "/api/projects", json={"name": "Night drive"} | fields)
        assert made.status_code == 201, made.text
        return made.json()


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that a response must be."""
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()
