"""Clients of Yjs that wrote to a document before it was squashed: who knows them must begin anew.

Stock clients know nothing of epochs, but every struct and every state vector names who wrote.
Pure: bytes and numbers.
"""

from __future__ import annotations

from docstore import crdt, outline


def is_in(update: bytes, retired: frozenset[int]) -> bool:
    """Whether an update writes as one of these, builds upon what they wrote, or deletes it.

    What cannot be read has nothing of them; it is refused elsewhere.
    """
    try:
        found = outline.outline(update)
    except outline.Unfit:
        return False
    return (
        any(section.client in retired for section in found.sections)
        or any(need.client in retired for section in found.sections for need in section.needs)
        or any(client in retired for client, _, _ in found.deletions)
    )


def is_known(state_vector: bytes, retired: frozenset[int]) -> bool:
    """Whether somebody with this state vector has something that one of these wrote."""
    try:
        crdt.screen_state(state_vector)
        return not retired.isdisjoint(crdt.decode_state_vector(state_vector))
    except crdt.MalformedUpdate:
        return False
