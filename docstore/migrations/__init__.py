"""The schema of the whole project, as Alembic revisions in `versions/`: plain SQL, in one line."""
