"""Was the text kept: what a trace should have become, and how far a snapshot is from it.

Uses pycrdt, on the side of the benchmark: the expected text comes from the file alone.
"""

from __future__ import annotations

import pycrdt

from benchmarks.load import trace

ROOT = "text"


def trace_text(path: str, limit: int) -> str:
    """The text that the first `limit` updates of a trace make (0: all of them)."""
    document: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = document.get(ROOT, type=pycrdt.Text)
    with document.transaction():
        for update in trace.read(path)[: limit or None]:
            document.apply_update(update)
    return str(text)


def wrong_characters(snapshot: bytes, expected: str) -> int:
    """How many positions of the text differ; 0 means that it is the same text."""
    document: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = document.get(ROOT, type=pycrdt.Text)
    document.apply_update(snapshot)
    found = str(text)
    differing = sum(one != other for one, other in zip(found, expected, strict=False))
    return differing + abs(len(found) - len(expected))
