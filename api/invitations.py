"""Invitations over REST: mine to accept or decline, a project's to withdraw."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from api.shapes import members as shapes
from auth import accounts, audit, invitations, verification
from auth.changes import ProjectChanged
from auth.errors import NotAllowed
from auth.invitations import InvitationNotFound
from auth.permissions import Right, may_change

if TYPE_CHECKING:
    from uuid import UUID

    from api.requests import Call
    from base.db import Tx


async def index(call: Call) -> shapes.Offers:
    """The invitations to the asker's proven address."""
    async with call.services.database.connection() as tx:
        found = await invitations.offers(tx, call.user.user_id, call.services.now())
    return shapes.Offers([shapes.Offer.of(each) for each in found])


async def accept(call: Call) -> shapes.Accepted:
    """Take an invitation to your proven address."""
    number = call.path_id("invitation_id", InvitationNotFound)
    now, client = call.services.now(), call.client
    async with call.services.database.transaction() as tx:
        taken = await invitations.accept(
            tx, call.user.user_id, number, now, ip=client.ip, agent=client.agent
        )
    return await _accepted(call, taken)


async def accept_token(call: Call) -> shapes.Accepted:
    """Take the invitation of a letter. Whoever holds its token may, also by another address.

    If the letter went to your own address, it is proven by that. Who took the invitation before and
    is still there gets the same answer again.
    """
    token = call.body(shapes.InvitationToken).token
    me, now, client = call.user.user_id, call.services.now(), call.client
    async with call.services.database.transaction() as tx:
        account = await accounts.find(tx, me)
        entered: list[UUID] = []
        # First, as it enters all that waits for the address in one order, this project among them.
        if account is not None and await invitations.address(tx, token, now) == account.email:
            entered = await verification.prove(
                tx, account, now=now, ip=client.ip, agent=client.agent
            )
        taken = await invitations.accept_token(tx, me, token, now, ip=client.ip, agent=client.agent)
    await call.services.changes.tell(*map(ProjectChanged, entered))
    return await _accepted(call, taken)


async def decline(call: Call) -> None:
    """Refuse an invitation to your proven address."""
    number = call.path_id("invitation_id", InvitationNotFound)
    async with call.services.database.transaction() as tx:
        project = await invitations.decline(tx, call.user.user_id, number, call.services.now())
        await _withdrawn(call, tx, project, number, declined=True)


async def withdraw(call: Call) -> None:
    """Take back an invitation that you made, or any of a role that you may take away."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.ACCESS_INVITE)
        number = call.path_id("invitation_id", InvitationNotFound)
        gone = await invitations.withdraw(tx, found.project.id, number, call.services.now())
        mine = gone.invited_by == call.user.user_id
        if not mine and Right.ACCESS_CHANGE not in found.access.rights:
            raise InvitationNotFound  # a key of few scopes does not even see it
        if not mine and not may_change(found.access, gone.member.role):
            raise NotAllowed
        await _withdrawn(call, tx, found.project.id, number, declined=False)


async def _accepted(call: Call, taken: invitations.Taken) -> shapes.Accepted:
    if taken.added:
        await call.services.changes.tell(ProjectChanged(taken.project_id))
    return shapes.Accepted(taken.project_id, cast("shapes.HeldRole", taken.role.value))


async def _withdrawn(call: Call, tx: Tx, project_id: UUID, number: UUID, *, declined: bool) -> None:
    await audit.record(
        tx,
        audit.Kind.INVITATION_WITHDRAWN,
        at=call.services.now(),
        actor=call.user.user_id,
        project=project_id,
        ip=call.client.ip,
        agent=call.client.agent,
        invitation=str(number),
        declined=declined,
    )
