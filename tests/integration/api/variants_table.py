"""Who gets which answer from a project's routes, beyond the plain roles: adjusted, keyed, unproven, from outside.

Written by hand, like `access_table`, and for the same reason. `can_add_stems` and `can_delete_stems`
are recorded and told to clients, and not yet enforced inside a document: no answer here depends on
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .access_table import HIDDEN, NO, SIGN_IN, UNPROVEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .access_table import Answer

NOT_FOUND = (404, "invitation_not_found")
BY_SESSION = (403, "session_needed")

ROUTES = (
    "projects_show",
    "tickets_create",
    "documents_snapshot",
    "documents_update",
    "history_commit",
    "history_log",
    "history_show",
    "history_snapshot",
    "history_tag",
    "graph_graph",
    "history_tags",
    "history_untag",
    "history_diff",
    "history_restore",
    "past_history",
    "past_at",
    "past_blame",
    "past_changes",
    "past_rollback",
    "upkeep_prune",
    "upkeep_squash",
    "merging_merge",
    "merging_cherry_pick",
    "merging_revert",
    "branches_create",
    "branches_index",
    "branches_show",
    "branches_change",
    "branches_delete",
    "bundles_index",
    "bundles_create",
    "bundles_download",
    "bundles_delete",
    "members_index",
    "members_add",
    "members_change",
    "members_remove",
    "invitations_withdraw",
    "links_index",
    "links_create",
    "links_revoke",
    "projects_change",
    "members_transfer",
    "projects_delete",
)
"""What changes things for everybody comes last."""


class Asker(NamedTuple):
    """How somebody comes: exactly one of these, or nothing at all."""

    role: str | None = None
    fine: Mapping[str, bool] = {}
    proven: bool = True
    link: str | None = None
    scopes: tuple[str, ...] = ()
    """Of a key in the owner's hand."""
    elsewhere: bool = False
    """The key is for another project."""
    account: bool = True
    admin: bool = False
    """Of the server."""


class Gets(NamedTuple):
    """The routes that do what they are asked, and what all others say."""

    done: frozenset[str]
    otherwise: Answer
    but: Mapping[str, Answer] = {}


def member(role: str, *, proven: bool = True, **fine: bool) -> Asker:
    return Asker(role, fine, proven)


def gets(*routes: str, otherwise: Answer = NO, **but: Answer) -> Gets:
    return Gets(frozenset(" ".join(routes).split()), otherwise, but)


STRANGER, NOBODY = Asker(), Asker(account=False)

LOOKS = (
    "projects_show tickets_create history_log history_show history_tags history_diff"
    " branches_index branches_show graph_graph"
    " past_history past_blame past_changes"
    " bundles_index"
)
SEES = LOOKS + " documents_snapshot history_snapshot past_at bundles_download"
VIEWS = SEES + " members_index"
WRITES = (
    "documents_update history_commit history_tag history_untag history_restore"
    " branches_create branches_change branches_delete"
    " merging_merge merging_cherry_pick merging_revert"
    " past_rollback"
    " bundles_delete"
)
EDITS = f"{VIEWS} {WRITES} bundles_create"
MANAGES = (
    EDITS + " members_add members_change members_remove invitations_withdraw"
    " links_index links_create links_revoke projects_change"
)
OUTSIDE = gets(otherwise=HIDDEN)
# Of these it is said first that nobody without an account has them.
NEEDS_ACCOUNT: dict[str, Answer] = dict.fromkeys(
    set(ROUTES) - set(SEES.split()) - {"documents_update"}, SIGN_IN
)

PRIVATE: dict[str, tuple[Asker, Gets]] = {
    "editor with can_edit": (member("editor", can_edit=True), gets(EDITS)),
    "editor without can_edit": (member("editor", can_edit=False), gets(VIEWS)),
    "editor with can_add_stems": (member("editor", can_add_stems=True), gets(EDITS)),
    "editor without can_add_stems": (member("editor", can_add_stems=False), gets(EDITS)),
    "editor with can_delete_stems": (member("editor", can_delete_stems=True), gets(EDITS)),
    "editor without can_delete_stems": (member("editor", can_delete_stems=False), gets(EDITS)),
    "editor with can_invite_others": (
        member("editor", can_invite_others=True),
        gets(EDITS, "members_add", invitations_withdraw=NOT_FOUND),
    ),
    "editor without can_invite_others": (member("editor", can_invite_others=False), gets(EDITS)),
    "editor with can_export": (member("editor", can_export=True), gets(EDITS)),
    "editor without can_export": (
        member("editor", can_export=False),
        gets(LOOKS, "members_index", WRITES),
    ),
    "editor without anything": (
        member("editor", can_edit=False, can_export=False),
        gets(LOOKS, "members_index"),
    ),
    "viewer with can_invite_others": (
        member("viewer", can_invite_others=True),
        gets(VIEWS, "members_add", invitations_withdraw=NOT_FOUND),
    ),
    "viewer without can_invite_others": (member("viewer", can_invite_others=False), gets(VIEWS)),
    "viewer with can_export": (member("viewer", can_export=True), gets(VIEWS)),
    "viewer without can_export": (
        member("viewer", can_export=False),
        gets(LOOKS, "members_index"),
    ),
    # A record that no handler writes: what a viewer cannot be given does not count.
    "viewer with can_edit": (
        member("viewer", can_edit=True, can_add_stems=True),
        gets(VIEWS),
    ),
    "unproven admin": (
        member("admin", proven=False),
        gets(MANAGES, members_add=UNPROVEN, links_create=UNPROVEN),
    ),
    "unproven editor": (member("editor", proven=False), gets(EDITS)),
    "unproven editor with can_invite_others": (
        member("editor", proven=False, can_invite_others=True),
        gets(EDITS, members_add=UNPROVEN, invitations_withdraw=NOT_FOUND),
    ),
    "unproven viewer": (member("viewer", proven=False), gets(VIEWS)),
    "the server's administrator": (Asker(admin=True), OUTSIDE),
    "editor's link": (
        Asker(link="editor"),
        gets(SEES, "documents_update", **NEEDS_ACCOUNT),
    ),
    "viewer's link": (Asker(link="viewer"), gets(SEES, **NEEDS_ACCOUNT)),
    "owner's key to read": (Asker(scopes=("read",)), gets(VIEWS, members_transfer=BY_SESSION)),
    "owner's key to write": (
        Asker(scopes=("write",)),
        gets(EDITS, "projects_change", members_transfer=BY_SESSION),
    ),
    "owner's key for another project": (
        Asker(scopes=("manage",), elsewhere=True),
        gets(otherwise=HIDDEN, members_transfer=BY_SESSION),
    ),
    # Deletes the project: the last.
    "owner's key to manage": (
        Asker(scopes=("manage",)),
        gets(MANAGES, "upkeep_prune upkeep_squash projects_delete", members_transfer=BY_SESSION),
    ),
}

