"""What two branches had in common when they became two: what their merge compares both with.

Mostly that is their best common commit. Where they were one for longer than that, because what they
were then was never committed, it is what the later of them was made with. Tables: `documents`,
`states`. The server's own work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

from docstore.history import archive, commits, dag

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx
    from docstore.history.branches import Branch
    from docstore.history.dag import Graph

MOST_LINES: Final = 100
"""Branches of branches that are followed to where they came from."""

# Operations are shared within a lineage: states of several cannot be put together.
LINEAGES: LiteralString = """
    SELECT count(DISTINCT lineage) FROM states WHERE project_id = %s AND id = ANY(%s::bigint[])"""

# Where a branch came from, and where that came from. What was pruned once begins later than it was
# made: unless a squash has kept it, what it was made with is not known any more.
ORIGINS: LiteralString = """
    WITH RECURSIVE line AS (
        SELECT id, project_id, origin_id, created_at, base_at, base_state_id, fork_state_id,
            0 AS step
        FROM documents WHERE id = %(id)s
        UNION ALL
        SELECT d.id, d.project_id, d.origin_id, d.created_at, d.base_at, d.base_state_id,
            d.fork_state_id, line.step + 1
        FROM line JOIN documents d ON d.id = line.origin_id AND d.project_id = line.project_id
        WHERE line.step < %(most)s)
    SELECT id, created_at,
        coalesce(fork_state_id, CASE WHEN base_at <= created_at THEN base_state_id END)
    FROM line ORDER BY step"""


class _Fork(NamedTuple):
    at: datetime
    state_id: int


class _Made(NamedTuple):
    document_id: int
    at: datetime
    state_id: int | None
    """What it was made with; None: that is not known."""


async def common(tx: Tx, graph: Graph, here: Branch, there: Branch) -> list[bytes]:
    """States that both branches had, of which the union counts; none: they began with nothing.

    Lines that were merged crosswise have several best common ancestors. Each holds what the other
    has not, so neither alone would do: what both sides had is all of them together, and with
    documents that is one more union, as Git's virtual merge base is a merge. Only where these are
    of several lineages the youngest has to do. Raises SnapshotDamaged.
    """
    found: list[UUID] = []
    if here.head is not None and there.head is not None:
        found = sorted(dag.merge_bases(graph, here.head, there.head), reverse=True)
    bases = [await commits.get(tx, here.project_id, each) for each in found]
    fork = await _fork(tx, here, there)
    if fork is not None and all(fork.at > each.created_at for each in bases):
        return [await archive.get(tx, here.project_id, fork.state_id)]
    ids = [each.state_id for each in bases]
    row = await (await tx.execute(LINEAGES, (here.project_id, ids))).fetchone()
    if row is not None and row[0] > 1:
        bases = bases[:1]
    return [await commits.state_of(tx, each) for each in bases]


async def _fork(tx: Tx, here: Branch, there: Branch) -> _Fork | None:
    """What the two were when they became two; None: that is not known, or they never were one."""
    ours, theirs = await _origins(tx, here), await _origins(tx, there)
    known = {made.document_id: place for place, made in enumerate(theirs)}
    for place, made in enumerate(ours):
        if (other := known.get(made.document_id)) is not None:
            # Each of them left this document by making the next one in its line.
            left = [*ours[max(place - 1, 0) : place], *theirs[max(other - 1, 0) : other]]
            first = min(left, key=lambda made: made.at)
            return None if first.state_id is None else _Fork(first.at, first.state_id)
    return None


async def _origins(tx: Tx, branch: Branch) -> Sequence[_Made]:
    asked = {"id": branch.document_id, "most": MOST_LINES - 1}
    return [_Made(*row) for row in await (await tx.execute(ORIGINS, asked)).fetchall()]
