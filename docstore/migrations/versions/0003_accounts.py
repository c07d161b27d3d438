"""Accounts with a life of their own, and who may do what with a project.

Revision ID: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# All of auth's, but `projects.guest_role`.
UPGRADE = """
-- No password: who signs in with a provider only.
ALTER TABLE users
    ALTER COLUMN password_hash DROP NOT NULL,
    ADD COLUMN display_name text NOT NULL DEFAULT '',
    ADD COLUMN avatar_url text,
    ADD COLUMN bio text NOT NULL DEFAULT '',
    ADD COLUMN email_verified_at timestamptz,
    ADD COLUMN is_admin boolean NOT NULL DEFAULT false,
    ADD COLUMN oauth_provider text,
    ADD COLUMN oauth_id text,
    -- The provider has said that the account's address is theirs who signs in with it.
    ADD COLUMN oauth_vouched boolean NOT NULL DEFAULT false,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN closed_at timestamptz,
    ADD CONSTRAINT users_oauth_key UNIQUE (oauth_provider, oauth_id),
    ADD CONSTRAINT users_oauth_whole CHECK ((oauth_provider IS NULL) = (oauth_id IS NULL));
CREATE INDEX users_closed ON users (closed_at) WHERE closed_at IS NOT NULL;

-- What others may see of somebody.
CREATE VIEW people AS
    SELECT id, username, display_name, avatar_url FROM users;

CREATE TABLE user_preferences (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    chosen jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    secret_sha256 bytea NOT NULL,
    scopes text[] NOT NULL,
    project_id uuid REFERENCES projects ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_of_user ON api_keys (user_id);
CREATE INDEX api_keys_of_project ON api_keys (project_id) WHERE project_id IS NOT NULL;

ALTER TABLE projects
    ADD COLUMN guest_role text NOT NULL DEFAULT 'none'
        CHECK (guest_role IN ('none', 'viewer', 'editor'));

-- `fine`: where a collaborator's permissions differ from those of the role. `token_sha256`: of the
-- invitation that was taken, so that its letter still leads here.
CREATE TABLE project_collaborators (
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('admin', 'editor', 'viewer')),
    fine jsonb NOT NULL DEFAULT '{}',
    invited_by uuid,
    joined_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    token_sha256 bytea,
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX project_collaborators_of_user ON project_collaborators (user_id, project_id DESC);

CREATE TABLE project_invitations (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'editor', 'viewer')),
    fine jsonb NOT NULL DEFAULT '{}',
    token_sha256 bytea NOT NULL UNIQUE,
    invited_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    UNIQUE (project_id, email)
);
CREATE INDEX project_invitations_of_email ON project_invitations (email);
CREATE INDEX project_invitations_of_inviter ON project_invitations (invited_by);

CREATE TABLE project_links (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    name text NOT NULL DEFAULT '',
    role text NOT NULL CHECK (role IN ('editor', 'viewer')),
    secret_sha256 bytea NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE INDEX project_links_of_project ON project_links (project_id);
CREATE INDEX project_links_of_maker ON project_links (created_by);

-- No foreign keys: what happened stays true when somebody or something is gone.
CREATE TABLE audit_events (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    user_id uuid,
    actor_id uuid,
    project_id uuid,
    ip text,
    user_agent text,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events_of_user ON audit_events (user_id, id DESC);
CREATE INDEX audit_events_of_actor ON audit_events (actor_id, id DESC);
-- Whose browser an event names: the actor's, or theirs who did it to themselves.
CREATE INDEX audit_events_from ON audit_events (coalesce(actor_id, user_id));
CREATE INDEX audit_events_of_project ON audit_events (project_id, id DESC);
CREATE INDEX audit_events_by_kind ON audit_events (kind, id DESC);
"""

# What projects belong to stays: an account without a password gets a hash that is well formed (the
# older version asks bcrypt about it) and that no password is known for.
DOWNGRADE = """
DROP TABLE audit_events, project_links, project_invitations, project_collaborators, api_keys,
    user_preferences;
DROP VIEW people;
ALTER TABLE projects DROP COLUMN guest_role;
UPDATE users SET password_hash = '$2b$12$' || repeat('.', 53) WHERE password_hash IS NULL;
ALTER TABLE users
    ALTER COLUMN password_hash SET NOT NULL,
    DROP COLUMN display_name, DROP COLUMN avatar_url, DROP COLUMN bio,
    DROP COLUMN email_verified_at, DROP COLUMN is_admin, DROP COLUMN oauth_provider,
    DROP COLUMN oauth_id, DROP COLUMN oauth_vouched, DROP COLUMN updated_at, DROP COLUMN closed_at;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
