"""What a commit keeps of its changes: a line and some numbers, whatever is in the document. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from docstore.history import render
from docstore.history.changes_json import holder_json

if TYPE_CHECKING:
    from docstore.history import diff as diffs
    from docstore.history.counting import Count

MOST_COUNTS: Final = 50
"""Counts that are kept with a commit, whatever is in it."""

_LONGEST_NAME: Final = 100
"""Characters of a name, an id, and each step of a path."""


def numbers(found: diffs.Diff) -> dict[str, Any]:
    """A diff in numbers, small and fit for a database, whatever is in the document."""
    counts = [_count(each) for each in found.counts[:MOST_COUNTS]]
    kept: dict[str, Any] = {"summary": short(found), "counts": counts}
    if len(found.counts) > MOST_COUNTS:
        kept["more"] = len(found.counts) - MOST_COUNTS
    return kept


def short(found: diffs.Diff) -> str:
    """A diff's summary, on one line, without characters that steer terminals."""
    return render.clean(found.summary, 500)


def _count(count: Count) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "kind": count.kind,
        "type": count.type,
        "noun": count.noun,
        "number": count.number,
    }
    if count.holder is not None:
        kept["in"] = _harmless(holder_json(count.holder, count.holder_name))
    return kept


def _harmless(found: object) -> object:
    """The same with every text short, and fit for a database and a terminal.

    Ids that clients make are; somebody else's may be anything.
    """
    if isinstance(found, str):
        return render.clean(found, _LONGEST_NAME)
    if isinstance(found, list):
        return [_harmless(each) for each in cast("list[object]", found)]
    if isinstance(found, dict):
        return {key: _harmless(each) for key, each in cast("dict[str, object]", found).items()}
    return found
