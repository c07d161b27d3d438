"""REST over a real database and a real Redis; only the rooms are stood in for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api import app, services, testing
from base import settings
from base.db import Database

from .rest import SECRET, Rest, Time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path
    from typing import LiteralString

    from base.redis import Redis
    from base.testing import Servers

# Emptying a database takes 2 ms, making one 300; these tests are many.
EMPTY: LiteralString = """
    DELETE FROM snapshots; DELETE FROM journal_segments; DELETE FROM journal;
    DELETE FROM documents; DELETE FROM projects; DELETE FROM audit_events; DELETE FROM users"""


@pytest.fixture(scope="session")
def shared_url(servers: Servers) -> Iterator[str]:
    """One database for all tests of REST."""
    name = servers.create()
    yield servers.database_url(name)
    servers.drop(name)


@pytest.fixture
async def rest(shared_url: str, redis: Redis, tmp_path: Path) -> AsyncGenerator[Rest]:
    """Everything, empty, with the cheapest passwords and a page that nobody has built."""
    database = await Database.open(shared_url, size=10)
    rooms, time = testing.FakeRooms(database), Time()
    async with database.connection() as tx:
        await tx.execute(EMPTY)
    made = services.assemble(
        settings=settings.Settings(
            data=tmp_path / "data",
            bcrypt_cost=4,
            max_frame_bytes=64 * 1024,
            rate_limit_per_minute=0,
            rate_limit_auth_per_minute=0,
        ),
        database=database,
        redis=redis,
        rooms=rooms,
        secret=SECRET,
        page=tmp_path / "page",
        now=time.now,
    )
    async with testing.client(app.build(made)) as client:
        yield Rest(made, client, rooms, time)
    await database.close()
