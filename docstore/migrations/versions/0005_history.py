"""History: commits, their parents, tags, and the states they keep.

Revision ID: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UPGRADE = """
-- A document is a branch. Its head is its newest commit; what was edited since is in the journal.
ALTER TABLE documents
    ADD COLUMN head uuid,
    ADD COLUMN protected boolean NOT NULL DEFAULT false,
    ADD COLUMN created_by uuid;

-- Full states as a chain of differences (docstore/history/chain.py). base_id: the state that this
-- one is stored against; without one it is whole. A state is kept once, however often committed.
CREATE TABLE states (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    number integer NOT NULL,
    base_id bigint,
    body bytea NOT NULL,
    state_bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (project_id, number),
    UNIQUE (project_id, sha256),
    UNIQUE (project_id, id)
);
ALTER TABLE states ALTER COLUMN body SET STORAGE EXTERNAL;
-- Nothing that others are stored against can be taken away, whatever housekeeping believes.
ALTER TABLE states ADD FOREIGN KEY (project_id, base_id) REFERENCES states (project_id, id)
    DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX states_by_base ON states (base_id) WHERE base_id IS NOT NULL;

-- Ids are UUIDv7, and a commit's is greater than its parents': by id is by age, and no commit
-- comes before one that it descends from. The author may be gone; the branch may be called
-- otherwise by now.
CREATE TABLE commits (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    branch text NOT NULL,
    author uuid NOT NULL,
    message text NOT NULL,
    created_at timestamptz NOT NULL,
    content_sha256 bytea NOT NULL,
    state_id bigint NOT NULL,
    changes jsonb NOT NULL,
    UNIQUE (project_id, id),
    FOREIGN KEY (project_id, state_id) REFERENCES states (project_id, id)
        DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX commits_by_state ON commits (state_id);

-- The project's id is repeated, so that no commit can descend from another project's.
CREATE TABLE commit_parents (
    project_id uuid NOT NULL,
    commit_id uuid NOT NULL,
    position smallint NOT NULL,
    parent_id uuid NOT NULL,
    PRIMARY KEY (commit_id, position),
    UNIQUE (commit_id, parent_id),
    CHECK (parent_id < commit_id),
    FOREIGN KEY (project_id, commit_id) REFERENCES commits (project_id, id) ON DELETE CASCADE,
    FOREIGN KEY (project_id, parent_id) REFERENCES commits (project_id, id)
        DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX commit_parents_by_parent ON commit_parents (parent_id);

CREATE TABLE tags (
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    name text NOT NULL,
    commit_id uuid NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, name),
    FOREIGN KEY (project_id, commit_id) REFERENCES commits (project_id, id)
        DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX tags_by_commit ON tags (commit_id);

ALTER TABLE documents ADD FOREIGN KEY (project_id, head) REFERENCES commits (project_id, id)
    DEFERRABLE INITIALLY DEFERRED;

-- What was committed stays what it was, whoever asks. Deleting is another matter (retention).
CREATE FUNCTION syncsphere_immutable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION '% cannot be changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER immutable BEFORE UPDATE ON commits
    FOR EACH ROW EXECUTE FUNCTION syncsphere_immutable();
CREATE TRIGGER immutable BEFORE UPDATE ON commit_parents
    FOR EACH ROW EXECUTE FUNCTION syncsphere_immutable();

-- Members may look; what is written is the server's own work, and states are nobody's to read.
ALTER TABLE commits ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON commits FOR SELECT TO syncsphere_member
    USING (syncsphere_role(project_id) IS NOT NULL);
GRANT SELECT ON commits TO syncsphere_member;
ALTER TABLE commit_parents ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON commit_parents FOR SELECT TO syncsphere_member
    USING (syncsphere_role(project_id) IS NOT NULL);
GRANT SELECT ON commit_parents TO syncsphere_member;
ALTER TABLE tags ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON tags FOR SELECT TO syncsphere_member
    USING (syncsphere_role(project_id) IS NOT NULL);
GRANT SELECT ON tags TO syncsphere_member;
ALTER TABLE states ENABLE ROW LEVEL SECURITY;
"""

DOWNGRADE = """
ALTER TABLE documents DROP COLUMN head, DROP COLUMN protected, DROP COLUMN created_by;
DROP TABLE tags, commit_parents, commits, states;
DROP FUNCTION syncsphere_immutable;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
