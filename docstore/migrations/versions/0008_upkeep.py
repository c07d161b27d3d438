"""What housekeeping remembers: thinned segments, and projects that have something to give up.

Revision ID: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UPGRADE = """
-- thinned_at: when rows of one author within one hour were made one; nothing is left to thin then.
ALTER TABLE journal_segments ADD COLUMN thinned_at timestamptz;
CREATE INDEX journal_segments_to_thin ON journal_segments (to_time) WHERE thinned_at IS NULL;

-- not_thinned_before: what a journal was to be thinned up to when that could not be done; it is
-- tried again the day after.
ALTER TABLE documents ADD COLUMN not_thinned_before timestamptz;

-- loose_from: how old the oldest commit or state is that nothing leads to (-infinity: to be looked
-- at). Nothing is looked at for which this is not older than what is kept anyway.
ALTER TABLE projects ADD COLUMN loose_from timestamptz;
UPDATE projects SET loose_from = '-infinity';
CREATE INDEX projects_loose ON projects (loose_from) WHERE loose_from IS NOT NULL;
CREATE INDEX projects_deleted ON projects (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX documents_deleted ON documents (deleted_at) WHERE deleted_at IS NOT NULL;
-- Also for who deletes a commit or a project, and must know what leads there.
CREATE INDEX documents_by_head ON documents (project_id, head);

-- Without a condition: a row that housekeeping has in hand is waited for, and then marked again.
CREATE FUNCTION syncsphere_loosened() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE projects SET loose_from = '-infinity' WHERE id = OLD.project_id;
    RETURN NULL;
END $$;
CREATE TRIGGER loosened AFTER DELETE ON tags
    FOR EACH ROW EXECUTE FUNCTION syncsphere_loosened();
CREATE TRIGGER loosened AFTER DELETE ON project_bundles
    FOR EACH ROW WHEN (OLD.commit_id IS NOT NULL) EXECUTE FUNCTION syncsphere_loosened();
CREATE TRIGGER loosened AFTER DELETE ON documents
    FOR EACH ROW EXECUTE FUNCTION syncsphere_loosened();
CREATE TRIGGER rebased AFTER UPDATE OF base_state_id, fork_state_id, origin_commit ON documents
    FOR EACH ROW WHEN (OLD.base_state_id <> coalesce(NEW.base_state_id, 0)
        OR OLD.fork_state_id <> coalesce(NEW.fork_state_id, 0)
        OR OLD.origin_commit IS NOT NULL AND OLD.origin_commit IS DISTINCT FROM NEW.origin_commit)
    EXECUTE FUNCTION syncsphere_loosened();

-- A head that moves on to a commit on top of it, as every commit moves it, lets go of nothing.
CREATE FUNCTION syncsphere_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM commit_parents
                   WHERE commit_id = NEW.head AND parent_id = OLD.head) THEN
        UPDATE projects SET loose_from = '-infinity' WHERE id = OLD.project_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER moved AFTER UPDATE OF head ON documents
    FOR EACH ROW WHEN (OLD.head IS NOT NULL AND NEW.head IS DISTINCT FROM OLD.head)
    EXECUTE FUNCTION syncsphere_moved();
"""

DOWNGRADE = """
DROP TRIGGER moved ON documents;
DROP TRIGGER rebased ON documents;
DROP TRIGGER loosened ON documents;
DROP TRIGGER loosened ON project_bundles;
DROP TRIGGER loosened ON tags;
DROP FUNCTION syncsphere_moved;
DROP FUNCTION syncsphere_loosened;
DROP INDEX documents_by_head, documents_deleted, projects_deleted, projects_loose;
ALTER TABLE projects DROP COLUMN loose_from;
ALTER TABLE documents DROP COLUMN not_thinned_before;
DROP INDEX journal_segments_to_thin;
ALTER TABLE journal_segments DROP COLUMN thinned_at;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
