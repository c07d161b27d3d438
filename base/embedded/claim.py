"""The claim on a data folder: two living processes never serve it.

A lock on a file, which the system takes back whatever becomes of its holder. Knows nothing of the
servers that work in the folder.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from base.embedded.places import ServerFailed
from base.errors import AppError

if TYPE_CHECKING:
    from pathlib import Path


class DataFolderInUse(AppError):
    """The data folder is in use by another process."""

    code = "data_folder_in_use"


class Claim:
    """The right of one living process to serve a folder: a lock on a file, gone when we are.

    The file stays; only the lock counts. Its content (our process id) serves the message.
    """

    def __init__(self, path: Path) -> None:
        """Take the claim at once. Raises DataFolderInUse, ServerFailed if the file is not ours."""
        self._descriptor = _open_lock(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            process = holder(path)
            raise DataFolderInUse(
                f"The data folder {path.parent} is in use by process {process}. "
                "Stop that one first, or choose another folder with --data.",
                process=process,
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        # A forked worker would hold the lock as long as it lives, also without us.
        _claims.add(self)

    def release(self) -> None:
        """Give it up; a second time does nothing."""
        if self in _claims:
            _claims.discard(self)
            os.close(self._descriptor)

    def forget(self) -> None:
        """In a forked process: close the copy of the descriptor. The lock stays the parent's."""
        os.close(self._descriptor)


def _open_lock(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise ServerFailed(
            f"{path} belongs to another account. Start the server as that account or as root, or "
            "choose another folder with --data."
        ) from None


_claims: set[Claim] = set()


def _forget_claims() -> None:
    for claim in _claims:
        claim.forget()
    _claims.clear()


os.register_at_fork(after_in_child=_forget_claims)


def claimed(path: Path) -> bool:
    """Whether a living process holds this claim."""
    try:
        descriptor = _open_lock(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(path: Path) -> str:
    """The id of the process that took this claim last, as text for a message."""
    return path.read_text(errors="replace").strip() or "unknown"
