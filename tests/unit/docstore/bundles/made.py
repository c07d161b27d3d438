"""Bundles for the tests of this folder: good ones, and what is changed of them. Not a test."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from pycrdt import Doc, Map

from docstore.bundles import layout, reading
from docstore.bundles.errors import BundleDamaged
from docstore.history import chain, content

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from base.errors import AppError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOUNDS = reading.Bounds(
    document_bytes=256 * 1024,
    unpacked_bytes=1024 * 1024,
    states_bytes=1024 * 1024,
    memory_bytes=4 * 1024**3,
)

Entries = dict[str, bytes]
History = dict[str, Any]


def states(number: int = 4) -> list[bytes]:
    """A document as it grew."""
    doc: Doc[Any] = Doc(client_id=5)
    root = doc.get("project", type=Map)
    found: list[bytes] = []
    for at in range(number):
        root[f"note {at}"] = f"{at} " * 50
        found.append(doc.get_update())
    return found


def packed(found: list[bytes]) -> list[layout.State]:
    made: list[layout.State] = []
    for number, state in enumerate(found):
        base = chain.base_of(number)
        one = chain.pack(state, None if base is None else found[base])
        made.append(layout.State(number, None if one.whole else base, 1, one))
    return made


def written(found: list[layout.State]) -> bytes:
    file = io.BytesIO()
    for state in found:
        layout.write_state(file, state)
    return file.getvalue()


def uuid(number: int) -> str:
    return str(UUID(int=(7 << 76) | number))


def history(found: list[bytes]) -> History:
    def commit(number: int) -> History:
        return {
            "id": uuid(number),
            "branch": "main",
            "parents": [] if number == 0 else [uuid(number - 1)],
            "message": f"Take {number}",
            "time": "2026-02-01T10:00:00Z",
            "author": "Anna",
            "contentHash": content.digest(content.read(found[number])).hex(),
            "state": number,
            "changes": {"summary": "a note added", "counts": []},
        }

    head = uuid(len(found) - 1)
    return {
        "project": {"id": uuid(99), "name": "Night", "kind": "studio", "description": ""},
        "branch": "main",
        "commit": None,
        "time": "2026-02-01T10:00:00Z",
        "branches": [{"name": "main", "head": head}],
        "commits": [commit(number) for number in range(len(found))],
        "tags": [{"name": "v1", "commit": head, "time": "2026-02-01T10:00:00Z"}],
    }


def entries(
    change: Callable[[History], object] | None = None, *, more: Entries | None = None
) -> Entries:
    """What is in a good bundle, but for what is changed."""
    found = states()
    said = history(found)
    if change is not None:
        change(said)
    made: Entries = {
        "history.json": json.dumps(said).encode(),
        "project.yjs": found[-1],
        "project.json": b"{}",
        "states.bin": written(packed(found)),
    }
    return made | (more or {})


def manifest(held: Entries) -> bytes:
    listed = {
        name: {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        for name, body in held.items()
    }
    return json.dumps({"format": layout.FORMAT, "version": 1, "entries": listed}).encode()


def zipped(held: Entries, *, signed: bool = True) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as into:
        for name, body in (held | ({"manifest.json": manifest(held)} if signed else {})).items():
            into.writestr(name, body)
    return file.getvalue()


def check(home: Path, data: bytes, bounds: reading.Bounds = BOUNDS) -> reading.Checked:
    (home / reading.UPLOAD).write_bytes(data)
    return reading.check(str(home), NOW, bounds)


def damaged(home: Path, data: bytes, **wanted: object) -> AppError:
    """The refusal that a bundle gets; nothing is left of its states."""
    with pytest.raises(BundleDamaged) as caught:
        check(home, data)
    assert wanted.items() <= caught.value.data.items()
    return caught.value
