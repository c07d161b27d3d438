"""From a credential and a project to what may be done: the same for REST and for rooms (no I/O).

Knows identities and permissions; not where memberships are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth.credentials import Guest, Identity
from auth.permissions import NOTHING, Access, Facts, Membership, Role, access_for

if TYPE_CHECKING:
    from uuid import UUID


def access_of(
    who: Identity | Guest | None,
    project_id: UUID,
    facts: Facts,
    member: Membership | None,
    *,
    link: Guest | None = None,
) -> Access:
    """What somebody may do with a project: never more than what they showed reaches.

    member: the collaboration of `who` in this project, if there is one. link: a share link that
    somebody with an account brought besides.
    """
    if isinstance(who, Guest):
        who, link = None, who
    door = link.role if link is not None and link.project_id == project_id else Role.NONE
    if who is None:
        access = access_for(facts, None, link=door)
        return access if link is None or link.cap is None else access.capped(link.cap)
    if who.project_id is not None and who.project_id != project_id:
        return NOTHING
    access = access_for(facts, who.user_id, member=member, link=door)
    if who.rights is not None:
        access = access.within(who.rights)
    return access if who.cap is None else access.capped(who.cap)
