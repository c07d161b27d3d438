"""Branches: lines of work of one project, each a document of its own. The table is `documents`.

Finds them and says what they may be called; they are made, renamed and deleted in `branching`.
A branch shares its operations with those of its lineage, so that the union of two of them is what
both say. Who may do what is not decided here; whoever looks may do so in their own transaction.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

from psycopg.rows import class_row

from docstore.history.errors import BranchNameInvalid, BranchNotFound

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx

LONGEST: Final = 100
"""Characters of a name."""

_RESERVED: Final = frozenset("/\\@%?#:")
"""What an address, a room's name or a point in a request reads as something else."""


class Branch(NamedTuple):
    """A line of work."""

    document_id: int
    """Its room's."""
    project_id: UUID
    name: str
    head: UUID | None
    """Its newest commit."""
    protected: bool
    """Only who keeps branches (`branch:keep`) commits, merges and restores; nobody edits live."""
    epoch: int
    created_by: UUID | None
    """None: it came with the project."""
    created_at: datetime
    base_state_id: int | None
    """The state that its journal begins with; None: nothing."""
    base_at: datetime | None
    """When that was what it said."""
    origin_id: int | None
    """The document that it was branched from, which may be gone."""
    origin_commit: UUID | None
    """The commit that it was branched from."""
    lineage: int
    """Documents of one lineage share their operations; those of several share none."""
    fork_state_id: int | None
    """The state that it was made with, if a squash came since; None: see `base_state_id`."""


_SELECT: LiteralString = """
    SELECT id AS document_id, project_id, branch AS name, head, protected, epoch, created_by,
        created_at, base_state_id, base_at, origin_id, origin_commit, lineage, fork_state_id
    FROM documents WHERE project_id = %s AND deleted_at IS NULL"""

BY_NAME: LiteralString = _SELECT + " AND branch = %s"

LIST: LiteralString = _SELECT + " ORDER BY branch <> 'main', id DESC"


def named(name: str) -> str:
    """A branch's name in its one spelling (NFC). Raises BranchNameInvalid, which says the rule.

    Printable, so that it looks like what it is; nothing that a command line, an address or the
    name of a room would read as something else.
    """
    # A text of this kind can grow a little in NFC, but a very long one need not be looked at.
    name = name if len(name) > 4 * LONGEST else unicodedata.normalize("NFC", name)
    if not 0 < len(name) <= LONGEST:
        raise BranchNameInvalid(f"The name of a branch has 1 to {LONGEST} characters.")
    if not name.isprintable():
        raise BranchNameInvalid("The name of a branch has only characters that can be seen.")
    if name != name.strip():
        raise BranchNameInvalid("The name of a branch has no spaces at its ends.")
    if not _RESERVED.isdisjoint(name):
        raise BranchNameInvalid(r"The name of a branch has none of `/ \ @ % ? # :`.")
    if name.startswith("-") or ".." in name or name == ".":
        raise BranchNameInvalid(
            "The name of a branch does not begin with `-`, has no `..`, and is not `.`."
        )
    return name


async def get(tx: Tx, project_id: UUID, name: str) -> Branch:
    """The branch of this name, in whatever spelling. Raises BranchNotFound."""
    try:
        name = named(name)
    except BranchNameInvalid as wrong:
        # Not every text of Python's is one to PostgreSQL, or to JSON: it is not said again.
        raise BranchNotFound from wrong
    async with tx.cursor(row_factory=class_row(Branch)) as cursor:
        await cursor.execute(BY_NAME, (project_id, name))
        found = await cursor.fetchone()
    if found is None:
        raise BranchNotFound(branch=name)
    return found


async def listing(tx: Tx, project_id: UUID) -> list[Branch]:
    """All of a project: main first, then the youngest."""
    async with tx.cursor(row_factory=class_row(Branch)) as cursor:
        await cursor.execute(LIST, (project_id,))
        return await cursor.fetchall()
