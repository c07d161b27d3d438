"""What somebody shows, and how far it reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from auth.access import access_of
from auth.credentials import Guest, Identity, Kind
from auth.permissions import NOTHING, RIGHTS, Facts, Membership, Right, Role

OWNER, ANNA = UUID(int=1), UUID(int=2)
HERE, ELSEWHERE = UUID(int=3), UUID(int=4)
PRIVATE = Facts(OWNER, is_public=False)
EDITOR = Membership(Role.EDITOR)
LINK = Guest(UUID(int=5), HERE, Role.EDITOR, datetime(2027, 1, 1, tzinfo=UTC))


def anna(
    *,
    user: UUID = ANNA,
    rights: frozenset[Right] | None = None,
    project: UUID | None = None,
    cap: Role | None = None,
) -> Identity:
    return Identity(user, "anna", Kind.KEY, UUID(int=6), None, rights, project, cap)


def test_an_account_has_what_the_project_says() -> None:
    assert access_of(anna(user=OWNER), HERE, PRIVATE, None).role is Role.OWNER
    assert access_of(anna(), HERE, PRIVATE, EDITOR).role is Role.EDITOR
    assert access_of(anna(), HERE, PRIVATE, None) == NOTHING
    assert access_of(None, HERE, PRIVATE, None) == NOTHING


def test_a_link_opens_its_own_project_and_no_other() -> None:
    assert access_of(LINK, HERE, PRIVATE, None).role is Role.EDITOR
    assert access_of(LINK, ELSEWHERE, PRIVATE, None) == NOTHING


def test_a_link_beside_an_account_adds_to_it() -> None:
    viewer = Membership(Role.VIEWER)
    assert access_of(anna(), HERE, PRIVATE, viewer, link=LINK).role is Role.EDITOR
    assert access_of(anna(), ELSEWHERE, PRIVATE, viewer, link=LINK).role is Role.VIEWER
    assert access_of(anna(), HERE, PRIVATE, Membership(Role.ADMIN), link=LINK).role is Role.ADMIN


def test_a_guest_is_nobodys_member() -> None:
    found = access_of(LINK, HERE, PRIVATE, Membership(Role.ADMIN))
    assert found.role is Role.EDITOR
    assert Right.ACCESS_READ not in found.rights


def test_a_key_for_one_project_opens_no_other_not_even_a_public_one() -> None:
    public = Facts(OWNER, is_public=True)
    key = anna(user=OWNER, project=HERE)
    assert access_of(key, HERE, public, None).role is Role.OWNER
    assert access_of(key, ELSEWHERE, public, None) == NOTHING


def test_scopes_and_a_cap_both_bind() -> None:
    scopes = frozenset({Right.PROJECT_READ, Right.DOCUMENT_EDIT})
    assert access_of(anna(rights=scopes), HERE, PRIVATE, EDITOR).rights == scopes
    capped = access_of(anna(cap=Role.VIEWER), HERE, PRIVATE, EDITOR)
    assert (capped.role, capped.rights) == (Role.VIEWER, RIGHTS[Role.VIEWER])
    both = access_of(anna(rights=scopes, cap=Role.VIEWER), HERE, PRIVATE, EDITOR)
    assert both.rights == {Right.PROJECT_READ}
