"""Branches are merged, and commits undone, while stock clients edit both and some are away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.e2e import node

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e


class Lines:
    """A project's branches, as somebody uses them over REST."""

    def __init__(self, api: Rest, who: Account, project: Project) -> None:
        self._api = api
        self._who = who
        self._path = f"/api/projects/{project.id}"

    async def post(self, path: str, body: object, *, status: int = 200) -> dict[str, Any]:
        return await self._api.call("POST", self._path + path, self._who, body, status=status)

    async def branch(self, name: str) -> str:
        """The room of a new branch."""
        return (await self.post("/branch", {"name": name}, status=201))["room"]

    async def commit(self, branch: str = "main") -> str:
        body = {"message": "A take", "branch": branch}
        return (await self.post("/commit", body, status=201))["id"]

    async def merge(self, source: str, into: str = "main", **wish: object) -> dict[str, Any]:
        return await self.post(f"/branches/{source}/merge", {"into": into} | wish)


@pytest.fixture
def lines(api: Rest, owner: Account, project: Project) -> Lines:
    return Lines(api, owner, project)


async def test_everybody_in_both_rooms_ends_with_everything_of_both(
    server: Server, project: Project, owner: Account, lines: Lines, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(
        node.new_map("stems", "bass"),
        node.put("stems", "bass", "volume", value=1),
        node.write("lyrics", "verse"),
    )
    await yjs.converged(ann, ben)
    room = await lines.branch("intro")
    cleo, dan = await yjs.room(server.ws_url, room, owner.token, 2)
    await cleo.has("lyrics", value="verse")
    await ben.disconnect()
    # Inside of what the merge touches, by somebody who does not hear of it.
    await ben.edit(node.write("lyrics", "Ben's ", 0), node.put("stems", "bass", "pan", value=7))
    await ann.edit(node.put("stems", "bass", "volume", value=2), node.push("log", "main"))
    await cleo.edit(
        node.put("stems", "bass", "volume", value=3),
        node.write("lyrics", " and chorus"),
        node.push("log", "intro"),
        node.put("takes", "cleo", value=1),
    )
    await ann.acknowledged()
    await cleo.acknowledged()

    preview = await lines.merge("intro", strategy="theirs", dryRun=True)
    [knob] = preview["conflicts"]
    assert (knob["base"], knob["ours"], knob["theirs"]) == (1, 2, 3)
    assert knob["ourChange"]["by"] == knob["theirChange"]["by"] == owner.user.id
    await ann.has("lyrics", value="verse")
    done = await lines.merge("intro", strategy="theirs")
    assert len(done["commit"]["parents"]) == 2
    await ann.has("lyrics", value="verse and chorus")
    await ann.has("stems", "bass", "volume", value=3)
    assert sorted(node.at(await ann.state(), "log")) == ["intro", "main"]  # pyright: ignore[reportArgumentType]

    await ben.connect()
    main = await yjs.converged(ann, ben)
    assert node.at(main, "lyrics") == "Ben's verse and chorus"
    assert node.at(main, "stems", "bass") == {"volume": 3, "pan": 7}
    await ben.acknowledged()
    # And the other way: both rooms say the same then.
    back = await lines.merge("main", "intro")
    assert back["conflicts"] == []
    await cleo.has("lyrics", value="Ben's verse and chorus")
    assert await yjs.converged(cleo, dan) == main
    assert (await lines.merge("main", "intro"))["merged"] is False
    for one in (ann, cleo, dan):
        assert (await one.facts()).closes == []


async def test_everybody_agrees_while_branches_are_edited_and_merged(
    server: Server, project: Project, owner: Account, lines: Lines, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.put("takes", "first", value=0))
    await ann.acknowledged()
    room = await lines.branch("intro")
    [cleo] = await yjs.room(server.ws_url, room, owner.token, 1)
    await cleo.has("takes", "first", value=0)
    for turn in range(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lines.merge, "intro", "main")
            tasks.start_soon(lines.merge, "main", "intro")
            tasks.start_soon(ann.edit, node.put("takes", f"ann{turn}", value=turn))
            tasks.start_soon(ben.edit, node.write("lyrics", f"line {turn}. "))
            tasks.start_soon(cleo.edit, node.put("takes", f"cleo{turn}", value=turn))
        for one in (ann, ben, cleo):
            await one.acknowledged()
    await lines.merge("intro", "main")
    await lines.merge("main", "intro")
    main = await yjs.converged(ann, ben)
    assert len(node.at(main, "takes")) == 11  # pyright: ignore[reportArgumentType]
    lyrics = node.at(main, "lyrics")
    assert isinstance(lyrics, str)
    assert all(lyrics.count(f"line {turn}. ") == 1 for turn in range(5))
    await cleo.has("lyrics", value=lyrics)
    assert await cleo.state() == main


async def test_one_commit_is_undone_and_done_elsewhere_under_everybodys_eyes(
    server: Server, project: Project, owner: Account, lines: Lines, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.put("project", "tempo", value=100), node.write("lyrics", "one two"))
    await ann.acknowledged()
    await lines.commit()
    room = await lines.branch("intro")
    [cleo] = await yjs.room(server.ws_url, room, owner.token, 1)
    await ann.edit(node.put("project", "tempo", value=180), node.cut("lyrics", 0, 4))
    await ann.acknowledged()
    fast = await lines.commit()
    await ben.edit(node.put("project", "key", value="D"), node.write("lyrics", " three"))
    await ben.acknowledged()

    assert (await lines.post("/revert", {"commitId": fast}))["applied"] is True
    await ben.has("project", "tempo", value=100)
    await ben.has("lyrics", value="one two three")
    now = await yjs.converged(ann, ben)
    assert node.at(now, "project", "key") == "D"
    picked = await lines.post("/cherry-pick", {"commitId": fast, "into": "intro"})
    assert picked["applied"] is True
    await cleo.has("project", "tempo", value=180)
    await cleo.has("lyrics", value="two")
    assert node.at(await cleo.state(), "project").get("key") != "D"  # pyright: ignore[reportAttributeAccessIssue]
