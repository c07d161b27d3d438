"""Bring a database to the newest schema, once, whoever starts first.

Several processes may start at the same instant: an advisory lock lets one migrate and the others
find it done. Synchronous, for the start of the process. Alembic (and SQLAlchemy under it) is
loaded only when there is something to do, which spares every ordinary start its memory and time.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg

from base import db
from docstore.errors import SchemaTooNew, SchemaTooOld

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

FOLDER: Final = Path(__file__).parent / "migrations"

_LOCK: Final = 0x5359_4E43_0001
"""Of this project and this purpose; any number that nobody else locks."""

LOCK: LiteralString = "SELECT pg_advisory_lock(%s)"

TABLE: LiteralString = "SELECT to_regclass('alembic_version') IS NOT NULL"

VERSION: LiteralString = "SELECT version_num FROM alembic_version"

_FILE: Final = re.compile(r"(\d{4})_\w+\.py")


@cache
def revisions() -> tuple[str, ...]:
    """Every revision of the code, oldest first: the numbers that the files' names begin with."""
    found = (_FILE.fullmatch(path.name) for path in (FOLDER / "versions").iterdir())
    return tuple(sorted(match[1] for match in found if match))


def head() -> str:
    """The newest revision of the code."""
    return revisions()[-1]


def current(url: str) -> str | None:
    """The revision that the database is at; None when it has never been migrated."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        return _current(connection)


def upgrade(url: str) -> list[str]:
    """Apply what is missing, all of it or nothing; the revisions applied, oldest first.

    Waits for another process that is migrating. Raises SchemaTooNew for a database that a newer
    version has been at, db.DatabaseUnavailable where none can be reached.
    """
    with _connected(url) as guard:
        # Held by the session: a process that dies lets go of it.
        guard.execute(LOCK, (_LOCK,))
        at = _current(guard)
        if at is not None and at not in revisions():
            raise SchemaTooNew(found=at, known=head())
        missing = [revision for revision in revisions() if at is None or revision > at]
        if missing:
            _run(url)
        return missing


def check(url: str) -> None:
    """Whether a database, which is left as it is, fits the code.

    Raises SchemaTooOld, SchemaTooNew, db.DatabaseUnavailable.
    """
    with _connected(url) as connection:
        at = _current(connection)
    if at is None or (at in revisions() and at < head()):
        raise SchemaTooOld(found=at, known=head())
    if at != head():
        raise SchemaTooNew(found=at, known=head())


def _connected(url: str) -> Connection[TupleRow]:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.Error as error:
        raise db.unreachable(url, error) from error


def _current(connection: Connection[TupleRow]) -> str | None:
    known = connection.execute(TABLE).fetchone()
    if known is None or not known[0]:
        return None
    row = connection.execute(VERSION).fetchone()
    return None if row is None else str(row[0])


def _run(url: str) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    # A creator, because SQLAlchemy reads URLs in its own way and libpq's has more in it.
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, connect_timeout=10),
        poolclass=sqlalchemy.NullPool,
    )
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()
