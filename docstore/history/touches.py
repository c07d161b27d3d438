"""What each row of a journal changed: the musical things, in the order in which it did.

Heard as for blame (`docstore/history/blame.py`), so it is said to the same depth. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docstore.history.blame import DEEPEST, Entry, Watch, told
from docstore.history.entities import entity_of
from docstore.history.replay import replay

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from docstore.history.content import Path
    from docstore.history.replay import Row


def touches(
    base: bytes | None,
    rows: Iterable[Row],
    *,
    since: datetime,
    entity: Path | None = None,
    most: int,
) -> dict[int, list[Path]]:
    """The things that rows changed which are no older than `since`, by the row's number.

    entity: only rows that changed this, or what is in it. most: things of one row that are told of.
    Raises MalformedUpdate, PoisonUpdate.
    """
    past = replay(base, rows)
    watch = Watch(Entry(), entity=(entity or ())[:DEEPEST])
    noted = watch.noted = {}
    young = (at for at, step in enumerate(past.steps) if step.row.created_at >= since)
    watch.next = next(young, len(past.steps))
    told(past, watch)
    found: dict[int, list[Path]] = {}
    for seq, paths in noted.items():
        things = dict.fromkeys(entity_of(path).path for path in paths)
        found[seq] = list(things)[:most]
    return found
