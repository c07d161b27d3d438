"""REST with real rooms behind it: what is edited is journaled, and can be told again. Not a test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pycrdt import Doc, Map

from api import app, services, testing
from api.route import OCTETS
from base import settings, tasks
from docstore import compaction, journal
from syncserver import hub

from .crew import at
from .rest import SECRET, Rest, Time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from base.db import Database
    from base.redis import Redis

    from .rest import Person

STEMS = "stems"


@asynccontextmanager
async def lived(database: Database, redis: Redis, page: Path) -> AsyncGenerator[Rest]:
    """A server's REST side with rooms and a journal."""
    owner, time = tasks.Tasks(), Time()
    given = settings.Settings.load(
        {}, bcrypt_cost=4, rate_limit_per_minute=0, rate_limit_auth_per_minute=0
    )
    writer = journal.Journal(database.url, linger=0.0)
    rooms = hub.Hub(settings=given, database=database, writer=writer, owner=owner)
    made = services.assemble(
        settings=given,
        database=database,
        redis=redis,
        rooms=rooms,
        secret=SECRET,
        page=page,
        now=time.now,
    )
    owner.spawn("journal", writer.run())
    try:
        async with testing.client(app.build(made)) as client:
            yield Rest(made, client, rooms, time)  # pyright: ignore[reportArgumentType] (real ones)
    finally:
        await rooms.aclose()
        await owner.aclose()


async def edit(
    who: Person, project: dict[str, Any], change: Callable[[Doc[Any]], object], branch: str = "main"
) -> None:
    """One change of the live document."""
    doc: Doc[Any] = Doc()
    suffix = "" if branch == "main" else f"?branch={branch}"
    doc.apply_update((await who("GET", at(project, "/snapshot" + suffix))).content)
    before = doc.get_state()
    with doc.transaction():
        change(doc)
    headers = {"Content-Type": OCTETS}
    path = at(project, "/updates" + suffix)
    done = await who("POST", path, content=doc.get_update(before), headers=headers)
    assert done.status_code == 200, done.text


def stem(key: str, **values: object) -> Callable[[Doc[Any]], object]:
    """Put a stem there, or change one."""

    def change(doc: Doc[Any]) -> None:
        stems = doc.get(STEMS, type=Map[Any])
        if key in stems:
            stems[key].update(values)
        else:
            stems[key] = Map(values)

    return change


def removed(key: str) -> Callable[[Doc[Any]], object]:
    return lambda doc: doc.get(STEMS, type=Map[Any]).pop(key)


async def stems(who: Person, project: dict[str, Any]) -> dict[str, Any]:
    """What the live document says of stems."""
    found = await who("GET", at(project, "/snapshot?format=json"))
    return found.json().get(STEMS, {})


async def compacted(rest: Rest) -> None:
    """What was journaled so far in segments."""
    async with rest.services.database.connection() as tx:
        ids = await (await tx.execute("SELECT id FROM documents")).fetchall()
    for (document_id,) in ids:
        await compaction.compact(rest.services.database, document_id)
