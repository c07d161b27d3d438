"""What Alembic runs to reach the database; `docstore/migrate.py` opens the connection.

Alembic loads this file by its path. There is no offline mode and no autogeneration: revisions are
SQL written by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from alembic import context

if TYPE_CHECKING:
    from sqlalchemy import Connection

connection = cast("Connection", context.config.attributes["connection"])
context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
