"""Copies of programs for an account that cannot reach the originals.

Knows files, permissions and copies; not what the programs are.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
from typing import TYPE_CHECKING

from base.embedded import places

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from base.embedded.places import Account


class Programs:
    """The programs of a package, where the account that shall run them can reach them.

    A virtual environment below root's home is closed to every other account, and PostgreSQL must
    find its own libraries by path. So it gets a copy (24 MB, kept for the next start) in a place
    that is open. While in use the copy is locked, which tells cleaners of temporary folders
    (systemd-tmpfiles) to keep off; what they took in between is put back.
    """

    def __init__(self) -> None:
        self._lock: int | None = None

    def folder(self, source: Path, parts: Sequence[str], account: Account | None) -> Path:
        """`source` itself, or a copy that has these parts of it."""
        files = [path for part in parts for path in _files(source / part)]
        if account is None or all(places.may_enter(path.parent, account) for path in files[:1]):
            return source
        mark = source.stat()
        name = hashlib.sha256(f"{source} {mark.st_dev} {mark.st_ino}".encode()).hexdigest()[:16]
        copy = places.SHORT / f"{places.PREFIX}programs-{name}"
        with contextlib.suppress(FileExistsError):
            copy.mkdir()
        places.check_private(copy, os.geteuid())
        copy.chmod(0o755)
        self.release()
        self._lock = os.open(copy, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        for path in files:
            _copy(path, copy / path.relative_to(source))
        return copy

    def release(self) -> None:
        """Nothing runs from the copy any more."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _copy(source: Path, target: Path) -> None:
    """Copy one file unless it is there; complete or not at all, whoever else does the same."""
    wanted = source.stat()
    with contextlib.suppress(FileNotFoundError):
        if target.stat().st_size == wanted.st_size:
            return
    for folder in reversed(target.parents):
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, fresh)
    fresh.chmod(0o755 if wanted.st_mode & stat.S_IXUSR else 0o644)
    fresh.replace(target)
