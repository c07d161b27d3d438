"""Lineages: which documents share their operations. A squash gives each branch one of its own.

Documents of one lineage are merged by the union of what both did; those of several share nothing
and are merged by content, three-way. Numbers are given once in a project, in order.

Who knows operations from before a squash is recognised by the Yjs clients that wrote them, since
stock clients know nothing of epochs (`docstore/retired.py`). The tables are `squashes`, `projects`,
`documents`. The server's own work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from base import ids
from docstore.history import work

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from base.db import Tx

RETIRED: LiteralString = """
    SELECT s.client_ids FROM squashes s JOIN documents d ON d.project_id = s.project_id
    WHERE d.id = %s"""

OF_PROJECT: LiteralString = "SELECT client_ids FROM squashes WHERE project_id = %s"

IS_RETIRED: LiteralString = """
    SELECT EXISTS (SELECT FROM squashes WHERE project_id = %s AND lineage > %s)"""

NEXT: LiteralString = """
    UPDATE projects SET lineage = lineage + %s WHERE id = %s RETURNING lineage"""


class Usable(NamedTuple):
    """A state that documents of today can begin with."""

    state: bytes
    lineage: int


async def retired(tx: Tx, document_id: int) -> frozenset[int] | None:
    """The clients that wrote before the document's project was squashed; None if it never was."""
    rows = await _rows(tx, RETIRED, document_id)
    return frozenset(client for (clients,) in rows for client in clients) if rows else None


async def fresh_clients(
    tx: Tx, project_id: UUID, count: int, known: Collection[int] = ()
) -> list[int]:
    """Ids of clients that are neither retired nor among these, each once."""
    taken = {client for (clients,) in await _rows(tx, OF_PROJECT, project_id) for client in clients}
    taken.update(known)
    fresh: list[int] = []
    while len(fresh) < count:
        client = ids.new_client_id()
        if client and client not in taken:
            taken.add(client)
            fresh.append(client)
    return fresh


async def begin(tx: Tx, project_id: UUID, count: int = 1) -> range:
    """Numbers of lineages that nobody had, in order. tx: holds `archive.lock`."""
    ((last,),) = await _rows(tx, NEXT, count, project_id)
    return range(last - count + 1, last + 1)


async def usable(tx: Tx, project_id: UUID, state: bytes, lineage: int) -> Usable:
    """A state as it is, unless it is from before a squash: then one of its own that says the same.

    Whoever knew the operations of an older one would be sent away. tx: holds `archive.lock`.
    Raises DocumentUnreadable, DocumentTooDeep, ContentUnreachable.
    """
    ((is_retired,),) = await _rows(tx, IS_RETIRED, project_id, lineage)
    if not is_retired:
        return Usable(state, lineage)
    (client,) = await fresh_clients(tx, project_id, 1)
    fresh = await work.begin_anew(state, client)
    (number,) = await begin(tx, project_id)
    return Usable(fresh, number)


async def _rows(tx: Tx, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    return await (await tx.execute(statement, values)).fetchall()
