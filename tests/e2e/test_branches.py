"""Branches with stock clients in them: each a room of its own, protected and deleted while they are connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
import pytest

from tests.e2e import node, rest, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e

SOON = 2.0
"""Seconds in which open sockets have to hear; twice what is promised, for machines that are busy."""


class Lines:
    """The branches of one project, as somebody uses them over REST."""

    def __init__(self, api: Rest, who: Account, project: Project) -> None:
        self._api = api
        self._who = who
        self._path = f"/api/projects/{project.id}"

    async def ask(
        self, method: str, path: str, body: object = None, *, status: int = 200
    ) -> dict[str, Any]:
        return await self._api.call(method, self._path + path, self._who, body, status=status)

    async def make(self, name: str, **source: str) -> str:
        """The room of a new branch."""
        made = await self.ask("POST", "/branch", {"name": name} | source, status=201)
        return made["room"]

    async def change(self, branch: str, /, **changes: object) -> None:
        await self.ask("PATCH", f"/branches/{quote(branch, safe='')}", changes)

    async def commit(self, branch: str) -> str:
        body = {"message": "So far", "branch": branch}
        return (await self.ask("POST", "/commit", body, status=201))["id"]


@pytest.fixture
def lines(api: Rest, owner: Account, project: Project) -> Lines:
    return Lines(api, owner, project)


async def test_people_work_beside_one_another_and_see_only_their_own_line(
    server: Server, project: Project, owner: Account, lines: Lines, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(
        node.new_map("stems", "bass"),
        node.put("stems", "bass", "name", value="Bass"),
        node.write("lyrics", "one"),
    )
    begun = await yjs.converged(ann, ben)
    # Not acknowledged yet: a branch begins with what is in the room.
    room = await lines.make("slower intro 🎹")
    cem, dan = await yjs.room(server.ws_url, room, owner.token, 2)
    assert await yjs.converged(cem, dan) == begun
    await cem.edit(node.put("stems", "bass", "name", value="Sub"), node.write("lyrics", " two"))
    await ann.edit(node.put("project", "tempo", value=90))
    aside = await yjs.converged(cem, dan)
    main = await yjs.converged(ann, ben)
    assert node.at(aside, "stems", "bass", "name") == "Sub"
    assert node.at(aside, "project", "tempo") != 90
    assert node.at(main, "stems", "bass", "name") == "Bass"
    assert node.at(main, "project", "tempo") == 90
    # From a branch, and from what was committed before.
    await cem.acknowledged()
    commit = await lines.commit("slower intro 🎹")
    await cem.edit(node.put("project", "tempo", value=50))
    await cem.acknowledged()
    [eve] = await yjs.room(
        server.ws_url, await lines.make("now", sourceBranch="slower intro 🎹"), owner.token, 1
    )
    assert node.at(await eve.state(), "project", "tempo") == 50
    [fay] = await yjs.room(
        server.ws_url, await lines.make("then", sourceCommit=commit), owner.token, 1
    )
    assert await fay.state() == aside


async def test_a_branch_that_is_renamed_keeps_its_people(
    server: Server, project: Project, owner: Account, lines: Lines, yjs: Driver
) -> None:
    room = await lines.make("side")
    ann, ben = await yjs.room(server.ws_url, room, owner.token, 2)
    await ann.edit(node.write("lyrics", "one"))
    await yjs.converged(ann, ben)
    await lines.change("side", name="slow")
    await ann.edit(node.write("lyrics", " two"))
    agreed = await yjs.converged(ann, ben)
    await ann.acknowledged()
    [cem] = await yjs.room(server.ws_url, f"{project.room_id}@slow", owner.token, 1)
    assert await cem.state() == agreed
    async with wire.peer(server.ws_url, room, owner.token) as late:
        assert await late.closed() == wire.Closed(4404, "there is no such branch")


async def test_a_branch_is_protected_and_deleted_under_its_people(
    server: Server, project: Project, owner: Account, lines: Lines
) -> None:
    room = await lines.make("side")
    async with (
        wire.peer(server.ws_url, room, owner.token) as peer,
        wire.peer(server.ws_url, project.room_id, owner.token) as main,
    ):
        await peer.pull()
        await main.pull()
        await lines.change("side", protected=True)
        with anyio.fail_after(SOON):
            said = await peer.next(lambda frame: frame[:2] == b"\x02\x00")
        assert b"protected" in said
        mine = wire.small_update("takes", "mine", 1)
        await peer.send(wire.update(mine))
        assert await peer.document_keys("takes") == set()
        await lines.ask("DELETE", "/branches/side?force=true", status=403)
        await lines.change("side", protected=False)
        with anyio.fail_after(SOON):
            await peer.next(lambda frame: wire.sync_body(frame, wire.STEP1) is not None)
        await peer.send(bytes([wire.SYNC, wire.STEP2]) + wire.var_bytes(mine))
        await peer.acknowledged()
        await lines.ask("DELETE", "/branches/side", status=409)
        await lines.ask("DELETE", "/branches/side?force=true", status=204)
        with anyio.fail_after(SOON):
            assert await peer.closed() == wire.Closed(4404, "the branch was deleted")
        await main.acknowledged()
    await lines.ask("GET", "/branches/side", status=404)


@pytest.mark.parametrize("how", ["orderly", "killed"])
async def test_branches_outlive_the_server(own_server: Server, yjs: Driver, how: str) -> None:
    async with rest.Rest(own_server.url) as api:
        owner = await api.account("owner")
        project = await api.project(owner)
        lines = Lines(api, owner, project)
        room = await lines.make("side")
        [ann] = await yjs.room(own_server.ws_url, room, owner.token, 1)
        await ann.edit(node.write("lyrics", "one"))
        await ann.acknowledged()
        commit = await lines.commit("side")
        before = await ann.state()
        named = await lines.ask("GET", "/branches")
    if how == "killed":
        own_server.kill()
    await own_server.restart()
    await ann.wait(synced=True)
    [late] = await yjs.room(own_server.ws_url, room, owner.token, 1)
    assert await late.state() == before
    async with rest.Rest(own_server.url) as api:
        lines = Lines(api, owner, project)
        assert await lines.ask("GET", "/branches") == named
        assert await lines.ask("GET", f"/commits/{commit}/snapshot?format=json") == before
