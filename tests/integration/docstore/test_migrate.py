"""Migrations on a real database: once, whole, and not over a newer one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from base.db import Database
from docstore import migrate, projects
from docstore.errors import ProjectNotFound, SchemaTooNew
from tests.integration.docstore import people

if TYPE_CHECKING:
    from collections.abc import Iterator


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


@pytest.fixture
def plain(empty_database_url: str) -> Iterator[tuple[psycopg.Connection, str]]:
    """An administrator's connection, and the URL of an owner of this database who is none."""
    with psycopg.connect(empty_database_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain")
        admin.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        name = sql.Identifier(admin.info.dbname)
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO plain").format(name))
        yield admin, make_conninfo(empty_database_url, user="plain", password="plain")
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(name))
        admin.execute("DROP OWNED BY plain CASCADE")
        admin.execute("DROP ROLE plain")


def test_an_owner_who_may_make_no_roles_is_told_what_an_administrator_says(
    plain: tuple[psycopg.Connection, str], database_url: str
) -> None:
    admin, url = plain
    # The role is there: `database_url` is another database of the same server.
    with pytest.raises(Exception, match="may not become it") as caught:
        migrate.upgrade(url)
    assert "GRANT syncsphere_member TO plain" in str(caught.value)
    admin.execute("GRANT syncsphere_member TO plain")
    assert migrate.upgrade(url) == list(migrate.revisions())


async def test_row_security_holds_for_an_owner_who_is_no_administrator(
    plain: tuple[psycopg.Connection, str], database_url: str
) -> None:
    admin, url = plain
    admin.execute("GRANT syncsphere_member TO plain")
    migrate.upgrade(url)
    database = await Database.open(url, size=1)
    project = await people.song(database)
    async with database.acting(project.owner_id) as tx:
        assert (await projects.get(tx, project.id)) == project
    async with database.acting(None) as tx:
        with pytest.raises(ProjectNotFound):
            await projects.get(tx, project.id)
    await database.close()


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
