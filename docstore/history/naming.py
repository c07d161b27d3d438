"""Paths to things as text, for addresses and rows: names, each percent-encoded, with `/` between them.

A list is one thing: the places in it move, so no name here is a place. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from docstore.history.content import Path


def to_text(path: Path) -> str:
    """The text of a path."""
    return "/".join(quote(str(name), safe="") for name in path)


def from_text(text: str) -> tuple[str, ...]:
    """The path of a text. Raises ValueError for one with nothing between `/`, or no UTF-8."""
    names = text.split("/")
    if not all(names):
        raise ValueError("a name is empty")
    return tuple(unquote(name, errors="strict") for name in names)
