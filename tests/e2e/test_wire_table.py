"""Every message of the wire, said by every kind of person: taken, answered, or refused.

Who may enter is one table, what a message does another; a new kind of message without a row, or a
role without a column, fails here. `canAddStems` and `canDeleteStems` are recorded and told to clients, and not
yet enforced inside a document: an editor without them still says everything that an editor says.
"""

from __future__ import annotations

import os
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest

from auth import permissions
from syncserver.wire import events
from tests.e2e import harness, rest, wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.e2e.harness import Server
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e

WITNESS = 1
"""The client by which the owner is present."""


@dataclass
class Scene:
    """A project with people of every kind, and what each of them enters with."""

    owner: Account
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
    "viewer with canInviteOthers": READS,
    "viewer without canExport": READS,
    "editor's link": EDITS,
    "viewer's link": READS,
    "owner's ticket": EDITS,
    "owner's ticket as viewer": READS,
    "owner's key to write": EDITS,
    "owner's key to read": READS,
    "stranger": GONE,
    "nobody": SIGN_IN,
    "disabled": Entry(wire.Closed(4401, "session_ended")),
    "closed": Entry(wire.Closed(4401, "session_ended")),
}
"""Without a proven address one enters one's own rooms like anybody: that is the REST table's."""

TICKETS: dict[str, dict[str, Any]] = {
    "owner's ticket": {},
    "owner's ticket as viewer": {"role": "viewer"},
}

DOORS: dict[str, tuple[dict[str, object], Entry, Entry]] = {
    # what the owner says, and what comes of it for strangers and for those without any token
    "shut": ({"guestRole": "none"}, GONE, SIGN_IN),
    "public": ({"isPublic": True}, READS, READS),
    "guests view": ({"guestRole": "viewer"}, READS, READS),
    "guests edit": ({"guestRole": "editor"}, EDITS, EDITS),
    "public, and guests edit": ({"isPublic": True, "guestRole": "editor"}, EDITS, EDITS),
}


class Said(NamedTuple):
    """What is sent, and what comes of it for who may edit and for who may only read."""

    message: bytes | int | None
    """The bytes; or which kind of sync message an edit travels in; None: who is here."""
    edits: str
    reads: str

    def written(self, key: str) -> bytes:
        """The message; an edit sets this key."""
        if isinstance(self.message, bytes):
            return self.message
        if self.message is None:
            return wire.awareness((_client(key), 1, '{"here": true}'))
        body = wire.small_update("takes", key, 1)
        return bytes([wire.SYNC, self.message]) + wire.var_bytes(body)


