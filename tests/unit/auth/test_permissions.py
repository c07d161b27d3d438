"""The whole table of permissions, cell by cell."""

from __future__ import annotations

from uuid import UUID

import pytest

from auth import permissions
from auth.permissions import Facts, Right, Role, Verdict

OWNER = UUID(int=1)
STRANGER = UUID(int=2)

READING = {Right.DOCUMENT_READ, Right.PROJECT_READ}
WRITING = {Right.DOCUMENT_EDIT, Right.PROJECT_CHANGE, Right.PROJECT_DELETE}


@pytest.mark.parametrize(
    ("is_public", "user", "role"),
    [
        (False, OWNER, Role.OWNER),
        (True, OWNER, Role.OWNER),
        (False, STRANGER, Role.NONE),
        (True, STRANGER, Role.VIEWER),
        (False, None, Role.NONE),
        (True, None, Role.VIEWER),
    ],
)
def test_the_role_comes_from_ownership_and_visibility(
    is_public: bool, user: UUID | None, role: Role
) -> None:
    assert permissions.role_for(Facts(OWNER, is_public), user) is role


@pytest.mark.parametrize("right", Right)
def test_an_owner_may_do_everything(right: Right) -> None:
    assert permissions.judge(Role.OWNER, right) is Verdict.ALLOWED


@pytest.mark.parametrize("right", Right)
def test_an_editor_reads_and_edits_the_music_only(right: Right) -> None:
    allowed = right in READING | {Right.DOCUMENT_EDIT}
    wanted = Verdict.ALLOWED if allowed else Verdict.REFUSED
    assert permissions.judge(Role.EDITOR, right) is wanted


@pytest.mark.parametrize("right", Right)
def test_a_viewer_looks_and_does_not_touch(right: Right) -> None:
    wanted = Verdict.ALLOWED if right in READING else Verdict.REFUSED
    assert permissions.judge(Role.VIEWER, right) is wanted


@pytest.mark.parametrize("right", Right)
def test_a_stranger_does_not_learn_that_the_project_exists(right: Right) -> None:
    assert permissions.judge(Role.NONE, right) is Verdict.HIDDEN


def test_every_right_is_either_reading_or_writing() -> None:
    assert set(Right) == READING | WRITING


def test_rights_are_listed_in_alphabetical_order() -> None:
    assert list(Right) == sorted(Right)
