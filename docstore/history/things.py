"""What people call the places of a document: read from what it says now, for paths that are known.

Pure: bytes and values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docstore.errors import DocumentTooDeep
from docstore.history import content
from docstore.history.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docstore.history.content import Path
    from docstore.history.directory import Place


def places(state: bytes, paths: Iterable[Path]) -> dict[Path, Place]:
    """The places by their paths; what is not there any more has no name.

    Raises MalformedUpdate, PoisonUpdate; ValueError for a path to nothing.
    """
    try:
        names = Directory(content.read(state))
    except DocumentTooDeep:
        names = Directory()  # who changed what is known of it all the same
    return {path: names.place(path) for path in paths}
