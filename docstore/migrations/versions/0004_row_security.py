"""Row-level security: the second lock on what belongs to people.

What REST does for somebody runs as the role `syncsphere_member`, with `syncsphere.user` set to who
asks (`base.db.Database.acting`). These policies hold even where a query forgets to. The server's
own work (signing in, the journal, rooms, housekeeping) runs as the tables' owner, whom they do not
bind.

Revision ID: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UPGRADE = """
-- Roles belong to the whole PostgreSQL server: another database may have made this one, or is
-- making it now.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'syncsphere_member') THEN
        CREATE ROLE syncsphere_member NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'SyncSphere needs a role for row-level security, and % may not create it',
            current_user
            USING HINT = 'As an administrator: CREATE ROLE syncsphere_member NOLOGIN; '
                'GRANT syncsphere_member TO ' || quote_ident(current_user);
END $$;
DO $$ BEGIN
    IF NOT pg_has_role(current_user, 'syncsphere_member', 'SET') THEN
        EXECUTE 'GRANT syncsphere_member TO ' || quote_ident(current_user);
    END IF;
EXCEPTION
    -- Two databases of one server, migrated at the same instant.
    WHEN unique_violation OR internal_error THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'SyncSphere needs a role for row-level security, and % may not become it',
            current_user
            USING HINT = 'As an administrator: GRANT syncsphere_member TO '
                || quote_ident(current_user);
END $$;
DO $$ BEGIN
    EXECUTE 'GRANT USAGE ON SCHEMA ' || quote_ident(current_schema()) || ' TO syncsphere_member';
END $$;

CREATE FUNCTION syncsphere_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT nullif(current_setting('syncsphere.user', true), '')::uuid $$;

-- The project that a share link opens for who asks.
CREATE FUNCTION syncsphere_linked() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT nullif(current_setting('syncsphere.link', true), '')::uuid $$;

-- Runs as its owner: policies ask it, and it must not be asked by policies again.
CREATE FUNCTION syncsphere_role(project uuid) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS
    $$ SELECT CASE
           WHEN p.owner_id = syncsphere_user() THEN 'owner'
           ELSE coalesce(
               (SELECT c.role FROM project_collaborators c
                WHERE c.project_id = p.id AND c.user_id = syncsphere_user()),
               CASE WHEN p.is_public OR p.guest_role <> 'none' OR p.id = syncsphere_linked()
                   THEN 'guest' END)
       END
       FROM projects p WHERE p.id = project AND p.deleted_at IS NULL $$;

CREATE FUNCTION syncsphere_owner(project uuid) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS
    $$ SELECT owner_id FROM projects WHERE id = project $$;

