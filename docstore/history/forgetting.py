"""What a journal still needs when its past up to a moment is given up. Pure: rows in, rows out.

The journal begins with the state at that moment then. Rows of which something is not in that state,
because it waited, stay whatever their time is, so that nothing is lost of what comes after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from docstore import crdt
from docstore.history import replay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class Forgotten(NamedTuple):
    """How a journal goes on."""

    state: bytes
    """What it begins with: the document at the moment, as one full update."""
    staying: Mapping[int, list[int]]
    """Of each segment that loses something: the numbers of the rows that stay."""


def forget(
    base: bytes | None,
    segments: Mapping[int, Sequence[replay.Row]],
    tail: Sequence[replay.Row],
    before: datetime,
) -> Forgotten:
    """Give up what was stored up to a moment (included). segments: rows by segment.

    Raises MalformedUpdate, PoisonUpdate for a past that cannot be told.
    """
    rows = [*(row for part in segments.values() for row in part), *tail]
    told = replay.replay(base, [row for row in rows if row.created_at <= before])
    with crdt.guarded():
        state = told.doc.get_update()
    waiting = {row.seq for row in told.missing}
    staying: dict[int, list[int]] = {}
    for number, part in segments.items():
        left = [row.seq for row in part if row.created_at > before or row.seq in waiting]
        if len(left) < len(part):
            staying[number] = left
    return Forgotten(state, staying)
