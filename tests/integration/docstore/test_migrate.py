"""Migrations on a real database: once, whole, and not over a newer one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from docstore import migrate
from docstore.errors import SchemaTooNew


def test_an_empty_database_is_brought_to_the_newest_schema(empty_database_url: str) -> None:
    assert migrate.current(empty_database_url) is None
    assert migrate.upgrade(empty_database_url) == list(migrate.revisions())
    assert migrate.current(empty_database_url) == migrate.head()


def test_a_second_time_there_is_nothing_to_do(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    assert migrate.upgrade(empty_database_url) == []


def test_of_several_that_start_at_once_one_migrates(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(migrate.upgrade, [empty_database_url] * 4))
    assert sorted(applied) == [[], [], [], list(migrate.revisions())]


def test_a_migration_that_fails_leaves_nothing_behind(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE snapshots ()")  # in the way of the last statements
        with pytest.raises(Exception, match="already exists"):
            migrate.upgrade(empty_database_url)
        assert migrate.current(empty_database_url) is None
        found = connection.execute("SELECT to_regclass('users')").fetchone()
        assert found == (None,)
        connection.execute("DROP TABLE snapshots")
    assert migrate.upgrade(empty_database_url) == list(migrate.revisions())


def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew) as caught:
        migrate.upgrade(database_url)
    assert caught.value.data == {"found": "9999", "known": migrate.head()}


def test_the_schema_can_be_taken_down_again(database_url: str) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    from docstore.migrate import FOLDER

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url),
        poolclass=sqlalchemy.NullPool,
    )
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
    engine.dispose()
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert tables == [("alembic_version",)]