MESSAGES: dict[int, Said] = {
    events.STEP1: Said(wire.step1(), "answered", "answered"),
    events.STEP2: Said(wire.STEP2, "taken", "refused"),
    events.UPDATE: Said(wire.UPDATE, "taken", "refused"),
    events.AWARENESS: Said(None, "shown", "shown"),
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
    roles = {role.value for role in permissions.Role if role is not permissions.Role.NONE}
    assert roles <= WHO.keys()
    adjusted = {
        f"{role.value} {_differs(role, name)}"
        for role, names in permissions.ADJUSTABLE.items()
        for name in names
    }
    assert adjusted == {kind for kind in WHO if kind.partition(" ")[2].startswith("with")}


def _differs(role: permissions.Role, name: str) -> str:
    first, *others = name.split("_")
    camel = first + "".join(word.title() for word in others)
    return ("without " if permissions.FINE[name] in permissions.RIGHTS[role] else "with ") + camel


@pytest.fixture(scope="module")
async def scene(server: Server) -> AsyncGenerator[Scene, None]:
    async with rest.Rest(server.url) as api:
        yield await _scene(server, api)


async def _scene(server: Server, api: Rest) -> Scene:
    owner = await api.account("owner")
    project = await api.project(owner)
    path = f"/api/projects/{project.id}"
    tokens: dict[str, str | None] = {"owner": owner.token, "nobody": None}

    async def member(kind: str, role: str, **fine: bool) -> rest.Account:
        one = await api.account("member")
        body = {"userId": one.user.id, "role": role, "permissions": fine}
        await api.call("POST", f"{path}/collaborators", owner, body, status=201)
        tokens[kind] = one.token
        return one

    await member("admin", "admin")
    await member("editor", "editor")
    await member("viewer", "viewer")
    for fine in ("canEdit", "canAddStems", "canDeleteStems", "canExport"):
        await member(f"editor without {fine}", "editor", **{fine: False})
    await member("viewer without canExport", "viewer", canExport=False)
    for role in ("editor", "viewer"):
        await member(f"{role} with canInviteOthers", role, canInviteOthers=True)
        made = await api.call("POST", f"{path}/links", owner, {"role": role}, status=201)
        tokens[f"{role}'s link"] = made["token"]
    for kind, scopes in (("write", ["read", "write"]), ("read", ["read"])):
        body = {"name": kind, "scopes": scopes}
        made = await api.call("POST", "/api/auth/keys", owner, body, status=201)
        tokens[f"owner's key to {kind}"] = made["token"]
    tokens["stranger"] = (await api.account("stranger")).token
    gone = await member("closed", "editor")
    await api.call("DELETE", "/api/users/me", gone, {"password": rest.PASSWORD}, status=204)
    await _disable(server, await member("disabled", "editor"))
    assert tokens.keys() | TICKETS.keys() == WHO.keys()
    return Scene(owner, project, tokens)


async def _disable(server: Server, account: Account) -> None:
    """As the operator does it, beside the running server."""
    name, data = account.user.username, str(server.data)
    command = [sys.executable, "-m", "syncserver", "user", "disable", name, "--data", data]
    ours = {key: value for key, value in os.environ.items() if not key.startswith("SYNCSPHERE_")}
    await anyio.run_process(command, cwd=harness.ROOT, env=ours | harness.QUICK)


async def _outcome(peer: wire.Peer, witness: wire.Peer, said: Said, key: str) -> str:
    """What came of a message: as its sender can see it, or as another client in the room does."""
    await peer.pull()
    peer.frames.clear()
    sent = said.written(key)
    await peer.send(sent)
    match said.edits:
        case "4400":
            return str((await peer.closed()).code)
        case "answered":
            await peer.next(lambda frame: wire.sync_body(frame, wire.STEP2) is not None)
        case "echoed":
            await peer.next(lambda frame: frame == sent)
        case "shown":
            await witness.next(lambda frame: _client(key) in _clients(frame))
        case "present":
            await peer.next(lambda frame: WITNESS in _clients(frame))
        case _:
            there = key in await peer.document_keys("takes")
            if any(frame[:2] == b"\x02\x00" for frame in peer.frames):
                assert not there, "refused, and taken all the same"
                return "refused"
            return "taken" if there else "ignored"
    return said.edits


def _client(key: str) -> int:
    """A client of its own for each message: a state of the one before must not pass for this one."""
    return zlib.crc32(key.encode())


def _clients(frame: bytes) -> set[int]:
    return {client for client, _, _ in wire.awareness_states(frame) or ()}


async def _says_everything(
    server: Server, project: Project, owner: Account, token: str | None, entry: Entry, kind: str
) -> None:
    """Each message over a connection of its own, with the owner in the room as a witness."""
    async with wire.peer(server.ws_url, project.room_id, owner.token) as witness:
        await witness.send(wire.awareness((WITNESS, 1, '{"here": true}')))
        await witness.pull()
        for number, said in MESSAGES.items():
            key = f"{kind}, {number}"
            async with wire.peer(server.ws_url, project.room_id, token) as peer:
                if entry.closed is not None:
                    await peer.send_if_open(said.written(key))
                    assert await peer.closed() == entry.closed
                    assert peer.frames == []
                else:
                    wanted = said.edits if entry.edits else said.reads
                    assert await _outcome(peer, witness, said, key) == wanted, number
        if entry.closed is not None:
            said = {name for name in await witness.document_keys("takes") if name.startswith(kind)}
            assert said == set()


@pytest.mark.parametrize("kind", WHO)
async def test_everybody_says_everything(
    server: Server, api: Rest, scene: Scene, kind: str
) -> None:
    token = scene.tokens.get(kind)
    if kind in TICKETS:
        # At the last moment: it is good for a minute.
        path = f"/api/projects/{scene.project.id}/ticket"
        token = (await api.call("POST", path, scene.owner, TICKETS[kind]))["ticket"]
    await _says_everything(server, scene.project, scene.owner, token, WHO[kind], kind)


@pytest.mark.parametrize("kind", ["stranger", "nobody"])
@pytest.mark.parametrize("door", DOORS)
async def test_who_comes_by_the_door_is_what_the_door_says(
    server: Server, api: Rest, owner: Account, door: str, kind: str
) -> None:
    fields, stranger, nobody = DOORS[door]
    project = await api.project(owner)
    await api.call("PUT", f"/api/projects/{project.id}", owner, fields)
    if kind == "stranger":
        token, entry = (await api.account("stranger")).token, stranger
    else:
        token, entry = None, nobody
    await _says_everything(server, project, owner, token, entry, kind)
