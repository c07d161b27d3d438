"""The files of the command line: one that is written is there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Generator

STANDARD: Final = "-"
"""The name that stands for the standard output, or input."""


class FileThere(AppError):
    """There is such a file already."""

    code = "file_there"


class FileTrouble(AppError):
    """A file cannot be read or written."""

    code = "file_trouble"


def check(name: str, *, force: bool) -> None:
    """Whether a file of this name may be written, before work is put into it. Raises FileThere.

    Also for a device, and for a folder: those would be replaced by a file.
    """
    path = Path(name)
    if name == STANDARD or not os.path.lexists(path):
        return
    if not path.is_file():
        raise FileThere(f"{name!a} is there and is no file; choose another name.")
    if not force:
        raise FileThere(f"{name!a} is there already; --force replaces it.")


@contextlib.contextmanager
def whole(name: str) -> Generator[BinaryIO]:
    """What is written takes its name at the end; after an error nothing is left of it.

    Raises FileTrouble.
    """
    if name == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    try:
        # Beside it, since a name can only be given within one file system.
        number, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    except OSError as trouble:
        raise _told(name, "written", trouble) from trouble
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(number)
        Path(draft).chmod(0o666 & ~_umask())
        Path(draft).replace(path)
    except OSError as trouble:
        raise _told(name, "written", trouble) from trouble
    finally:
        Path(draft).unlink(missing_ok=True)


@contextlib.contextmanager
def opened(name: str) -> Generator[BinaryIO]:
    """A file to read. Raises FileTrouble."""
    if name == STANDARD:
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 (closed below; opening alone is translated)
    except OSError as trouble:
        raise _told(name, "read", trouble) from trouble
    with file:
        yield file


def _told(name: str, what: str, trouble: OSError) -> FileTrouble:
    return FileTrouble(f"{name!a} cannot be {what}: {trouble.strerror or trouble}")


def _umask() -> int:
    # There is no way to ask without setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
