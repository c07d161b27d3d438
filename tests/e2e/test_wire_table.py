"""Every message of the wire, said by every kind of person: taken, answered, or refused.

Who may enter is one table, what a message does another; a new kind of message without a row, or a
role without a column, fails here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from auth import permissions
from syncserver.wire import events
from tests.e2e import rest, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e

GUEST_DOORS = ("none", "viewer", "editor")


@dataclass
class Scene:
    """A project with people of every kind, and what each of them enters with."""

    project: Project
    tokens: dict[str, str | None]


class Entry(NamedTuple):
    """May they come in, and may they edit."""

    closed: wire.Closed | None
    edits: bool = False


READS, EDITS = Entry(None), Entry(None, edits=True)
GONE = Entry(wire.Closed(4404, "there is no such room"))
SIGN_IN = Entry(wire.Closed(4401, "token_missing"))

WHO: dict[str, Entry] = {
    "owner": EDITS,
    "admin": EDITS,
    "editor": EDITS,
    "editor without canAddStems": EDITS,
    "editor without canDeleteStems": EDITS,
    "editor with canInviteOthers": EDITS,
    "editor without canExport": EDITS,
    "editor without canEdit": READS,
    "viewer": READS,
    "editor's link": EDITS,
    "viewer's link": READS,
    "owner's ticket": EDITS,
    "owner's ticket as viewer": READS,
    "owner's key to write": EDITS,
    "owner's key to read": READS,
    "stranger": GONE,
    "nobody": SIGN_IN,
    "disabled": Entry(wire.Closed(4401, "session_ended")),
}
"""Without a proven address one enters one's own rooms like anybody: that is the REST table's."""


class Said(NamedTuple):
    """What is sent, and what comes of it for who may edit and for who may only read."""

    message: bytes | int
    """The bytes, or which kind of sync message an edit travels in."""
    edits: str
    reads: str

    def written(self, key: str) -> bytes:
        """The message; an edit sets this key."""
        if isinstance(self.message, bytes):
            return self.message
        body = wire.small_update("takes", key, 1)
        return bytes([wire.SYNC, self.message]) + wire.var_bytes(body)


MESSAGES: dict[int, Said] = {
    events.STEP1: Said(wire.step1(), "answered", "answered"),
    events.STEP2: Said(wire.STEP2, "taken", "refused"),
    events.UPDATE: Said(wire.UPDATE, "taken", "refused"),
    events.AWARENESS: Said(wire.awareness((7, 1, '{"here": true}')), "shown", "shown"),
    events.QUERY_AWARENESS: Said(b"\x03", "present", "present"),
    events.SYNC_STATUS: Said(wire.acknowledge(5), "echoed", "echoed"),
    events.IGNORED: Said(b"\x63\x01\x02", "ignored", "ignored"),
    events.MALFORMED: Said(b"\x00\x02\xff\xff\xff", "4400", "4400"),
}
"""REFUSED is no message, but what becomes of an edit by who may only read."""


def test_every_kind_of_message_has_a_row() -> None:
    kinds = {value for name, value in vars(events).items() if name.isupper() and name[0] != "_"}
    assert {kind for kind in kinds if isinstance(kind, int)} == MESSAGES.keys() | {events.REFUSED}


def test_every_role_and_fine_permission_has_a_column() -> None:
    named = " ".join(WHO).lower()
    for role in set(permissions.Role) - {permissions.Role.NONE}:
        assert role.value in named
    for name in permissions.FINE:
        assert name.replace("_", "") in named


@pytest.fixture
async def scene(api: Rest, owner: Account) -> Scene:
    project = await api.project(owner)
    path = f"/api/projects/{project.id}"
    tokens: dict[str, str | None] = {"owner": owner.token, "nobody": None}

    async def member(kind: str, role: str, **fine: bool) -> None:
        one = await api.account("member")
        body = {"userId": one.user.id, "role": role, "permissions": fine}
        await api.call("POST", f"{path}/collaborators", owner, body, status=201)
        tokens[kind] = one.token

    await member("admin", "admin")
    await member("editor", "editor")
    await member("viewer", "viewer")
    for fine in ("canEdit", "canAddStems", "canDeleteStems", "canExport"):
        await member(f"editor without {fine}", "editor", **{fine: False})
    await member("editor with canInviteOthers", "editor", canInviteOthers=True)
    for role in ("editor", "viewer"):
        made = await api.call("POST", f"{path}/links", owner, {"role": role}, status=201)
        tokens[f"{role}'s link"] = made["token"]
    tickets: list[tuple[str, dict[str, Any]]] = [
        ("owner's ticket", {}),
        ("owner's ticket as viewer", {"role": "viewer"}),
    ]
    for kind, body in tickets:
        tokens[kind] = (await api.call("POST", f"{path}/ticket", owner, body))["ticket"]
    for kind, scopes in (("write", ["read", "write"]), ("read", ["read"])):
        body = {"name": kind, "scopes": scopes}
        made = await api.call("POST", "/api/auth/keys", owner, body, status=201)
        tokens[f"owner's key to {kind}"] = made["token"]
    tokens["stranger"] = (await api.account("stranger")).token
    gone = await api.account("gone")
    await api.call("DELETE", "/api/users/me", gone, {"password": rest.PASSWORD}, status=204)
    tokens["disabled"] = gone.token
    assert tokens.keys() == WHO.keys()
    return Scene(project, tokens)


async def _outcome(peer: wire.Peer, said: Said, key: str) -> str:
    """What came of a message, as its sender can see it; then the connection is done with."""
    await peer.pull()
    peer.frames.clear()
    sent = said.written(key)
    await peer.send(sent)
    if said.edits == "4400":
        return str((await peer.closed()).code)
    if said.edits == "answered":
        await peer.next(lambda frame: wire.sync_body(frame, wire.STEP2) is not None)
        return "answered"
    if said.edits == "echoed":
        await peer.next(lambda frame: frame == sent)
        return "echoed"
    there = key in await peer.document_keys("takes")
    heard = peer.frames
    if any(frame[:2] == b"\x02\x00" for frame in heard):
        assert not there, "refused, and taken all the same"
        return "refused"
    if there:
        return "taken"
    states = [state for frame in heard for state in wire.awareness_states(frame) or ()]
    if said.edits == "shown" and any(client == 7 for client, _, _ in states):
        return "shown"
    if said.edits == "present" and any(frame[:1] == bytes([wire.AWARENESS]) for frame in heard):
        return "present"
    return "ignored"


@pytest.mark.parametrize("kind", WHO)
async def test_everybody_says_everything(server: Server, scene: Scene, kind: str) -> None:
    entry, token = WHO[kind], scene.tokens[kind]
    for number, said in MESSAGES.items():
        async with wire.peer(server.ws_url, scene.project.room_id, token) as peer:
            if entry.closed is not None:
                await peer.send_if_open(said.written("never"))
                assert await peer.closed() == entry.closed
                assert peer.frames == []
            else:
                wanted = said.edits if entry.edits else said.reads
                assert await _outcome(peer, said, f"by {number}") == wanted, number


@pytest.mark.parametrize("door", GUEST_DOORS)
async def test_without_any_token_one_is_what_the_door_says(
    server: Server, api: Rest, owner: Account, door: str
) -> None:
    project = await api.project(owner)
    await api.call("PUT", f"/api/projects/{project.id}", owner, {"guestRole": door})
    async with wire.peer(server.ws_url, project.room_id) as guest:
        if door == "none":
            assert await guest.closed() == SIGN_IN.closed
            return
        said = MESSAGES[events.UPDATE]
        wanted = said.edits if door == "editor" else said.reads
        assert await _outcome(guest, said, "by a guest") == wanted
