"""From the pieces of a bundle in a folder to the file. Runs in a process of its own.

The pieces are what `export` has written down; the file is made beside them. Entries of a bundle
have no times of their own: equal pieces make equal files.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import msgspec

from docstore import crdt
from docstore.bundles import layout, opendaw
from docstore.bundles.errors import BundleTooLarge
from docstore.history import content

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE: Final = "bundle"

_CHUNK: Final = 1024 * 1024
_COMPRESSED: Final = frozenset({layout.STATES})
"""Already, inside."""


def pack(folder: str, kind: layout.Kind, uuid: bytes, limit: int) -> tuple[int, bytes, bytes]:
    """Make the file: its length, its SHA-256, and the digest of what the document says.

    uuid: the project's, for openDAW. Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep,
    BundleUnwritable, BundleTooLarge.
    """
    home = Path(folder)
    state = (home / layout.STATE).read_bytes()
    said = content.read(state)
    with (home / FILE).open("wb") as file, zipfile.ZipFile(file, "w") as packed:
        writer = _Writer(packed, file, limit)
        prefix = ""
        if kind == "odb":
            prefix = layout.FOLDER
            writer.add(layout.ODB_VERSION, b"1")
            writer.add(layout.ODB_UUID, uuid)
            writer.add(layout.ODB_PROJECT, opendaw.write(said))
            writer.add(layout.ODB_META, (home / layout.ODB_META).read_bytes())
        # The history first: who reads only what comes first learns what it is.
        writer.add_file(prefix + layout.HISTORY, home / layout.HISTORY)
        writer.add(prefix + layout.STATE, state)
        del state
        # As the snapshot is shown, roots that are empty included.
        plain = crdt.to_json((home / layout.STATE).read_bytes())
        writer.add(prefix + layout.JSON, msgspec.json.encode(plain))
        writer.add_file(prefix + layout.STATES, home / layout.STATES)
        for name, path in assets(home):
            writer.add_file(prefix + name, path)
        manifest = layout.Manifest(layout.FORMAT, layout.VERSION, writer.entries)
        writer.add(prefix + layout.MANIFEST, msgspec.json.encode(manifest))
    with (home / FILE).open("rb") as file:
        sha256 = hashlib.file_digest(file, hashlib.sha256).digest()
    return (home / FILE).stat().st_size, sha256, content.digest(said)


def assets(_home: Path) -> Iterator[tuple[str, Path]]:
    """Samples and other files of the project, by the names that they get: `assets/…`.

    None today: this server keeps no such files. Where it does, they are yielded here, and
    openDAW's bundle wants them once more as `samples/{uuid}/…`.
    """
    return iter(())


class _Writer:
    """Entries on their way into a zip, counted."""

    def __init__(self, packed: zipfile.ZipFile, file: IO[bytes], limit: int) -> None:
        self.entries: dict[str, layout.Entry] = {}
        self._packed = packed
        self._file = file
        self._limit = limit

    def add(self, name: str, body: bytes) -> None:
        self._packed.writestr(self._info(name), body)
        self._added(name, len(body), hashlib.sha256(body).hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        with path.open("rb") as source:
            sha256 = hashlib.file_digest(source, hashlib.sha256).hexdigest()
            size = source.tell()
            source.seek(0)
            info = self._info(name)
            info.file_size = size  # so that the zip knows whether it needs wide numbers
            with self._packed.open(info, "w") as into:
                shutil.copyfileobj(source, into, _CHUNK)
        self._added(name, size, sha256)

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name)
        stored = name.rpartition("/")[2] in _COMPRESSED
        info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
        return info

    def _added(self, name: str, size: int, sha256: str) -> None:
        self.entries[name] = layout.Entry(size, sha256)
        if self._file.tell() > self._limit:
            raise BundleTooLarge(limit_bytes=self._limit)
