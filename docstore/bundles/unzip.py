"""A zip of somebody else's, looked at closely before anything is taken out of it.

Promise: nothing is written but what is asked for, where it is asked for, and never more of it than
was said; nothing is believed that the file only announces. What is not a good zip is BundleDamaged,
naming the entry where it can, what is too much is BundleTooLarge, other things BundleUnknown.
Reads files; to be run in a process of its own.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from docstore.bundles.errors import BundleDamaged, BundleTooLarge, BundleUnknown

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import IO

_CHUNK: Final = 256 * 1024

_DIRECTORY_BYTES: Final = 4 * 1024 * 1024
"""Of the list of entries at a zip's end, which is read as a whole."""

_LONGEST_NAME: Final = 500

_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\\]|^/|^[A-Za-z]:|(^|/)\.{1,2}(/|$)|//")
"""In a name: what could lead out of a folder, or looks like what it is not."""

_END: Final = b"PK\5\6"
_END_BYTES: Final = 22
_WIDE_LOCATOR: Final = b"PK\6\7"
_WIDE_LOCATOR_BYTES: Final = 20
_LONGEST_COMMENT: Final = 65535
_SHOWN: Final = 100


class Archive:
    """A zip whose entries have been looked at. most_bytes: of everything that is in it."""

    def __init__(self, packed: zipfile.ZipFile, most_entries: int, most_bytes: int) -> None:
        self._packed = packed
        self._most = most_bytes
        # Each entry is read once to be checked, and once to be used.
        self._left = 2 * most_bytes
        infos = packed.infolist()
        if len(infos) > most_entries:
            raise BundleTooLarge("The bundle has too many entries.", limit_entries=most_entries)
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            _check(info)
            if info.filename in self._infos:
                raise BundleDamaged("An entry is there twice.", entry=shown(info.filename))
            self._infos[info.filename] = info
        if sum(info.file_size for info in infos) > most_bytes:
            raise BundleTooLarge(limit_bytes=most_bytes)

    @property
    def names(self) -> list[str]:
        """Of the entries that are files."""
        return [name for name in self._infos if not name.endswith("/")]

    def bytes(self, name: str, longest: int) -> bytes:
        """A small entry, or one that is needed whole."""
        return b"".join(self._chunks(name, longest))

    def into(self, name: str, path: Path, longest: int) -> None:
        """Write an entry to a file."""
        with path.open("wb") as file:
            for chunk in self._chunks(name, longest):
                file.write(chunk)

    def measured(self, name: str) -> tuple[int, str]:
        """How long an entry is, and its SHA-256 in hexadecimal."""
        digest, size = hashlib.sha256(), 0
        for chunk in self._chunks(name, self._most):
            digest.update(chunk)
            size += len(chunk)
        return size, digest.hexdigest()

    def _chunks(self, name: str, longest: int) -> Iterator[bytes]:
        info = self._infos.get(name)
        if info is None:
            raise BundleDamaged("An entry is missing.", entry=shown(name))
        if info.file_size > longest:
            raise BundleTooLarge("An entry is too large.", entry=shown(name), limit_bytes=longest)
        with _reading(name), self._packed.open(info) as file:
            yield from self._counted(file, name)

    def _counted(self, file: IO[bytes], name: str) -> Iterator[bytes]:
        # zipfile stops at the length that the entry announces, and compares checksums there.
        while chunk := file.read(_CHUNK):
            self._left -= len(chunk)
            if self._left < 0:
                raise BundleTooLarge(entry=shown(name), limit_bytes=self._most)
            yield chunk


@contextlib.contextmanager
def opened(path: Path, *, most_entries: int, most_bytes: int) -> Generator[Archive]:
    """A zip that can be taken apart. most_bytes: of everything that is in it."""
    _check_directory(path)
    with contextlib.ExitStack() as open_files:
        with _reading(None):
            packed = open_files.enter_context(zipfile.ZipFile(path))
        yield Archive(packed, most_entries, most_bytes)


def shown(name: str) -> str:
    """A name of somebody else's, fit for an answer."""
    return ascii(name[:_SHOWN])[1:-1]


def _check(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename  # what zipfile makes of it ends at a NUL
    if not name or len(name) > _LONGEST_NAME or _UNFIT.search(name) or name != info.filename:
        raise BundleDamaged("An entry has a name that none should have.", entry=shown(name))
    if info.flag_bits & 0x1:
        raise BundleDamaged("An entry is encrypted.", entry=shown(name))
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleDamaged("An entry is compressed in an unusual way.", entry=shown(name))
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BundleDamaged("An entry is no file.", entry=shown(name))
    if name.endswith("/") and info.file_size:
        raise BundleDamaged("A folder holds something itself.", entry=shown(name))


def _check_directory(path: Path) -> None:
    """Refuse what is no zip, and one whose list of entries would fill the memory."""
    with path.open("rb") as file:
        begins = file.read(4)
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_BYTES - _LONGEST_COMMENT - _WIDE_LOCATOR_BYTES))
        tail = file.read()
    if begins[:2] != b"PK":
        raise BundleUnknown
    ends = [match.start() for match in re.finditer(re.escape(_END), tail)]
    if any(tail[:at][-_WIDE_LOCATOR_BYTES:].startswith(_WIDE_LOCATOR) for at in ends):
        # Its numbers would count instead, for more than 4 GB or 65,535 entries.
        raise BundleTooLarge("The bundle is a zip of the wide kind.")
    sizes = [
        struct.unpack_from("<I", tail, at + 12)[0] for at in ends if at + _END_BYTES <= len(tail)
    ]
    if not sizes:
        raise BundleDamaged("The bundle ends before it should.")
    # Which of several is the real end is zipfile's to find out.
    if max(sizes) > _DIRECTORY_BYTES:
        raise BundleTooLarge("The bundle has too many entries.")


@contextlib.contextmanager
def _reading(name: str | None) -> Generator[None]:
    """What zipfile and zlib say of a bad zip, in our words."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        struct.error,
        ValueError,
        OverflowError,
        IndexError,
    ) as wrong:
        entry = {} if name is None else {"entry": shown(name)}
        raise BundleDamaged(**entry) from wrong
    except OSError as wrong:
        # Positions that lie outside of the file; a disk that is full says something else.
        if wrong.errno != errno.EINVAL:
            raise
        raise BundleDamaged from wrong
