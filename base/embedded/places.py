"""Folders for embedded servers: whose they are, who can reach them, where their sockets go.

Three things stand in the way of "a socket in the data folder": a socket's path holds about 100
bytes, PostgreSQL does not run as root, and root's own folders are closed to everybody else.
Nothing here widens the permissions of a folder that we did not make.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Generator

PREFIX: Final = "syncsphere-"
"""Of everything that we put into the shared temporary folder."""

SOCKET_PATH_BYTES: Final = 90
"""Longest path of a socket that we bind; the system's limit is 103 to 107."""

SHORT: Final = Path("/tmp")  # noqa: S108 (what we make there is private and checked)
"""Where sockets go whose own folder has too long a path. Not TMPDIR: `doctor` must find them."""


class ServerFailed(AppError):
    """An embedded server could not be started."""

    code = "embedded_server_failed"


@dataclass(frozen=True)
class Account:
    """The system account a program runs as."""

    uid: int
    gid: int


def make_data_folder(data: Path) -> None:
    """Make it if need be. Raises ServerFailed when we cannot work in it."""
    # Made by root, others may pass through (not look around): PostgreSQL's account must.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        if not data.exists():
            data.mkdir(mode=mode, parents=True, exist_ok=True)
            sync_folder(data.parent)
    except OSError as error:
        raise ServerFailed(f"The data folder {data} cannot be made: {error.strerror}.") from error
    if not os.access(data, os.W_OK | os.X_OK):
        raise ServerFailed(f"The data folder {data} cannot be written by this account.")


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk, so that a power failure cannot undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def owner(folder: Path) -> Account | None:
    """The account that a folder belongs to; None for our own.

    Raises ServerFailed when it is another one and we, not being root, cannot become it.
    """
    mark = folder.stat()
    if mark.st_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise ServerFailed(
            f"{folder} belongs to another account (user id {mark.st_uid}). Start the server as "
            "that account or as root, or choose another folder with --data."
        )
    return Account(mark.st_uid, mark.st_gid)


def may_enter(folder: Path, account: Account) -> bool:
    """Whether an account can reach a folder by its path: every step lets it through."""
    for step in (folder, *folder.parents):
        mark = step.stat()
        if mark.st_uid == account.uid:
            bit = stat.S_IXUSR
        elif mark.st_gid == account.gid:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not mark.st_mode & bit:
            return False
    return True


@contextlib.contextmanager
def reachable(folder: Path, account: Account | None) -> Generator[tuple[str, list[int]]]:
    """A path by which the account can use its folder, and the descriptors that path needs.

    A folder below a closed one (root's home) is handed over open: `/proc/self/fd/N` leads straight
    into it. The alternative, opening root's home to everybody, is not ours to choose.
    """
    if account is None or may_enter(folder, account):
        yield str(folder), []
        return
    if not Path("/proc/self/fd").is_dir():
        raise ServerFailed(
            f"PostgreSQL's account (user id {account.uid}) cannot reach {folder}; choose a folder "
            "with --data that every account may pass through."
        )
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}", [descriptor]
    finally:
        os.close(descriptor)


def socket_folder(folder: Path, name: str, account: Account | None) -> Path:
    """Where a server of `folder` keeps its socket: inside, or in a short place of its own.

    The latter when the path is too long for a socket, has letters that a server's configuration
    would misread, or cannot be reached by the server's account. The name is a hash of the folder,
    so that `doctor` finds it.
    """
    plain = re.fullmatch(r"[\w./-]+", str(folder), re.ASCII)
    short = len(os.fsencode(folder / name)) <= SOCKET_PATH_BYTES
    if plain and short and (account is None or may_enter(folder, account)):
        return folder
    mark = folder.stat()
    text = f"{folder.resolve()} {mark.st_dev} {mark.st_ino}"
    return SHORT / f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def make_socket_folder(folder: Path, account: Account | None) -> None:
    """Make it, closed to all but the server's account. Raises ServerFailed if it is a stranger's."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.uid, account.gid)
    check_private(folder, os.geteuid() if account is None else account.uid)


def forget_socket_folder(folder: Path, sockets: Path) -> None:
    """Take away a short place once its server has ended."""
    if sockets != folder:
        with contextlib.suppress(OSError):
            sockets.rmdir()


def check_private(folder: Path, owner: int) -> None:
    """Refuse a folder in the shared temporary place that somebody else has put there.

    Raises ServerFailed.
    """
    mark = folder.lstat()
    if not stat.S_ISDIR(mark.st_mode) or mark.st_uid != owner or mark.st_mode & 0o022:
        raise ServerFailed(f"{folder} is not ours: another account has made it. Remove it.")
