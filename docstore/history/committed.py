"""In which commit of a branch something was kept first: by when it was done.

A branch that was moved forward has commits that are older than what they say was on it: when that
was is noted. Tables: `commits`, `commit_parents`, `fast_forwards`. The server's own work.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, LiteralString, NamedTuple

from docstore.history import commits

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx
    from docstore.history.branches import Branch

# From the head back along first parents: what the branch itself was, without what was merged.
LINE: LiteralString = """
    WITH RECURSIVE line AS (
        SELECT id, created_at FROM commits WHERE project_id = %(project)s AND id = %(head)s
        UNION ALL
        SELECT c.id, c.created_at
        FROM line
            JOIN commit_parents p ON p.commit_id = line.id AND p.position = 0
            JOIN commits c ON c.id = p.parent_id
        WHERE line.created_at >= %(since)s)
    SELECT id, created_at FROM line WHERE created_at >= %(since)s
    UNION ALL
    SELECT commit_id, created_at FROM fast_forwards
    WHERE document_id = %(document)s AND created_at >= %(since)s
    ORDER BY created_at, id"""

NOTE: LiteralString = """
    INSERT INTO fast_forwards (document_id, commit_id, created_at) VALUES (%s, %s, %s)"""


class Committed(NamedTuple):
    """Commits of a branch, by when it had them."""

    ids: list[UUID]
    times: list[datetime]

    def first(self, moment: datetime) -> UUID | None:
        """The first one at or after a moment; None: there is none yet."""
        at = bisect.bisect_left(self.times, moment)
        return self.ids[at] if at < len(self.ids) else None


async def since(tx: Tx, branch: Branch, moment: datetime) -> Committed:
    """The commits of a branch at or after a moment, those of where it came from among them."""
    values = {
        "project": branch.project_id,
        "document": branch.document_id,
        "head": branch.head,
        "since": moment,
    }
    rows = await (await tx.execute(LINE, values)).fetchall()
    return Committed([row[0] for row in rows], [row[1] for row in rows])


async def forward(tx: Tx, branch: Branch, head: UUID, now: datetime) -> None:
    """Make a commit that follows a branch's newest one the newest itself.

    For who holds `archive.lock`. The branch says by now what the commit says.
    """
    await tx.execute(commits.ADVANCE, (head, branch.document_id))
    await tx.execute(NOTE, (branch.document_id, head, now))
