"""Members: the routes about who works on a project, invitations and share links."""

from __future__ import annotations

from typing import Final

from api import invitations, links, members
from api.route import PROJECT, Auth, Limit, Route
from api.shapes import members as shapes
from auth import errors as auth
from auth.accounts import EmailNotVerified
from auth.invitations import AlreadyInvited, InvitationNotFound
from auth.links import LinkNotFound, LinksFull
from auth.members import (
    AlreadyCollaborator,
    CollaboratorNotFound,
    CollaboratorsFull,
    OwnerStays,
    OwnerUnfit,
    PermissionsInvalid,
    UserNotFound,
)
from base.db import DatabaseUnavailable
from docstore.errors import ProjectNotFound

_PROJECT: Final = (ProjectNotFound, auth.NotAllowed, DatabaseUnavailable)

COLLABORATORS: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path=PROJECT + "/collaborators",
        handler=members.add,
        summary="Add a person to a project, or invite an address",
        tag="members",
        auth=Auth.REQUIRED,
        limit=Limit.STRICT,
        body=shapes.NewCollaborator,
        answer=shapes.Joined,
        status=201,
        raises=(
            *_PROJECT,
            auth.EmailInvalid,
            EmailNotVerified,
            UserNotFound,
            AlreadyCollaborator,
            AlreadyInvited,
            CollaboratorsFull,
            PermissionsInvalid,
        ),
    ),
    Route(
        method="GET",
        path=PROJECT + "/collaborators",
        handler=members.index,
        summary="List who works on a project",
        tag="members",
        auth=Auth.REQUIRED,
        answer=shapes.Crew,
        raises=_PROJECT,
    ),
    Route(
        method="PUT",
        path=PROJECT + "/collaborators/{user_id}",
        handler=members.change,
        summary="Change a collaborator's role or permissions; what the body leaves out stays",
        tag="members",
        auth=Auth.REQUIRED,
        body=shapes.CollaboratorChanges,
        answer=shapes.Collaborator,
        raises=(*_PROJECT, CollaboratorNotFound, PermissionsInvalid),
    ),
    Route(
        method="DELETE",
        path=PROJECT + "/collaborators/{user_id}",
        handler=members.remove,
        summary="Remove a collaborator, or leave",
        tag="members",
        auth=Auth.REQUIRED,
        status=204,
        raises=(*_PROJECT, CollaboratorNotFound, OwnerStays),
    ),
    Route(
        method="POST",
        path=PROJECT + "/transfer",
        handler=members.transfer,
        summary="Give a project to one of its collaborators",
        tag="members",
        auth=Auth.SESSION,
        body=shapes.NewOwner,
        status=204,
        raises=(*_PROJECT, CollaboratorNotFound, OwnerUnfit),
    ),
)

INVITATIONS: Final[tuple[Route, ...]] = (
    Route(
        method="DELETE",
        path=PROJECT + "/invitations/{invitation_id}",
        handler=invitations.withdraw,
        summary="Take an invitation back",
        tag="members",
        auth=Auth.REQUIRED,
        status=204,
        raises=(*_PROJECT, InvitationNotFound),
    ),
    Route(
        method="GET",
        path="/api/invitations",
        handler=invitations.index,
        summary="List the invitations to your address",
        tag="members",
        auth=Auth.SESSION,
        answer=shapes.Offers,
        raises=(DatabaseUnavailable,),
    ),
    # Before the one with an id: paths are tried in this order.
    Route(
        method="POST",
        path="/api/invitations/accept",
        handler=invitations.accept_token,
        summary="Accept an invitation by the token of its letter",
        tag="members",
        auth=Auth.SESSION,
        limit=Limit.STRICT,
        body=shapes.InvitationToken,
        answer=shapes.Accepted,
        raises=(InvitationNotFound, DatabaseUnavailable),
    ),
    Route(
        method="POST",
        path="/api/invitations/{invitation_id}/accept",
        handler=invitations.accept,
        summary="Accept an invitation to your address",
        tag="members",
        auth=Auth.SESSION,
        answer=shapes.Accepted,
        raises=(InvitationNotFound, DatabaseUnavailable),
    ),
    Route(
        method="POST",
        path="/api/invitations/{invitation_id}/decline",
        handler=invitations.decline,
        summary="Decline an invitation to your address",
        tag="members",
        auth=Auth.SESSION,
        status=204,
        raises=(InvitationNotFound, DatabaseUnavailable),
    ),
)

LINKS: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path=PROJECT + "/links",
        handler=links.create,
        summary="Make a share link; its token is told this once",
        tag="members",
        auth=Auth.REQUIRED,
        body=shapes.NewLink,
        answer=shapes.MadeLink,
        status=201,
        raises=(*_PROJECT, EmailNotVerified, LinksFull),
    ),
    Route(
        method="GET",
        path=PROJECT + "/links",
        handler=links.index,
        summary="List a project's share links",
        tag="members",
        auth=Auth.REQUIRED,
        answer=shapes.Links,
        raises=_PROJECT,
    ),
    Route(
        method="DELETE",
        path=PROJECT + "/links/{link_id}",
        handler=links.revoke,
        summary="Take a share link back",
        tag="members",
        auth=Auth.REQUIRED,
        status=204,
        raises=(*_PROJECT, LinkNotFound),
    ),
)

ROUTES: Final[tuple[Route, ...]] = (*COLLABORATORS, *INVITATIONS, *LINKS)
