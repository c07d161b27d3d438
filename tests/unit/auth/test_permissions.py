"""The whole table of permissions, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from auth import permissions
from auth.permissions import (
    FINE,
    RIGHTS,
    Access,
    Facts,
    Membership,
    Right,
    Role,
    Verdict,
    access_for,
    judge,
    may_change,
    may_grant,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER, MEMBER = UUID(int=1), UUID(int=2)
CLOSED = Facts(OWNER, is_public=False)

# A letter for each right, in alphabetical order: Change, Invite, Read (people), Share; Edit, eXport,
# Hear; Name, Delete, See, Transfer; Add, Take stems.
LETTERS = dict(zip("CIRSBEXHWNDPTAM", Right, strict=True))
TABLE = {
    Role.OWNER: "CIRSBEXHWNDPTAM",
    Role.ADMIN: "CIRSBEXH-N-P-AM",
    Role.EDITOR: "--R--EXH---P-AM",
    Role.VIEWER: "--R---XH---P---",
    Role.NONE: "---------------",
}
MEMBERS = (Role.ADMIN, Role.EDITOR, Role.VIEWER)


def rights(letters: str) -> frozenset[Right]:
    return frozenset(LETTERS[letter] for letter in letters if letter != "-")


def member(role: Role, **fine: bool) -> Access:
    if role is Role.OWNER:
        return access_for(CLOSED, OWNER)
    return access_for(CLOSED, MEMBER, member=Membership(role, fine))


def test_rights_are_listed_in_alphabetical_order() -> None:
    assert list(Right) == sorted(Right)


@pytest.mark.parametrize("role", Role)
def test_a_role_has_the_rights_of_its_line(role: Role) -> None:
    assert RIGHTS[role] == rights(TABLE[role])


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("role", [Role.OWNER, *MEMBERS])
def test_who_is_named_is_allowed_or_refused(role: Role, right: Right) -> None:
    wanted = Verdict.ALLOWED if right in rights(TABLE[role]) else Verdict.REFUSED
    assert judge(member(role), right) is wanted


@pytest.mark.parametrize("right", Right)
def test_a_stranger_does_not_learn_that_the_project_exists(right: Right) -> None:
    for user in (MEMBER, None):
        assert judge(access_for(CLOSED, user), right) is Verdict.HIDDEN


@pytest.mark.parametrize("user", [MEMBER, None])
@pytest.mark.parametrize("link", [Role.NONE, Role.VIEWER, Role.EDITOR])
@pytest.mark.parametrize("guest_role", [Role.NONE, Role.VIEWER, Role.EDITOR])
@pytest.mark.parametrize("is_public", [False, True])
def test_the_best_door_counts_and_shows_no_people(
    is_public: bool, guest_role: Role, link: Role, user: UUID | None
) -> None:
    found = access_for(Facts(OWNER, is_public, guest_role), user, link=link)
    if Role.EDITOR in (guest_role, link):
        wanted = Role.EDITOR
    elif is_public or Role.VIEWER in (guest_role, link):
        wanted = Role.VIEWER
    else:
        wanted = Role.NONE
    assert found == Access(wanted, RIGHTS[wanted] - {Right.ACCESS_READ})


@pytest.mark.parametrize("door", [Role.NONE, Role.VIEWER, Role.EDITOR])
def test_an_owner_is_the_owner_whatever_is_open(door: Role) -> None:
    facts = Facts(OWNER, is_public=True, guest_role=door)
    found = access_for(facts, OWNER, member=Membership(Role.VIEWER), link=door)
    assert found == Access(Role.OWNER, frozenset(Right))


@pytest.mark.parametrize(
    ("role", "fine", "letters"),
    [
        (Role.EDITOR, {"can_edit": False}, "--R---XH---P---"),
        (Role.EDITOR, {"can_add_stems": False}, "--R--EXH---P--M"),
        (Role.EDITOR, {"can_delete_stems": False}, "--R--EXH---P-A-"),
        (Role.EDITOR, {"can_invite_others": True}, "-IR--EXH---P-AM"),
        (Role.EDITOR, {"can_export": False}, "--R--E-H---P-AM"),
        (Role.VIEWER, {"can_export": False}, "--R----H---P---"),
        (Role.VIEWER, {"can_invite_others": True}, "-IR---XH---P---"),
        (Role.VIEWER, {"can_edit": True}, TABLE[Role.VIEWER]),
        (Role.VIEWER, {"can_add_stems": True, "can_delete_stems": True}, TABLE[Role.VIEWER]),
        (Role.ADMIN, dict.fromkeys(FINE, False), TABLE[Role.ADMIN]),
        (Role.EDITOR, {"can_fly": True}, TABLE[Role.EDITOR]),
    ],
)
def test_fine_permissions_give_and_take_single_rights(
    role: Role, fine: Mapping[str, bool], letters: str
) -> None:
    assert member(role, **fine) == Access(role, rights(letters))
    assert permissions.held(Membership(role, fine)) == Access(role, rights(letters))


def test_a_door_lifts_a_member_but_gives_nothing_back_that_was_taken_by_name() -> None:
    open_wide = Facts(OWNER, is_public=True, guest_role=Role.EDITOR)
    lifted = access_for(open_wide, MEMBER, member=Membership(Role.VIEWER, {"can_export": False}))
    assert lifted == Access(Role.EDITOR, RIGHTS[Role.EDITOR] - {Right.DOCUMENT_EXPORT})
    muted = access_for(open_wide, MEMBER, member=Membership(Role.EDITOR, {"can_edit": False}))
    assert Right.DOCUMENT_EDIT not in muted.rights
    admin = access_for(open_wide, MEMBER, member=Membership(Role.ADMIN))
    assert admin.role is Role.ADMIN


def test_what_was_taken_by_name_stays_taken_when_a_door_lifts_a_lesser_role() -> None:
    open_wide = Facts(OWNER, is_public=True, guest_role=Role.EDITOR)
    found = access_for(open_wide, MEMBER, member=Membership(Role.VIEWER, {"can_edit": False}))
    assert found.role is Role.EDITOR
    assert Right.DOCUMENT_EDIT not in found.rights


@pytest.mark.parametrize(
    ("role", "old", "wanted", "left"),
    [
        (Role.VIEWER, {"can_edit": False}, {}, {"can_edit": False}),
        (Role.ADMIN, {"can_edit": False}, {}, {"can_edit": False}),
        (Role.EDITOR, {"can_edit": False}, {"can_edit": False}, {"can_edit": False}),
        (Role.EDITOR, {"can_edit": False}, {"can_edit": True}, {}),
        (Role.VIEWER, {"can_invite_others": True}, {}, {"can_invite_others": True}),
        (Role.VIEWER, {"can_invite_others": True}, {"can_invite_others": False}, {}),
        (Role.ADMIN, {"can_invite_others": True}, {}, {}),
    ],
)
def test_what_was_taken_stays_and_what_was_given_goes_with_its_role(
    role: Role, old: dict[str, bool], wanted: dict[str, bool], left: dict[str, bool]
) -> None:
    assert permissions.kept(role, old, wanted) == left


def test_a_key_reaches_no_further_than_its_scopes() -> None:
    scopes = frozenset({Right.PROJECT_READ, Right.DOCUMENT_READ, Right.PROJECT_DELETE})
    assert member(Role.EDITOR).within(scopes).rights == scopes - {Right.PROJECT_DELETE}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("cap", Role)
def test_a_cap_is_the_lower_of_two_roles(role: Role, cap: Role) -> None:
    found = Access(role, RIGHTS[role]).capped(cap)
    least = role if role.rank <= cap.rank else cap
    assert found == Access(least, RIGHTS[least])


def test_a_cap_keeps_what_was_taken_by_name() -> None:
    capped = member(Role.EDITOR, can_export=False).capped(Role.VIEWER)
    assert capped.rights == RIGHTS[Role.VIEWER] - {Right.DOCUMENT_EXPORT}


@pytest.mark.parametrize(
    ("granter", "gives"),
    [
        (member(Role.OWNER), {Role.ADMIN, Role.EDITOR, Role.VIEWER}),
        (member(Role.ADMIN), {Role.EDITOR, Role.VIEWER}),
        (member(Role.EDITOR), set[Role]()),
        (member(Role.EDITOR, can_invite_others=True), {Role.EDITOR, Role.VIEWER}),
        (member(Role.VIEWER), set[Role]()),
        (member(Role.VIEWER, can_invite_others=True), {Role.VIEWER}),
        (access_for(Facts(OWNER, is_public=True), MEMBER), set[Role]()),
    ],
)
def test_nobody_gives_a_role_above_their_own(granter: Access, gives: set[Role]) -> None:
    assert {role for role in Role if may_grant(granter, role, {})} == gives


def test_nobody_gives_a_right_that_they_do_not_have() -> None:
    mute = member(Role.EDITOR, can_invite_others=True, can_export=False)
    assert not may_grant(mute, Role.EDITOR, {})
    assert may_grant(mute, Role.EDITOR, {"can_export": False})
    assert may_grant(mute, Role.EDITOR, {"can_export": False, "can_invite_others": True})


def test_a_key_of_few_scopes_does_not_let_an_accomplice_in() -> None:
    key = member(Role.OWNER).within(frozenset({Right.ACCESS_INVITE}))
    assert not any(may_grant(key, role, {}) for role in Role)
    wider = member(Role.OWNER).within(RIGHTS[Role.VIEWER] | {Right.ACCESS_INVITE})
    assert {role for role in Role if may_grant(wider, role, {})} == {Role.VIEWER}


@pytest.mark.parametrize(
    ("granter", "changes"),
    [
        (member(Role.OWNER), set(MEMBERS) | {Role.NONE}),
        (member(Role.ADMIN), {Role.EDITOR, Role.VIEWER, Role.NONE}),
        (member(Role.EDITOR, can_invite_others=True), set[Role]()),
        (member(Role.VIEWER), set[Role]()),
        (access_for(CLOSED, None), set[Role]()),
    ],
)
def test_only_who_has_less_can_be_changed(granter: Access, changes: set[Role]) -> None:
    assert {role for role in Role if may_change(granter, role)} == changes


def test_what_a_role_has_anyway_is_no_difference() -> None:
    wanted = {"can_edit": True, "can_export": False, "can_invite_others": False}
    assert permissions.differences(Role.EDITOR, wanted) == {"can_export": False}
    assert permissions.differences(Role.ADMIN, dict.fromkeys(FINE, True)) == {}


@pytest.mark.parametrize(
    ("role", "fine", "names"),
    [
        (Role.EDITOR, dict.fromkeys(FINE, False), list[str]()),
        (Role.VIEWER, {"can_edit": True, "can_export": False}, ["can_edit"]),
        (Role.ADMIN, {"can_export": False, "can_edit": False}, ["can_edit", "can_export"]),
    ],
)
def test_some_roles_cannot_have_some_permissions(
    role: Role, fine: dict[str, bool], names: list[str]
) -> None:
    assert permissions.unfit(role, fine) == names
