"""Folding in a process of its own, because yrs holds the interpreter for as long as it works.

One process for each task: it costs 0.1 s of processor to start, and gives back all the memory that
a large document took. Nothing of the server's is loaded there but the folding. A document that
takes that process down does not take the server with it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import anyio
import msgspec

from docstore import folding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docstore import snapshots

_PROGRAM: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from docstore import folding; folding.main()"
)


class FoldingFailed(RuntimeError):
    """The process that was to fold a document ended without an answer."""


async def fold(
    snapshot: snapshots.Packed | None, updates: Sequence[folding.Update]
) -> folding.Folded:
    """`folding.fold`, elsewhere. Raises what that raises, and FoldingFailed."""
    task = msgspec.msgpack.encode(folding.Task(snapshot, list(updates)))
    ended = await anyio.run_process(
        [sys.executable, "-c", _PROGRAM, *sys.path], input=task, check=False
    )
    if ended.returncode:
        last_words = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise FoldingFailed(f"status {ended.returncode}: {last_words[-200:]}")
    outcome = msgspec.msgpack.decode(ended.stdout, type=folding.Outcome)
    if outcome.folded is None:
        raise folding.ERRORS[outcome.error](outcome.message)
    return outcome.folded
