"""A folder for what is being written or read, and a process to work on it in.

The folder is in the server's data folder and goes with the work, however that ends; what a server
that was killed left behind goes when the next one makes a folder.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.to_process
import anyio.to_thread

from docstore import crdt
from docstore.errors import DocumentUnreadable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

FOLDER: Final = "bundles"
"""Of the data folder."""

LEFT_BEHIND_SECONDS: Final = 24 * 3600.0
"""After so long nobody works on it any more: no piece of work may take as long."""

_A = TypeVarTuple("_A")
_T = TypeVar("_T")


@contextlib.asynccontextmanager
async def folder(data: Path) -> AsyncGenerator[Path]:
    """A new folder, empty, gone at the end. data: the server's data folder."""
    made = await anyio.to_thread.run_sync(_made, data / FOLDER)
    try:
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(made, ignore_errors=True))


@contextlib.contextmanager
def memory(most: int) -> Generator[None]:
    """Let this process have no more of it for a while. most: bytes, other than of files and code.

    Python raises MemoryError then; yrs ends the process.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = [each for each in (most, soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


async def elsewhere(seconds: float, function: Callable[[Unpack[_A]], _T], *args: *_A) -> _T:
    """Call a function in another process, for at most so long. Callers limit how many at once.

    Raises DocumentUnreadable when it takes longer, takes the process down, or meets a document
    that cannot be read; and what it raises itself.
    """
    # A place of its own: the usual ones are for what takes a moment.
    place = anyio.CapacityLimiter(1)
    try:
        with anyio.fail_after(seconds):
            return await anyio.to_process.run_sync(function, *args, cancellable=True, limiter=place)
    except (
        TimeoutError,
        anyio.BrokenWorkerProcess,
        crdt.MalformedUpdate,
        crdt.PoisonUpdate,
    ) as problem:
        raise DocumentUnreadable from problem


def _made(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    for old in home.iterdir():
        with contextlib.suppress(FileNotFoundError):  # somebody else was faster
            if old.stat().st_mtime < time.time() - LEFT_BEHIND_SECONDS:  # noqa: TID251 (the clock of the file system, which writes such times)
                shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=home))
