"""Commits, diffs and restores while stock clients are connected, away, or writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.e2e import node, rest

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e


class History:
    """The history of one project, as somebody uses it over REST."""

    def __init__(self, api: Rest, who: Account, project: Project) -> None:
        self._api = api
        self._who = who
        self._path = f"/api/projects/{project.id}"

    async def ask(
        self, method: str, path: str, body: object = None, *, status: int = 200
    ) -> dict[str, Any]:
        return await self._api.call(method, self._path + path, self._who, body, status=status)

    async def commit(self, message: str) -> str:
        return (await self.ask("POST", "/commit", {"message": message}, status=201))["id"]

    async def restore(self, commit: str) -> bool:
        return (await self.ask("POST", "/restore", {"commitId": commit}))["applied"]

    async def log(self) -> list[dict[str, Any]]:
        return (await self.ask("GET", "/commits"))["items"]

    async def content(self, commit: str) -> dict[str, Any]:
        return await self.ask("GET", f"/commits/{commit}/snapshot?format=json")


@pytest.fixture
def history(api: Rest, owner: Account, project: Project) -> History:
    return History(api, owner, project)


async def test_everybody_who_is_connected_sees_the_document_go_back_and_forth(
    server: Server, project: Project, owner: Account, history: History, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(
        node.new_map("stems", "bass"),
        node.put("stems", "bass", "name", value="Bass"),
        node.write("lyrics", "one 🥁 two"),
        node.push("log", 1, 2, 3),
    )
    first_state = await yjs.converged(ann, ben)
    await ann.acknowledged()
    first = await history.commit("First")

    await ben.edit(
        node.put("stems", "bass", "name", value="Sub"),
        node.new_map("stems", "lead"),
        node.cut("lyrics", 0, 4),
        node.push("log", {"four": 4}),
    )
    second_state = await yjs.converged(ann, ben)
    await ben.acknowledged()
    changed = await history.ask("GET", f"/diff?from={first}")
    assert changed["changes"]
    second = await history.commit("Second")
    same = await history.ask("GET", f"/diff?from={second}")
    assert same["changes"] == []

    assert await history.restore(first)
    await ann.has("lyrics", value="one 🥁 two")
    assert await yjs.converged(ann, ben) == first_state
    assert not await history.restore(first)
    # A restore is undone by a restore.
    assert await history.restore(second)
    await ben.has("stems", "bass", "name", value="Sub")
    assert await yjs.converged(ann, ben) == second_state
    [late] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    assert await yjs.converged(ann, ben, late) == second_state
    assert [each["message"] for each in await history.log()] == ["Second", "First"]
    assert (await ann.facts()).closes == (await ben.facts()).closes == []


async def test_a_commit_has_what_was_in_the_room_at_that_moment(
    server: Server, project: Project, owner: Account, history: History, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    for turn in range(5):
        await ann.edit(node.put("takes", f"take{turn}", value=turn))
        await ben.has("takes", f"take{turn}", value=turn)
        # What one client has from another is in the commit, whether it was stored yet or not.
        commit = await history.commit(f"Take {turn}")
        assert len((await history.content(commit))["takes"]) == turn + 1


async def test_what_somebody_did_offline_before_a_restore_is_not_lost(
    server: Server, project: Project, owner: Account, history: History, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(
        node.new_map("stems", "bass"),
        node.put("stems", "bass", "volume", value=1),
        node.write("lyrics", "verse"),
    )
    await yjs.converged(ann, ben)
    await ann.acknowledged()
    first = await history.commit("First")
    await ben.disconnect()
    # Inside of things that the restore touches, and beside them.
    await ben.edit(
        node.put("stems", "bass", "pan", value=7),
        node.write("lyrics", "Ben's ", 0),
        node.put("takes", "ben", value=2),
    )
    await ann.edit(
        node.put("stems", "bass", "volume", value=2),
        node.write("lyrics", " and chorus"),
        node.put("takes", "ann", value=1),
    )
    await ann.acknowledged()
    assert await history.restore(first)
    await ann.has("lyrics", value="verse")
    await ben.connect()

    agreed = await yjs.converged(ann, ben)
    assert node.at(agreed, "lyrics") == "Ben's verse"
    assert node.at(agreed, "stems", "bass") == {"volume": 1, "pan": 7}
    assert node.at(agreed, "takes") == {"ben": 2}
    # The offline edits were no part of it: another restore takes them back, too.
    await ben.acknowledged()
    assert await history.restore(first)
    await ben.has("lyrics", value="verse")
    assert await yjs.converged(ann, ben) == await history.content(first)


async def test_everybody_agrees_while_some_write_and_others_restore(
    server: Server, project: Project, owner: Account, history: History, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.put("project", "tempo", value=100))
    await ann.acknowledged()
    first = await history.commit("Slow")
    await ann.edit(node.put("project", "tempo", value=140))
    await ann.acknowledged()
    second = await history.commit("Fast")
    # What was in the room before a restore is taken back, what came later stays: by chance here.
    for turn in range(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(history.restore, first if turn % 2 == 0 else second)
            tasks.start_soon(ben.edit, node.write("lyrics", f"line {turn}. "))
            tasks.start_soon(ann.edit, node.put("takes", f"take{turn}", value=turn))
        await ann.acknowledged()
        await ben.acknowledged()
        await yjs.converged(ann, ben)
    await history.restore(first)
    await ann.has("project", "tempo", value=100)
    assert await yjs.converged(ann, ben) == await history.content(first)


async def test_two_restores_at_once_end_in_one_of_the_two_for_everybody(
    server: Server, project: Project, owner: Account, history: History, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.put("takes", "a", value=1), node.put("takes", "b", value=1))
    await ann.acknowledged()
    one = await history.commit("One")
    await ann.edit(node.put("takes", "a", value=2), node.drop("takes", "b"))
    await ann.edit(node.put("takes", "c", value=2))
    await ann.acknowledged()
    two = await history.commit("Two")
    wanted = [await history.content(one), await history.content(two)]
    for turn in range(5):
        await ben.edit(node.put("takes", "a", value=turn + 10), node.put("takes", "d", value=turn))
        await ben.acknowledged()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(history.restore, one)
            tasks.start_soon(history.restore, two)
        live = await history.ask("GET", "/snapshot?format=json")
        assert live in wanted
        await ann.has("takes", value=live["takes"])
        assert await yjs.converged(ann, ben) == live


async def test_a_viewer_looks_at_the_history_and_restores_nothing(
    server: Server, api: Rest, project: Project, owner: Account, history: History, yjs: Driver
) -> None:
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    await ann.edit(node.put("takes", "a", value=1))
    await ann.acknowledged()
    first = await history.commit("First")
    await ann.edit(node.put("takes", "a", value=2))
    await ann.acknowledged()
    viewer = await api.account("viewer")
    body = {"username": viewer.user.username, "role": "viewer"}
    await history.ask("POST", "/collaborators", body, status=201)
    theirs = History(api, viewer, project)
    assert [each["id"] for each in await theirs.log()] == [first]
    await theirs.ask("POST", "/restore", {"commitId": first}, status=403)
    await theirs.ask("POST", "/commit", {"message": "Mine"}, status=403)
    await theirs.ask("POST", "/tags", {"name": "mine", "commitId": first}, status=403)
    assert node.at(await ann.state(), "takes", "a") == 2
    # Nor does a stranger learn that there is anything.
    stranger = History(api, await api.account("stranger"), project)
    await stranger.ask("GET", "/commits", status=404)
    await stranger.ask("POST", "/restore", {"commitId": first}, status=404)


@pytest.mark.parametrize("how", ["orderly", "killed"])
async def test_commits_tags_and_restores_outlive_the_server(
    own_server: Server, yjs: Driver, how: str
) -> None:
    async with rest.Rest(own_server.url) as api:
        owner = await api.account("owner")
        project = await api.project(owner)
    [ann] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)

    async def stop_and_start() -> None:
        if how == "killed":
            own_server.kill()
        await own_server.restart()

    await ann.edit(node.put("takes", "a", value=1), node.write("lyrics", "one"))
    await ann.acknowledged()
    async with rest.Rest(own_server.url) as api:
        history = History(api, owner, project)
        first = await history.commit("First")
        await history.ask("POST", "/tags", {"name": "demo", "commitId": first}, status=201)
        before = await history.content(first)
    await stop_and_start()
    await ann.wait(synced=True)
    await ann.edit(node.put("takes", "a", value=2), node.write("lyrics", " two"))
    await ann.acknowledged()
    async with rest.Rest(own_server.url) as api:
        history = History(api, owner, project)
        await history.commit("Second")
        log = await history.log()
        assert await history.content(first) == before
        done = await history.ask("POST", "/restore", {"tag": "demo"})
        assert done["applied"]
    # The answer said that it is durable.
    await stop_and_start()
    [late] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
    assert await late.state() == before
    await ann.wait(synced=True)
    assert await yjs.converged(ann, late) == before
    async with rest.Rest(own_server.url) as api:
        assert await History(api, owner, project).log() == log