-- Whether who asks may give this role in a project: the upper bound of what the application allows.
CREATE FUNCTION syncsphere_gives(project uuid, given text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS
    $$ SELECT CASE syncsphere_role(project)
           WHEN 'owner' THEN true
           WHEN 'admin' THEN given IN ('editor', 'viewer')
           WHEN 'guest' THEN false
           ELSE coalesce((SELECT c.fine ->> 'can_invite_others' = 'true'
                   AND (given = 'viewer' OR given = 'editor' AND c.role = 'editor')
               FROM project_collaborators c JOIN projects p ON p.id = c.project_id
               WHERE c.project_id = project AND c.user_id = syncsphere_user()
                   AND p.deleted_at IS NULL), false)
       END $$;

-- Whether who asks may change or take away a collaborator who has this role.
CREATE FUNCTION syncsphere_manages(project uuid, held text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS
    $$ SELECT CASE syncsphere_role(project)
           WHEN 'owner' THEN true
           WHEN 'admin' THEN held IN ('editor', 'viewer')
           ELSE false
       END $$;

-- Collaborators and invitations, also those that who asks may not see.
CREATE FUNCTION syncsphere_crowd(project uuid) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS
    $$ SELECT (SELECT count(*) FROM project_collaborators WHERE project_id = project)
           + (SELECT count(*) FROM project_invitations WHERE project_id = project) $$;

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON users FOR ALL TO syncsphere_member
    USING (id = syncsphere_user()) WITH CHECK (id = syncsphere_user());
-- Not the hash of the password. Whether one is an administrator is there to read, not to change.
GRANT SELECT (id, email, username, username_key, display_name, avatar_url, bio, email_verified_at,
        is_admin, oauth_provider, created_at, updated_at, last_login_at, disabled_at, closed_at),
    UPDATE (username, username_key, display_name, avatar_url, bio, updated_at)
    ON users TO syncsphere_member;
GRANT SELECT ON people TO syncsphere_member;

ALTER TABLE user_preferences ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON user_preferences FOR ALL TO syncsphere_member
    USING (user_id = syncsphere_user()) WITH CHECK (user_id = syncsphere_user());
GRANT SELECT, INSERT, UPDATE, DELETE ON user_preferences TO syncsphere_member;

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON api_keys FOR ALL TO syncsphere_member
    USING (user_id = syncsphere_user()) WITH CHECK (user_id = syncsphere_user());
GRANT SELECT, INSERT, DELETE ON api_keys TO syncsphere_member;

ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON projects FOR SELECT TO syncsphere_member
    USING (owner_id = syncsphere_user() OR syncsphere_role(id) IS NOT NULL);
CREATE POLICY made ON projects FOR INSERT TO syncsphere_member
    WITH CHECK (owner_id = syncsphere_user());
-- Never the owner: a transfer is the server's own work. Only the owner deletes.
CREATE POLICY changed ON projects FOR UPDATE TO syncsphere_member
    USING (syncsphere_role(id) IN ('owner', 'admin'))
    WITH CHECK (deleted_at IS NULL OR owner_id = syncsphere_user());
GRANT SELECT, INSERT, UPDATE (name, description, is_public, guest_role, updated_at, deleted_at)
    ON projects TO syncsphere_member;

ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON documents FOR SELECT TO syncsphere_member
    USING (syncsphere_role(project_id) IS NOT NULL);
CREATE POLICY made ON documents FOR INSERT TO syncsphere_member
    WITH CHECK (syncsphere_role(project_id) IN ('owner', 'admin'));
GRANT SELECT, INSERT ON documents TO syncsphere_member;

-- The first row of a new project. All others are written by rooms, in their own way.
ALTER TABLE journal ENABLE ROW LEVEL SECURITY;
CREATE POLICY begun ON journal FOR INSERT TO syncsphere_member
    WITH CHECK (author = syncsphere_user()
        AND EXISTS (SELECT FROM documents d WHERE d.id = document_id
            AND syncsphere_owner(d.project_id) = syncsphere_user()));
GRANT INSERT ON journal TO syncsphere_member;
ALTER TABLE journal_segments ENABLE ROW LEVEL SECURITY;
ALTER TABLE snapshots ENABLE ROW LEVEL SECURITY;

ALTER TABLE project_collaborators ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON project_collaborators FOR SELECT TO syncsphere_member
    USING (user_id = syncsphere_user()
        OR syncsphere_role(project_id) IN ('owner', 'admin', 'editor', 'viewer'));
CREATE POLICY added ON project_collaborators FOR INSERT TO syncsphere_member
    WITH CHECK (syncsphere_gives(project_id, role)
        AND user_id NOT IN (syncsphere_user(), syncsphere_owner(project_id)));
-- Without WITH CHECK the same holds for the row as it will be: nobody is raised to one's equal.
CREATE POLICY changed ON project_collaborators FOR UPDATE TO syncsphere_member
    USING (syncsphere_manages(project_id, role) AND user_id <> syncsphere_user());
CREATE POLICY removed ON project_collaborators FOR DELETE TO syncsphere_member
    USING (user_id = syncsphere_user() OR syncsphere_manages(project_id, role));
GRANT SELECT, INSERT, DELETE, UPDATE (role, fine, updated_at)
    ON project_collaborators TO syncsphere_member;

ALTER TABLE project_invitations ENABLE ROW LEVEL SECURITY;
CREATE POLICY members ON project_invitations FOR ALL TO syncsphere_member
    USING (syncsphere_role(project_id) IN ('owner', 'admin') OR invited_by = syncsphere_user())
    WITH CHECK (invited_by = syncsphere_user()
        AND syncsphere_gives(project_id, role));
GRANT SELECT, INSERT, DELETE ON project_invitations TO syncsphere_member;

ALTER TABLE project_links ENABLE ROW LEVEL SECURITY;
CREATE POLICY managed ON project_links FOR ALL TO syncsphere_member
    USING (syncsphere_role(project_id) IN ('owner', 'admin'))
    WITH CHECK (syncsphere_role(project_id) IN ('owner', 'admin')
        AND created_by = syncsphere_user());
GRANT SELECT, INSERT, DELETE ON project_links TO syncsphere_member;

-- Who does something may have it written down in their own name, and see nothing of it.
ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY told ON audit_events FOR INSERT TO syncsphere_member
    WITH CHECK (actor_id = syncsphere_user());
GRANT INSERT ON audit_events TO syncsphere_member;
"""

TABLES = (
    "users",
    "user_preferences",
    "api_keys",
    "projects",
    "documents",
    "journal",
    "journal_segments",
    "snapshots",
    "project_collaborators",
    "project_invitations",
    "project_links",
    "audit_events",
)

BEFORE = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN SELECT policyname, tablename FROM pg_policies
        WHERE schemaname = current_schema() AND 'syncsphere_member' = ANY (roles)
    LOOP
        EXECUTE format('DROP POLICY %I ON %I', found.policyname, found.tablename);
    END LOOP;
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM syncsphere_member',
        current_schema());
END $$;
DROP FUNCTION syncsphere_gives, syncsphere_manages, syncsphere_crowd;
DROP FUNCTION syncsphere_role, syncsphere_owner, syncsphere_linked, syncsphere_user;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(BEFORE)
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
