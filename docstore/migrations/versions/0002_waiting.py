"""Journal rows that wait for others, and those that turned out to be of no use.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UPGRADE = """
-- `waiting`: the update is not, or not entirely, in the document: what it builds upon has not come.
-- `refused_at`: what it waited for came, and it could not be applied. It is kept, and not loaded.
ALTER TABLE journal
    ADD COLUMN waiting boolean NOT NULL DEFAULT false,
    ADD COLUMN refused_at timestamptz;
"""

DOWNGRADE = """
ALTER TABLE journal DROP COLUMN waiting, DROP COLUMN refused_at;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