# Who looks in through an open door. To change the music they would have to sign in.
LOOKS_IN = gets(SEES, **NEEDS_ACCOUNT, documents_update=SIGN_IN)

WATCHED: dict[str, tuple[Asker, Gets]] = {
    "stranger": (STRANGER, gets(SEES)),
    "unproven stranger": (Asker(proven=False), gets(SEES)),
    "the server's administrator": (Asker(admin=True), gets(SEES)),
    "nobody": (NOBODY, LOOKS_IN),
    "viewer's link": (Asker(link="viewer"), gets(SEES, **NEEDS_ACCOUNT)),
    "editor's link": (Asker(link="editor"), gets(SEES, "documents_update", **NEEDS_ACCOUNT)),
    "viewer": (member("viewer"), gets(VIEWS)),
    "viewer without can_export": (
        member("viewer", can_export=False),
        gets(LOOKS, "members_index"),
    ),
    "editor": (member("editor"), gets(EDITS)),
    "editor without can_edit": (member("editor", can_edit=False), gets(VIEWS)),
    "owner's key to read": (Asker(scopes=("read",)), gets(VIEWS, members_transfer=BY_SESSION)),
}

PLAYED: dict[str, tuple[Asker, Gets]] = {
    "stranger": (STRANGER, gets(SEES, WRITES, "bundles_create")),
    "nobody": (NOBODY, gets(SEES, "documents_update", **NEEDS_ACCOUNT)),
    "viewer's link": (Asker(link="viewer"), gets(SEES, "documents_update", **NEEDS_ACCOUNT)),
    "viewer": (member("viewer"), gets(EDITS)),
    "viewer with can_invite_others": (
        member("viewer", can_invite_others=True),
        gets(EDITS, "members_add", invitations_withdraw=NOT_FOUND),
    ),
    "editor without can_edit": (member("editor", can_edit=False), gets(VIEWS)),
    "owner's key to read": (Asker(scopes=("read",)), gets(VIEWS, members_transfer=BY_SESSION)),
}

SCENES: dict[str, tuple[dict[str, object], dict[str, tuple[Asker, Gets]]]] = {
    "private": ({}, PRIVATE),
    "public": ({"isPublic": True}, WATCHED),
    "guests view": ({"guestRole": "viewer"}, WATCHED),
    "guests edit": ({"guestRole": "editor"}, PLAYED),
}
"""A project's doors, and who is asked in front of them."""

RANKS = ("admin", "editor", "viewer")

GIVES: dict[str, tuple[Asker, tuple[Answer, Answer, Answer]]] = {
    "owner's key to manage": (Asker(scopes=("manage",)), (201, 201, 201)),
    "owner's key to write": (Asker(scopes=("write",)), (NO, NO, NO)),
    "admin": (member("admin"), (NO, 201, 201)),
    "editor": (member("editor"), (NO, NO, NO)),
    "viewer": (member("viewer"), (NO, NO, NO)),
    "editor who invites": (member("editor", can_invite_others=True), (NO, 201, 201)),
    "viewer who invites": (member("viewer", can_invite_others=True), (NO, NO, 201)),
    "editor who invites but may not edit": (
        member("editor", can_invite_others=True, can_edit=False),
        (NO, NO, 201),
    ),
    "editor who invites but may not export": (
        member("editor", can_invite_others=True, can_export=False),
        (NO, NO, NO),
    ),
}
"""Who lets somebody in as which of RANKS."""

TAKES: dict[str, tuple[Asker, tuple[Answer, Answer, Answer]]] = {
    "owner's key to manage": (Asker(scopes=("manage",)), (204, 204, 204)),
    "owner's key to write": (Asker(scopes=("write",)), (NO, NO, NO)),
    "admin": (member("admin"), (NO, 204, 204)),
    "editor who invites": (member("editor", can_invite_others=True), (NO, NO, NO)),
    "viewer who invites": (member("viewer", can_invite_others=True), (NO, NO, NO)),
}
"""Who takes which of RANKS out. The owner stays: NO for all, and `owner_stays` to themselves."""

RAISES: dict[str, tuple[Asker, tuple[Answer, Answer, Answer]]] = {
    "owner's key to manage": (Asker(scopes=("manage",)), (200, 200, 200)),
    "owner's key to write": (Asker(scopes=("write",)), (NO, NO, NO)),
    "admin": (member("admin"), (NO, 200, 200)),
    "editor who invites": (member("editor", can_invite_others=True), (NO, NO, NO)),
}
"""Who makes a viewer which of RANKS."""
