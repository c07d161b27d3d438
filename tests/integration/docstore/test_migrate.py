"""Migrations on a real database: once, whole, and not over a newer one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import bcrypt
import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from anyio import to_thread
from psycopg import sql
from psycopg.conninfo import make_conninfo

from auth import closing
from base import ids
from base.db import Database
from docstore import migrate, projects
from docstore.errors import ProjectNotFound, SchemaTooNew
from docstore.migrate import FOLDER
from tests.integration.docstore import people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString


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


def taken_down(database_url: str, to: str) -> None:
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
        command.downgrade(config, to)
        connection.commit()
    engine.dispose()


def test_the_schema_can_be_taken_down_again(database_url: str) -> None:
    taken_down(database_url, "base")
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert tables == [("alembic_version",)]


async def test_accounts_without_a_password_keep_what_they_own_in_the_older_schema(
    database_url: str,
) -> None:
    database = await Database.open(database_url, size=1)
    project = await people.song(database)
    async with database.transaction() as tx:
        await tx.execute(
            "UPDATE users SET password_hash = NULL, oauth_provider = 'oidc', oauth_id = 'anna'"
        )
        await tx.execute(
            "INSERT INTO project_collaborators VALUES (%s, %s, 'viewer', '{}', NULL, now(), now())",
            (project.id, await people.person(tx, "bert")),
        )
    await database.close()
    await to_thread.run_sync(taken_down, database_url, "0002")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT p.id, u.password_hash FROM projects p JOIN users u ON u.id = p.owner_id"
        ).fetchall()
    ((kept, hashed),) = rows
    assert kept == project.id
    # The older version asks bcrypt, which must neither stumble over it nor find a match.
    for guess in (b"", b"x", hashed.encode()):
        assert not bcrypt.checkpw(guess, hashed.encode())
    assert migrate.upgrade(database_url)[:3] == ["0003", "0004", "0005"]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (closing.FORGET_INVITATIONS, "project_invitations_of_inviter"),
        (closing.FORGET_LINKS, "project_links_of_maker"),
        (closing.FORGET_PLACES, "audit_events_from"),
        ("SELECT FROM audit_events WHERE actor_id = %s", "audit_events_of_actor"),
        # What a project's end asks for the foreign key's sake.
        ("SELECT FROM ONLY api_keys WHERE project_id = %s", "api_keys_of_project"),
    ],
)
def test_what_is_asked_about_one_person_has_an_index(
    database_url: str, statement: LiteralString, index: str
) -> None:
    with psycopg.connect(database_url) as connection:
        # Small tables are read whole otherwise.
        connection.execute("SET enable_seqscan = off")
        asked = [str(ids.new_id())] * statement.count("%s")
        plan = connection.execute("EXPLAIN " + statement, asked).fetchall()
    assert index in str(plan)
