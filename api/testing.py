"""For tests of REST: rooms that live in a dictionary, and a client that checks every answer.

The rooms are the only part of REST's surroundings that is faked; the database, Redis and the
hashing of passwords are real in its tests.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any, cast

import httpx
from openapi_schema_validator import OAS31Validator
from pycrdt import Doc

from api import openapi, ports
from api.routes import ROUTES
from docstore import documents
from docstore.live import Difference

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from uuid import UUID

    from starlette.types import ASGIApp

    from base.db import Database


class FakeRooms:
    """LiveRooms in memory, where everything applied is durable at once.

    Documents begin with their stored snapshot, as branches have one, or empty. refuse: raised by
    the next calls of `snapshot` and `apply`, when set.
    """

    def __init__(self, database: Database | None = None) -> None:
        self.database = database
        self.documents: dict[int, Doc[Any]] = {}
        self.applied: list[tuple[int, UUID | None]] = []
        self.refuse: Exception | None = None

    async def snapshot(self, document_id: int) -> bytes:
        """As the port says."""
        self._refuse()
        return (await self._document(document_id)).get_update()

    async def diff(self, document_id: int, state_vector: bytes) -> Difference:
        """As the port says."""
        self._refuse()
        document = await self._document(document_id)
        return Difference(document.get_update(state_vector), document.get_state(), document_id)

    async def apply(self, document_id: int, update: bytes, author: UUID | None) -> ports.Applied:
        """As the port says; nothing is ever pending here."""
        self._refuse()
        document = await self._document(document_id)
        before = document.get_update()
        try:
            document.apply_update(update)
        except ValueError as wrong:
            raise ports.MalformedUpdate from wrong
        self.applied.append((document_id, author))
        return ports.Applied(changed=document.get_update() != before, pending=False)

    @contextlib.asynccontextmanager
    async def held(
        self, document_ids: Sequence[int], *, code: int, reason: str
    ) -> AsyncGenerator[None]:
        """As the port says: what was said here is stored, and read again afterwards."""
        assert self.database is not None, "documents that are to be replaced are stored"
        async with self.database.connection() as tx:
            for document_id in document_ids:
                state = (await self._document(document_id)).get_update()
                await tx.execute(
                    "INSERT INTO journal (document_id, payload, created_at) VALUES (%s, %s, now())",
                    (document_id, state),
                )
        yield
        for document_id in document_ids:
            del self.documents[document_id]

    def statistics(self) -> ports.LiveStatistics:
        """As the port says."""
        return ports.LiveStatistics(rooms=len(self.documents), connections=0)

    async def _document(self, document_id: int) -> Doc[Any]:
        if document_id not in self.documents:
            opened: Doc[Any] = Doc()
            if self.database is not None:
                async with self.database.connection() as tx:
                    stored = await documents.load(tx, document_id)
                if stored.snapshot is not None:
                    opened.apply_update(stored.snapshot)
            self.documents.setdefault(document_id, opened)
        return self.documents[document_id]

    def _refuse(self) -> None:
        if self.refuse is not None:
            raise self.refuse


def client(app: ASGIApp) -> httpx.AsyncClient:
    """A client of the application in this process that holds every answer against OpenAPI."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://syncsphere.test",
        event_hooks={"response": [_documented]},
    )


_DOCUMENT = cast("dict[str, Any]", json.loads(json.dumps(openapi.document(ROUTES, version="0"))))


async def _documented(response: httpx.Response) -> None:
    """Fail when a route answers what its description does not say."""
    operation = _operation(response.request)
    if operation is None or response.status_code == 405:
        return
    await response.aread()
    described = operation["responses"].get(str(response.status_code))
    if described is None:
        raise AssertionError(f"{response.request.url.path}: {response.status_code} is undescribed")
    kind = response.headers.get("content-type", "").partition(";")[0]
    content = described.get("content", {})
    if kind not in content and (content or response.content):
        raise AssertionError(f"{response.request.url.path}: {kind} is undescribed")
    if kind.endswith("json") and response.content and response.request.method != "HEAD":
        schema = content[kind]["schema"] | {"components": _DOCUMENT["components"]}
        OAS31Validator(schema).validate(response.json())


def _operation(request: httpx.Request) -> dict[str, Any] | None:
    for path, methods in _DOCUMENT["paths"].items():
        pattern = re.sub(r"{\w+}", "[^/]+", path.replace("{name}", ".*"))
        if re.fullmatch(pattern, request.url.path):
            return methods.get(request.method.lower())
    return None
