"""Branches as documents of their own, where each begins, and squashes.

Revision ID: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UPGRADE = """
-- A branch that was deleted keeps what it holds for as long as retention says, and gives its name
-- back. base_state_id: the state that its journal begins with (none: nothing), which was true at
-- base_at; pruning moves it on. origin_*: what it was branched from, which may be gone by now.
-- fork_state_id: what it began with, where a squash has put something else in base_state_id.
-- lineage: documents of one share their operations and are merged by union; others by content.
ALTER TABLE documents
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN base_state_id bigint,
    ADD COLUMN base_at timestamptz,
    ADD COLUMN origin_id bigint,
    ADD COLUMN origin_commit uuid,
    ADD COLUMN fork_state_id bigint,
    ADD COLUMN lineage integer NOT NULL DEFAULT 1,
    DROP CONSTRAINT documents_project_id_branch_key,
    ADD FOREIGN KEY (project_id, base_state_id) REFERENCES states (project_id, id)
        DEFERRABLE INITIALLY DEFERRED,
    ADD FOREIGN KEY (project_id, fork_state_id) REFERENCES states (project_id, id)
        DEFERRABLE INITIALLY DEFERRED;
CREATE UNIQUE INDEX documents_of_project ON documents (project_id, branch)
    WHERE deleted_at IS NULL;
CREATE INDEX documents_by_base ON documents (base_state_id) WHERE base_state_id IS NOT NULL;
CREATE INDEX documents_by_fork ON documents (fork_state_id) WHERE fork_state_id IS NOT NULL;

-- Of a project: the last number that was given. Of a state: whose operations it holds.
ALTER TABLE projects ADD COLUMN lineage integer NOT NULL DEFAULT 1;
ALTER TABLE states ADD COLUMN lineage integer NOT NULL DEFAULT 1;

-- client_ids: the Yjs clients that had written before. Whoever still knows one of them knows the
-- document from before, and must begin anew. lineage: the first of those that the squash began;
-- what is of an older one is retired.
CREATE TABLE squashes (
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    lineage integer NOT NULL,
    client_ids bigint[] NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, lineage)
);
ALTER TABLE squashes ENABLE ROW LEVEL SECURITY;
"""

DOWNGRADE = """
DROP TABLE squashes;
ALTER TABLE states DROP COLUMN lineage;
ALTER TABLE projects DROP COLUMN lineage;
-- Only main was reachable before, and a name was there once.
DELETE FROM journal WHERE document_id IN (SELECT id FROM documents WHERE deleted_at IS NOT NULL);
DELETE FROM documents WHERE deleted_at IS NOT NULL;
DROP INDEX documents_of_project, documents_by_base, documents_by_fork;
ALTER TABLE documents
    DROP COLUMN deleted_at, DROP COLUMN base_state_id, DROP COLUMN base_at,
    DROP COLUMN origin_id, DROP COLUMN origin_commit, DROP COLUMN fork_state_id,
    DROP COLUMN lineage,
    ADD CONSTRAINT documents_project_id_branch_key UNIQUE (project_id, branch);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
