"""Tickets over REST: what opens one room, so that no long-lived token stands in an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.shapes import sessions as shapes
from api.shapes.common import utc
from auth.permissions import Right, Role

if TYPE_CHECKING:
    from api.requests import Call


async def create(call: Call) -> shapes.Ticket:
    """A ticket for the project's room.

    It is good for entering within a minute (setting `ticket_seconds`); who has entered stays as long
    as the session, key or link that it was got with. It opens nothing else.
    """
    wanted = call.body(shapes.NewTicket).role
    cap = None if wanted is None else Role(wanted)
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_READ)
    access = found.access if cap is None else found.access.capped(cap)
    made = call.services.identities.ticket(call.identity, found.project.id, cap, link=call.link)
    room = found.project.room_id
    # What it can do counts: an owner's key that only reads opens the room as a viewer's would.
    role = access.role if Right.DOCUMENT_EDIT in access.rights else Role.VIEWER
    return shapes.Ticket(made.token, utc(made.expires_at), role.value, room, f"/sync/{room}")
