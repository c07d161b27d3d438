"""docs/rights.md is the table that the server asks."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from api.shapes import members, projects
from auth.permissions import ADJUSTABLE, FINE, RIGHTS, Right, Role

PAGE = (Path(__file__).parents[2] / "docs" / "rights.md").read_text()


def test_every_right_has_its_line_and_every_cell_is_right() -> None:
    lines = re.findall(
        r"^\| `([a-z]+:[a-z]+)` \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|", PAGE, re.MULTILINE
    )
    roles = (Role.OWNER, Role.ADMIN, Role.EDITOR, Role.VIEWER)
    assert [(right, *cells) for right, *cells in lines] == [
        (right.value, *("yes" if right in RIGHTS[role] else "no" for role in roles))
        for right in Right
    ]


def test_every_fine_permission_has_its_line() -> None:
    lines = re.findall(
        r"^\| `(can\w+)` \| `([a-z:]+)` \| ([\w ]+) \| ([\w ]+) \|", PAGE, re.MULTILINE
    )
    assert lines == [
        (msgspec_name(name), right.value, cell(Role.EDITOR, name), cell(Role.VIEWER, name))
        for name, right in FINE.items()
    ]


def test_what_is_not_enforced_yet_is_said_wherever_it_is_shown() -> None:
    told = (PAGE, projects.Permissions.__doc__, members.PermissionChanges.__doc__)
    for said in told:
        assert re.search(
            r"`canAddStems` and `canDeleteStems` are [\w\s,]*not (yet )?enforced inside\s+a document",
            said or "",
        )


def msgspec_name(name: str) -> str:
    shape = msgspec.defstruct("Shape", [(name, bool)], rename="camel")
    return shape.__struct_encode_fields__[0]


def cell(role: Role, name: str) -> str:
    if name not in ADJUSTABLE[role]:
        return "never"
    return "can be denied" if FINE[name] in RIGHTS[role] else "can be given"
