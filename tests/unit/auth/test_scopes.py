"""What API keys may do at most, right by right."""

from __future__ import annotations

import pytest

from auth import scopes
from auth.permissions import Right

READS = {Right.ACCESS_READ, Right.DOCUMENT_EXPORT, Right.DOCUMENT_READ, Right.PROJECT_READ}
WRITES = {Right.DOCUMENT_EDIT, Right.PROJECT_CHANGE, Right.STEM_ADD, Right.STEM_DELETE}


@pytest.mark.parametrize("right", Right)
def test_every_right_is_in_its_scope_and_those_above(right: Right) -> None:
    least = "read" if right in READS else "write" if right in WRITES else "manage"
    names = list(scopes.SCOPES)
    reached = [name for name in names if right in scopes.rights_of([name])]
    assert reached == names[names.index(least) :]


def test_scopes_add_up_and_unknown_ones_give_nothing() -> None:
    assert scopes.rights_of(["read", "write"]) == READS | WRITES
    assert scopes.rights_of([]) == scopes.rights_of(["everything"]) == frozenset()
