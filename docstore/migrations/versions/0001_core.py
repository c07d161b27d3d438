"""Users, projects, documents, the journal and what compaction makes of it.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# `users` belongs to auth, everything else to docstore.
UPGRADE = """
CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    username text NOT NULL,
    username_key text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    last_login_at timestamptz,
    disabled_at timestamptz
);

CREATE TABLE projects (
    id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES users,
    room_id text NOT NULL UNIQUE,
    name text NOT NULL,
    kind text NOT NULL,
    description text NOT NULL DEFAULT '',
    is_public boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
-- Ids are UUIDv7: by id is by age.
CREATE INDEX projects_of_owner ON projects (owner_id, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    branch text NOT NULL DEFAULT 'main',
    epoch bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    UNIQUE (project_id, branch)
);

-- No foreign key to documents: one update for a document that is gone must never stop the group
-- commit of all others. One index: every reader asks for one document.
CREATE TABLE journal (
    seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 64),
    document_id bigint NOT NULL,
    author uuid,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (document_id, seq)
);
-- Trying to compress each delta again costs more than it saves.
ALTER TABLE journal ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE TABLE journal_segments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    rows integer NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    authors uuid[] NOT NULL,
    client_ids bigint[] NOT NULL,
    body bytea NOT NULL,
    body_bytes bigint NOT NULL,
    created_at timestamptz NOT NULL
);
ALTER TABLE journal_segments ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX journal_segments_of_document ON journal_segments (document_id, id);

CREATE TABLE snapshots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    epoch bigint NOT NULL,
    state bytea NOT NULL,
    state_bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL
);
ALTER TABLE snapshots ALTER COLUMN state SET STORAGE EXTERNAL;
CREATE INDEX snapshots_of_document ON snapshots (document_id, id DESC);
"""

DOWNGRADE = """
DROP TABLE snapshots, journal_segments, journal, documents, projects, users;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
