"""A branch's past as it is stored: the state that its journal begins with, and every row since.

Rows are handed on packed, as they lie there, and unpacked where they are told again: a past may be
hundreds of megabytes. Where a branch came from another, its past goes on in that one's.
The tables are `journal`, `journal_segments`, `snapshots`, `documents`, `commits`. All of it is the
server's own work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString, NamedTuple

import anyio.to_thread

from docstore import segments
from docstore.history import archive, retelling
from docstore.history.errors import TooLongAgo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from base.db import Database, Tx
    from docstore.history.branches import Branch

MOST_LINES: Final = 20
"""Branches of branches of which one's past is made up; what is older is not looked at."""

# One statement sees one instant: a compaction beside us moves rows from the one to the other.
ROWS: LiteralString = """
    SELECT 0, id, NULL::uuid, body, body_bytes, NULL::timestamptz FROM journal_segments
    WHERE document_id = %(id)s
        AND (%(until)s::timestamptz IS NULL OR from_time <= %(until)s)
    UNION ALL
    SELECT 1, seq, author, payload, NULL, created_at FROM journal
    WHERE document_id = %(id)s AND refused_at IS NULL
        AND (%(until)s::timestamptz IS NULL OR created_at <= %(until)s)
    ORDER BY 1, 2"""

# A snapshot says what all segments come to: where none is younger than the moment, none is needed.
FOLDED: LiteralString = """
    WITH younger AS (
        SELECT EXISTS (SELECT FROM journal_segments
                       WHERE document_id = %(id)s AND to_time > %(until)s) AS found)
    SELECT 0, s.id, NULL::uuid, s.state, s.state_bytes, NULL::timestamptz, s.sha256
    FROM younger, LATERAL (SELECT id, state, state_bytes, sha256 FROM snapshots
                           WHERE document_id = %(id)s ORDER BY id DESC LIMIT 1) s
    WHERE NOT younger.found
    UNION ALL
    SELECT 1, seq, author, payload, NULL, created_at, NULL FROM journal
    WHERE document_id = %(id)s AND refused_at IS NULL AND created_at <= %(until)s
    ORDER BY 1, 2"""

# A branch from a commit does not say whose document that was: the one that is called so since then.
# What was pruned begins later than it was made: between the two nothing is known.
LINES: LiteralString = """
    WITH RECURSIVE line AS (
        SELECT id, project_id, branch, base_state_id, base_at, created_at, origin_id,
            origin_commit, NULL::timestamptz AS until, 0 AS step
        FROM documents WHERE id = %(id)s
        UNION ALL
        SELECT d.id, d.project_id, d.branch, d.base_state_id, d.base_at, d.created_at,
            d.origin_id, d.origin_commit, least(line.until, o.at), line.step + 1
        FROM line
            CROSS JOIN LATERAL (
                SELECT line.origin_id AS id, line.created_at AS at WHERE line.origin_id IS NOT NULL
                UNION ALL
                SELECT f.id, c.created_at FROM commits c JOIN documents f
                    ON f.project_id = c.project_id AND f.branch = c.branch
                    AND f.deleted_at IS NULL AND f.created_at <= c.created_at
                WHERE line.origin_id IS NULL AND c.id = line.origin_commit) o
            JOIN documents d ON d.id = o.id AND d.project_id = line.project_id
        WHERE coalesce(line.base_at, line.created_at) <= line.created_at
            AND line.step < %(most)s)
    SELECT id, branch, base_state_id, until FROM line ORDER BY step"""


class Past(NamedTuple):
    """What is stored of how a branch came to be."""

    base: bytes | None
    """What the journal begins with, as one full update."""
    rows: list[segments.Row]


class Line(NamedTuple):
    """A document in which a branch's past lies."""

    document_id: int
    branch: str
    """As it is called now."""
    base_state_id: int | None
    """The state that its journal begins with; None: nothing."""
    until: datetime | None = None
    """From then on it is no longer this branch's past; None: it is the branch itself."""


async def load(tx: Tx, branch: Branch) -> Past:
    """All of it, unpacked. Raises SnapshotDamaged."""
    past = await packed(tx, branch, line_of(branch))
    return Past(past.base, await anyio.to_thread.run_sync(past.rows))


async def packed(
    tx: Tx, branch: Branch, line: Line, until: datetime | None = None
) -> retelling.Packed:
    """What a line has of a branch's past, up to a moment (included). Raises SnapshotDamaged.

    Some of the rows may be younger than the moment.
    """
    base = None
    if line.base_state_id is not None:
        base = await archive.get(tx, branch.project_id, line.base_state_id)
    until = line.until if until is None else min(until, line.until or until)
    found = await _rows(tx, ROWS, {"id": line.document_id, "until": until})
    parts = [segments.Packed(row[3], row[4]) for row in found if row[0] == 0]
    return retelling.Packed(base, parts, _tail(found), until)


async def lines(tx: Tx, branch: Branch) -> list[Line]:
    """Where a branch's past lies: in itself, then where it came from, and so on."""
    found = await _rows(tx, LINES, {"id": branch.document_id, "most": MOST_LINES - 1})
    return [Line(*row) for row in found]


def line_of(branch: Branch) -> Line:
    """The branch itself."""
    return Line(branch.document_id, branch.name, branch.base_state_id)


def begins(branch: Branch) -> datetime:
    """From when on it is known what a branch said."""
    return branch.base_at or branch.created_at


async def up_to(tx: Tx, branch: Branch, moment: datetime) -> retelling.Packed:
    """What it takes to tell what a branch said at a moment. Raises TooLongAgo, SnapshotDamaged."""
    if moment < begins(branch):
        raise TooLongAgo
    found = await _rows(tx, FOLDED, {"id": branch.document_id, "until": moment})
    if found and found[0][0] == 0:
        _, _, _, state, size, _, sha256 = found[0]
        folded = retelling.Folded(state, int(size), sha256)
        return retelling.Packed(None, [], _tail(found), moment, folded)
    return await packed(tx, branch, line_of(branch), moment)


async def state_at(database: Database, branch: Branch, moment: datetime) -> bytes:
    """What a branch said at a moment, as one full update.

    Raises TooLongAgo, SnapshotDamaged, DocumentUnreadable.
    """
    async with database.connection() as tx:
        past = await up_to(tx, branch, moment)
    return await retelling.state_at(past, moment)


def _tail(found: Sequence[tuple[Any, ...]]) -> list[segments.Row]:
    return [segments.Row(row[1], row[2], row[3], row[5]) for row in found if row[0] == 1]


async def _rows(
    tx: Tx, statement: LiteralString, values: dict[str, object]
) -> list[tuple[Any, ...]]:
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()
