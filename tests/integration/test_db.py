"""The pool: transactions, and what a user is told while PostgreSQL is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from base import db
from base.db import Database, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from base.testing import Servers


@pytest.fixture
async def database(empty_database_url: str) -> AsyncGenerator[Database]:
    opened = await Database.open(empty_database_url, size=2)
    async with opened.connection() as connection:
        await connection.execute("CREATE TABLE words (word text PRIMARY KEY)")
    yield opened
    await opened.close()


async def _words(database: Database) -> list[str]:
    async with database.connection() as connection:
        rows = await connection.execute("SELECT word FROM words ORDER BY word")
        return [row[0] for row in await rows.fetchall()]


async def test_a_transaction_commits_at_its_end(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO words VALUES ('a')")
        assert await _words(database) == []
    assert await _words(database) == ["a"]


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:

    async def fail() -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO words VALUES ('a')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await _words(database) == []


async def test_a_wrong_statement_is_our_mistake_not_the_databases(database: Database) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO words VALUES ('a'), ('a')")
    with pytest.raises(psycopg.errors.SyntaxError):
        async with database.connection() as connection:
            await connection.execute("SELEC")


async def test_a_connection_cut_in_use_is_unavailable_and_the_next_one_works(
    database: Database,
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.connection() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await _words(database) == []


async def test_a_connection_cut_while_idle_is_replaced_unseen(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert await _words(database) == []


async def test_a_database_that_is_not_there_shows_at_the_start(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "CONNECT_SECONDS", 0.5)
    with pytest.raises(DatabaseUnavailable, match="SYNCSPHERE_DATABASE_URL"):
        await Database.open(servers.database_url("nowhere"), size=1)
