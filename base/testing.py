"""Fixtures for every test: real servers, a fresh database per test, an empty Redis.

One PostgreSQL and one Redis run per test session. The first test that wants a database has the
schema made once, as a template; each test then gets a copy of its own. Who knows the schema
(`docstore`) is above this package, so `tests/conftest.py` gives the function that makes it.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

import base.redis
from base import db, embedded

if TYPE_CHECKING:
    from typing import LiteralString

Migrate = Callable[[str], object]
"""Brings the database at a URL to the newest schema."""

_TEMPLATE = "template_of_tests"


class Servers:
    """A PostgreSQL and a Redis for the tests of one session."""

    def __init__(self, folder: Path, migrate: Migrate) -> None:
        self._postgres = embedded.EmbeddedPostgres(folder)
        self._redis = embedded.EmbeddedRedis(folder)
        self._migrate = migrate
        self._migrated = False
        self._numbers = itertools.count(1)
        self.redis_url = ""

    def start(self) -> None:
        """Start both; under a second and a half."""
        self._postgres.start()
        # Nothing here has to outlive a power cut, and each test makes a database: a quarter faster.
        for setting in ("fsync", "full_page_writes"):
            self._run("ALTER SYSTEM SET {} = off", setting)
        self._run("SELECT pg_reload_conf()")
        self.redis_url = self._redis.start()

    def stop(self) -> None:
        """Stop both."""
        self._redis.stop()
        self._postgres.stop()

    def database_url(self, name: str) -> str:
        """Where a database of this name is or would be."""
        return self._postgres.url.replace("@/syncsphere?", f"@/{name}?")

    def create(self, *, empty: bool = False) -> str:
        """The name of a new database: with the schema, or without anything."""
        name = f"test_{next(self._numbers)}"
        if empty:
            self._run("CREATE DATABASE {}", name)
            return name
        if not self._migrated:
            self._run("CREATE DATABASE {}", _TEMPLATE)
            self._migrate(self.database_url(_TEMPLATE))
            self._migrated = True
        self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, _TEMPLATE)
        return name

    def drop(self, name: str) -> None:
        """Take a database away, together with connections that a test has forgotten."""
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _run(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def servers(migrate: Migrate) -> Iterator[Servers]:
    """The session's PostgreSQL and Redis, started when the first test asks."""
    # Not under pytest's tmp_path: its names are long, and other accounts cannot pass through.
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-test-"))
    running = Servers(folder, migrate)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """A database of this test's own, with the schema."""
    name = servers.create()
    yield servers.database_url(name)
    servers.drop(name)


@pytest.fixture
def empty_database_url(servers: Servers) -> Iterator[str]:
    """A database of this test's own, without any table."""
    name = servers.create(empty=True)
    yield servers.database_url(name)
    servers.drop(name)


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[db.Database]:
    """The pool over this test's own database."""
    opened = await db.Database.open(database_url, size=10)
    yield opened
    await opened.close()


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """The session's Redis; use the `redis` fixture for an empty one."""
    return servers.redis_url


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[base.redis.Redis]:
    """Redis with nothing in it."""
    connected = await base.redis.Redis.connect(redis_url)
    await connected.client.flushall()  # pyright: ignore[reportUnknownMemberType] (library leaves **kwargs untyped)
    yield connected
    await connected.close()
