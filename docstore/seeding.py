"""What a new project's document holds before anybody connects.

The server writes it once, in the transaction that makes the project, so that no two clients ever
fill the same empty room twice. Pure: bytes out, no clock, no luck.

Everything here is written by Yjs client 1, a number no browser draws (they draw 32 random bits),
and each kind begins with the same operations in the same order. A state that is exported from
one project and sent into another therefore meets the seed it already knows, operation for
operation. For that reason a released seed may grow at its end, but never change before it.
"""

from __future__ import annotations

from typing import Final

from pycrdt import Doc, Map

CLIENT: Final = 1
"""The Yjs client id of every seed."""

KINDS: Final = ("studio", "pattern", "opendaw")

SCHEMA: Final = 1
"""Version of the document's shape (docs/protocol), in `project.schema`."""


def seed(kind: str, name: str) -> bytes | None:
    """The first update of a new document, or None for a kind that fills itself.

    openDAW decides by the size of `boxes` whether it has to publish its own project: its
    documents start empty. Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of project: {kind!r}")
    if kind == "opendaw":
        return None
    doc: Doc[Map[object]] = Doc(client_id=CLIENT)
    doc["project"] = project = Map[object]()
    with doc.transaction():
        project["schema"] = SCHEMA
        project["name"] = name
        project["tempo"] = 120
        # One value, so that two people cannot mix a signature that neither of them chose.
        project["timeSignature"] = [4, 4]
    if kind == "pattern":
        _add_pattern(doc)
    return doc.get_update()


def _add_pattern(doc: Doc[Map[object]]) -> None:
    doc["pattern"] = pattern = Map[object]()
    with doc.transaction():
        pattern["bpm"] = 120
        pattern["keyNote"] = 0
        pattern["flavor"] = "Salsa"
        # Nested types are made here once; made by two clients, one of them would win and what
        # was put into the other would be lost.
        pattern["instruments"] = Map[object]()
        pattern["steps"] = Map[object]()
