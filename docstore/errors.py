"""What can go wrong with what is kept, as the user may see it.

Each class is one stable code (docs/errors.md explains it to the user). HTTP statuses and close
codes are chosen at the edges, not here. Broken updates are no AppErrors: see `docstore/crdt.py`.
"""

from __future__ import annotations

from base.errors import AppError


class ProjectNotFound(AppError):
    """There is no such project, or it is not yours to see."""

    code = "project_not_found"


class DocumentNotFound(AppError):
    """There is no such document; its project may have been deleted."""

    code = "document_not_found"


class CursorInvalid(AppError):
    """No list gave out this cursor; start again without one."""

    code = "cursor_invalid"


class SnapshotDamaged(AppError):
    """The stored state of this document does not match its checksum."""

    code = "snapshot_damaged"


class SchemaTooNew(AppError):
    """The database was migrated by a newer version of SyncSphere than this one."""

    code = "schema_too_new"


class SchemaTooOld(AppError):
    """The database has not been brought to this version's schema; run `syncsphere migrate`."""

    code = "schema_too_old"


class DocumentTooDeep(AppError):
    """The document is nested too deeply to be written as JSON; download it as a Yjs update."""

    code = "document_too_deep"


class DocumentUnreadable(AppError):
    """The document holds what cannot be read; download it as a Yjs update."""

    code = "document_unreadable"


class TooCostly(AppError):
    """What was asked takes longer than this server allows; ask for less, or make the document simpler."""

    code = "too_costly"
