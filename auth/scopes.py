"""How far an API key reaches: its scopes, as sets of rights (no I/O)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auth.permissions import Right

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_READ: Final = frozenset(
    {Right.ACCESS_READ, Right.DOCUMENT_EXPORT, Right.DOCUMENT_READ, Right.PROJECT_READ}
)
_WRITE: Final = _READ | {
    Right.DOCUMENT_EDIT,
    Right.PROJECT_CHANGE,
    Right.STEM_ADD,
    Right.STEM_DELETE,
}

SCOPES: Final[Mapping[str, frozenset[Right]]] = {
    "read": _READ,
    "write": _WRITE,
    "manage": frozenset(Right),
}
"""Each includes the one before it."""


def rights_of(scopes: Iterable[str]) -> frozenset[Right]:
    """All rights of these scopes; one that nobody knows (any more) gives none."""
    return frozenset[Right]().union(*(SCOPES.get(scope, frozenset()) for scope in scopes))
