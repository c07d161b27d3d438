"""What was taken back, so that taking back the same again does not bring back what is there already.

And when a branch was moved forward to a commit of another one, which is older than that.

Revision ID: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UPGRADE = """
-- client_id: whose operations did it; in the journal by that, or it never came to be. author, since,
-- until: whose rows of when (nobody named: everybody's; no beginning: all). entities: paths, as in
-- addresses; none: everything.
CREATE TABLE rollbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    client_id bigint NOT NULL,
    author uuid,
    since timestamptz,
    until timestamptz NOT NULL,
    entities text[],
    created_at timestamptz NOT NULL
);
CREATE INDEX rollbacks_of_document ON rollbacks (document_id, id);
ALTER TABLE rollbacks ENABLE ROW LEVEL SECURITY;

CREATE TABLE fast_forwards (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    commit_id uuid NOT NULL REFERENCES commits ON DELETE CASCADE,
    created_at timestamptz NOT NULL
);
CREATE INDEX fast_forwards_of_document ON fast_forwards (document_id, created_at);
CREATE INDEX fast_forwards_of_commit ON fast_forwards (commit_id);
ALTER TABLE fast_forwards ENABLE ROW LEVEL SECURITY;
"""

DOWNGRADE = "DROP TABLE fast_forwards; DROP TABLE rollbacks;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
