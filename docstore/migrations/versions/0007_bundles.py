"""Bundles: projects written down as files, numbered, kept in parts.

Revision ID: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UPGRADE = """
-- commit_id: what it was made of; none: what its branch said at that moment. content_sha256 is of
-- what the document says (docstore/history/content.py), sha256 of the file. people: whether the
-- authors of commits are named in it.
CREATE TABLE project_bundles (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    version integer NOT NULL,
    branch text NOT NULL,
    commit_id uuid,
    kind text NOT NULL CHECK (kind IN ('odb', 'zip')),
    filename text NOT NULL,
    bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    content_sha256 bytea NOT NULL,
    note text NOT NULL,
    created_by uuid NOT NULL,
    people boolean NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (project_id, version),
    FOREIGN KEY (project_id, commit_id) REFERENCES commits (project_id, id)
        DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX project_bundles_by_commit ON project_bundles (commit_id)
    WHERE commit_id IS NOT NULL;

-- A version that was given out is not given out again, also when its bundle was deleted.
ALTER TABLE projects ADD COLUMN last_bundle integer NOT NULL DEFAULT 0;

-- 256 KiB each but for the last, numbered from 0 on, so that any range is read without the rest.
-- The files are compressed already.
CREATE TABLE bundle_parts (
    bundle_id uuid NOT NULL REFERENCES project_bundles ON DELETE CASCADE,
    number integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (bundle_id, number)
);
ALTER TABLE bundle_parts ALTER COLUMN body SET STORAGE EXTERNAL;

-- Members may see which there are; what is in them is handed out by the server.
ALTER TABLE project_bundles ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON project_bundles FOR SELECT TO syncsphere_member
    USING (syncsphere_role(project_id) IS NOT NULL);
GRANT SELECT ON project_bundles TO syncsphere_member;
ALTER TABLE bundle_parts ENABLE ROW LEVEL SECURITY;
"""

DOWNGRADE = """
DROP TABLE bundle_parts, project_bundles;
ALTER TABLE projects DROP COLUMN last_bundle;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
