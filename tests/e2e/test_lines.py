"""Branches with stock clients in them: live editing here and there, while REST moves work around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
import pytest

from tests.e2e import node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.harness import Server
    from tests.e2e.node import Client, Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e


class Studio:
    """One project: its branches as rooms, its history over REST."""

    def __init__(self, server: Server, api: Rest, yjs: Driver, who: Account, project: Project):
        self._server = server
        self._api = api
        self.yjs = yjs
        self.who = who
        self.project = project

    async def ask(
        self, method: str, path: str, body: object = None, *, status: int = 200
    ) -> dict[str, Any]:
        path = f"/api/projects/{self.project.id}{path}"
        return await self._api.call(method, path, self.who, body, status=status)

    def room(self, branch: str = "main") -> str:
        if branch == "main":
            return self.project.room_id
        return f"{self.project.room_id}@{quote(branch, safe='')}"

    async def people(self, branch: str = "main", count: int = 1) -> list[Client]:
        """Stock clients in a branch's room, synced."""
        return await self.yjs.room(self._server.ws_url, self.room(branch), self.who.token, count)

    async def newcomer(self, branch: str) -> Client:
        """A stock client that nobody waited for."""
        return await self.yjs.client(self._server.ws_url, self.room(branch), self.who.token)

    async def branch(self, name: str, **source: str) -> dict[str, Any]:
        return await self.ask("POST", "/branch", {"name": name, **source}, status=201)

    async def commit(self, message: str, branch: str = "main") -> str:
        body = {"message": message, "branch": branch}
        return (await self.ask("POST", "/commit", body, status=201))["id"]

    async def merge(self, name: str, into: str, **how: object) -> dict[str, Any]:
        path = f"/branches/{quote(name, safe='')}/merge"
        return await self.ask("POST", path, {"into": into, **how})

    async def live(self, branch: str = "main") -> dict[str, Any]:
        """What the server says is there; null is a root of no known type with nothing in it."""
        found = await self.ask("GET", f"/snapshot?format=json&branch={quote(branch)}")
        return {name: root for name, root in found.items() if root is not None}

    async def agreed(self, people: Sequence[Client], branch: str = "main") -> dict[str, Any]:
        """What all of them and the server say."""
        state = await self.yjs.converged(*people)
        assert state == await self.live(branch)
        return state


@pytest.fixture
def studio(server: Server, api: Rest, yjs: Driver, owner: Account, project: Project) -> Studio:
    return Studio(server, api, yjs, owner, project)


SONG = (
    node.new_map("stems", "bass"),
    node.put("stems", "bass", "name", value="Bass"),
    node.put("stems", "bass", "volume", value=1),
    node.write("lyrics", "verse"),
)


async def begun(studio: Studio) -> tuple[list[Client], str]:
    """Two people on main, with a song that is committed."""
    people = await studio.people(count=2)
    await people[0].edit(*SONG)
    await people[0].acknowledged()
    await studio.yjs.converged(*people)
    return people, await studio.commit("Song")


@pytest.mark.parametrize("name", ["slower", "slow & süß 🎹"])
async def test_a_branch_is_a_room_of_its_own_and_a_merge_reaches_those_on_main(
    studio: Studio, name: str
) -> None:
    (ann, ben), _ = await begun(studio)
    made = await studio.branch(name)
    assert made["room"] == studio.room(name)
    cat, dan = await studio.people(name, 2)
    assert await studio.yjs.converged(cat, dan) == await ann.state()

    await cat.edit(node.put("stems", "bass", "volume", value=2), node.write("lyrics", " slow"))
    await ann.edit(node.put("takes", "main", value=1), node.write("lyrics", "Main: ", 0))
    for client in (cat, ann):
        await client.acknowledged()
    assert node.at(await studio.agreed([cat, dan], name), "takes") is None
    main = await studio.agreed([ann, ben])
    assert node.at(main, "stems", "bass", "volume") == 1

    preview = await studio.merge(name, "main", dryRun=True)
    assert preview["merged"]
    assert preview["commit"] is None
    assert preview["changes"]
    assert await studio.agreed([ann, ben]) == main
    done = await studio.merge(name, "main")
    assert done["merged"]
    assert len(done["commit"]["parents"]) == 2
    await ben.has("stems", "bass", "volume", value=2)
    both = await studio.agreed([ann, ben])
    assert node.at(both, "lyrics") == "Main: verse slow"
    assert node.at(both, "takes") == {"main": 1}
    # And the other way round; then there is nothing to merge in either direction.
    assert (await studio.merge("main", name))["merged"]
    await dan.has("takes", "main", value=1)
    assert await studio.agreed([cat, dan], name) == both
    assert not (await studio.merge("main", name))["merged"]
    for client in (ann, ben, cat, dan):
        assert (await client.facts()).closes == []


async def test_merges_while_everybody_writes_on_both_sides_end_in_the_same(
    studio: Studio,
) -> None:
    (ann, ben), _ = await begun(studio)
    await studio.branch("side")
    cat, dan = await studio.people("side", 2)
    for turn in range(4):
        async with anyio.create_task_group() as tasks:
            source, target = ("side", "main") if turn % 2 == 0 else ("main", "side")
            tasks.start_soon(studio.merge, source, target)
            tasks.start_soon(ann.edit, node.put("takes", f"ann{turn}", value=turn))
            tasks.start_soon(ben.edit, node.write("lyrics", f" ben{turn}"))
            tasks.start_soon(cat.edit, node.put("takes", f"cat{turn}", value=turn))
            tasks.start_soon(dan.edit, node.write("lyrics", f"dan{turn} ", 0))
        for client in (ann, ben, cat, dan):
            await client.acknowledged()
    await studio.merge("side", "main")
    await studio.merge("main", "side")
    for each in (ann, cat):
        await each.wait(size={"path": ["takes"], "count": 8})
    main = await studio.agreed([ann, ben])
    side = await studio.agreed([cat, dan], "side")
    assert main == side
    assert sorted(str(node.at(main, "lyrics")).split()) == sorted(
        ["verse", *(f"{who}{turn}" for who in ("ben", "dan") for turn in range(4))]
    )
    assert await studio.yjs.converged(ann, ben, cat, dan) == main


async def test_a_conflict_is_settled_for_everybody_who_is_connected(studio: Studio) -> None:
    (ann, ben), _ = await begun(studio)
    await studio.branch("loud")
    [cat] = await studio.people("loud")
    await cat.edit(node.put("stems", "bass", "volume", value=9))
    await ann.edit(node.put("stems", "bass", "volume", value=3))
    for client in (ann, cat):
        await client.acknowledged()
    path = ["stems", "bass", "volume"]
    done = await studio.merge("loud", "main", resolutions=[{"path": path, "take": "ours"}])
    [conflict] = done["conflicts"]
    assert (conflict["base"], conflict["ours"], conflict["theirs"]) == (1, 3, 9)
    assert conflict["stands"] == "ours"
    assert conflict["ourChange"]["by"] == conflict["theirChange"]["by"] == studio.who.user.id
    await studio.agreed([ann, ben])
    assert node.at(await ben.state(), *path) == 3


async def test_one_who_was_offline_across_merge_restore_rollback_and_cherry_pick_merges_afterwards(
    studio: Studio,
) -> None:
    (ann, ben), first = await begun(studio)
    await studio.branch("side")
    [cat] = await studio.people("side")
    await cat.edit(node.put("stems", "bass", "pan", value=-1), node.put("takes", "cat", value=1))
    await cat.acknowledged()
    picked = await studio.commit("Panned", "side")

    await ben.disconnect()
    await ben.edit(
        node.put("stems", "bass", "mute", value=True),
        node.write("lyrics", "Ben's ", 0),
        node.put("takes", "ben", value=1),
    )
    await ann.edit(node.write("lyrics", " and chorus"), node.put("takes", "ann", value=1))
    await ann.acknowledged()
    assert (await studio.merge("side", "main"))["merged"]
    await ann.has("takes", value={"ann": 1, "cat": 1})
    body: dict[str, object] = {"commitId": first, "branch": "main"}
    assert (await studio.ask("POST", "/restore", body))["applied"]
    await ann.has("lyrics", value="verse")
    body = {"commitId": picked, "into": "main"}
    assert (await studio.ask("POST", "/cherry-pick", body))["applied"]
    await ann.has("takes", value={"cat": 1})
    await ben.connect()

    agreed = await studio.yjs.converged(ann, ben)
    assert node.at(agreed, "lyrics") == "Ben's verse"
    assert node.at(agreed, "takes") == {"cat": 1, "ben": 1}
    bass = {"name": "Bass", "volume": 1, "pan": -1, "mute": True}
    assert node.at(agreed, "stems", "bass") == bass
    await ben.acknowledged()
    assert await studio.agreed([ann, ben]) == agreed


async def test_a_rollback_takes_back_one_persons_work_for_all_who_are_connected(
    studio: Studio, api: Rest, server: Server
) -> None:
    (ann, ben), _ = await begun(studio)
    other = await api.account("editor")
    body = {"username": other.user.username, "role": "editor"}
    await studio.ask("POST", "/collaborators", body, status=201)
    [eve] = await studio.yjs.room(server.ws_url, studio.room(), other.token, 1)
    before = await studio.agreed([ann, ben, eve])
    await eve.edit(
        node.put("stems", "bass", "volume", value=0),
        node.new_map("stems", "noise"),
        node.cut("lyrics", 0, 2),
    )
    await eve.acknowledged()
    await ann.edit(node.write("lyrics", " two"), node.put("takes", "ann", value=1))
    await ann.acknowledged()
    await studio.agreed([ann, ben, eve])

    await studio.commit("Everybody's")
    wanted = {"by": other.user.id}
    preview = await studio.ask("POST", "/rollback", {**wanted, "dryRun": True})
    assert preview["applied"]
    assert node.at(await ann.state(), "stems", "noise") == {}
    done = await studio.ask("POST", "/rollback", {**wanted, "message": "Without Eve"})
    assert done["applied"]
    assert done["commit"]["message"] == "Without Eve"
    await ben.has("lyrics", value="verse two")
    agreed = await studio.agreed([ann, ben, eve])
    assert agreed == {**before, "lyrics": "verse two", "takes": {"ann": 1}}
    # A revert of that commit brings it all back.
    body = {"commitId": done["commit"]["id"]}
    assert (await studio.ask("POST", "/revert", body))["applied"]
    await ben.has("stems", "noise", value={})
    assert node.at(await studio.agreed([ann, ben, eve]), "stems", "bass", "volume") == 0


async def test_a_protected_branch_is_looked_at_and_edits_come_by_merge(studio: Studio) -> None:
    (ann, _), _ = await begun(studio)
    await studio.branch("release")
    [cat] = await studio.people("release")
    await cat.edit(node.put("takes", "before", value=1))
    await cat.acknowledged()
    protected = await studio.ask("PATCH", "/branches/release", {"protected": True})
    assert protected["protected"]
    assert not protected["mayEdit"]
    late = (await studio.people("release"))[0]
    await late.edit(node.put("takes", "late", value=2))
    await ann.edit(node.put("takes", "main", value=3))
    await ann.acknowledged()
    assert (await studio.merge("main", "release"))["merged"]
    await cat.has("takes", "main", value=3)
    assert (await studio.live("release"))["takes"] == {"before": 1, "main": 3}
    update = await studio.ask("GET", "/branches/release")
    assert update["protected"]
    await studio.ask("PATCH", "/branches/release", {"protected": False})
    await cat.edit(node.put("takes", "after", value=4))
    await cat.acknowledged()
    assert (await studio.live("release"))["takes"]["after"] == 4


async def test_a_branch_that_is_deleted_or_was_never_there_ends_the_provider(
    studio: Studio,
) -> None:
    (ann, _), _ = await begun(studio)
    await studio.branch("short")
    [cat] = await studio.people("short")
    await studio.ask("DELETE", "/branches/short", status=204)
    await cat.wait(ended=True)
    ended = (await cat.facts()).ended
    assert ended is not None
    assert ended.code == 4404
    assert "branch" in ended.reason
    nobody = await studio.newcomer("short")
    await nobody.wait(ended=True)
    ended = (await nobody.facts()).ended
    assert ended is not None
    assert (ended.code, "branch" in ended.reason) == (4404, True)
    assert (await ann.facts()).closes == []


async def test_a_branch_that_is_renamed_keeps_who_is_in_it(studio: Studio) -> None:
    await begun(studio)
    await studio.branch("old")
    [cat] = await studio.people("old")
    await studio.ask("PATCH", "/branches/old", {"name": "new"})
    [dan] = await studio.people("new")
    await dan.edit(node.put("takes", "dan", value=1))
    await cat.has("takes", "dan", value=1)
    await studio.agreed([cat, dan], "new")
    gone = await studio.newcomer("old")
    await gone.wait(ended=True)


async def ended(client: Client) -> tuple[int, str]:
    """How the server told a provider to give up."""
    await client.wait(ended=True)
    close = (await client.facts()).ended
    assert close is not None
    return close.code, close.reason


async def test_after_a_squash_old_clients_are_told_and_nothing_of_theirs_is_doubled(
    studio: Studio,
) -> None:
    (ann, ben), first = await begun(studio)
    await studio.branch("side")
    [cat] = await studio.people("side")
    await cat.edit(node.put("takes", "cat", value=1))
    await ann.edit(node.write("lyrics", " two"), node.push("log", 1, 2))
    for client in (ann, cat):
        await client.acknowledged()
    await studio.yjs.converged(ann, ben)
    # Ben is away and works on; somebody who only looked is away, too.
    [dan] = await studio.people()
    for client in (ben, dan):
        await client.disconnect()
    await ben.edit(node.write("lyrics", "Ben's ", 0), node.put("takes", "ben", value=1))
    before, side = await studio.live(), await studio.live("side")

    done = await studio.ask("POST", "/squash", {"message": "Release"})
    assert done["branches"] == 2
    # Those who are connected are told, and do not come back by themselves.
    for client in (ann, cat):
        code, reason = await ended(client)
        assert (code, "squashed" in reason) == (4409, True)
    # Neither is anything of one who was away merged, whether there is news in it or not.
    for client in (ben, dan):
        await client.connect()
        assert (await ended(client))[0] == 4409
    assert await studio.live() == before
    assert await studio.live("side") == side

    # Whoever begins anew works as ever, and goes back to what was committed before.
    eve, fay = await studio.people(count=2)
    await eve.edit(node.write("lyrics", " three"))
    await fay.has("lyrics", value="verse two three")
    await eve.acknowledged()
    assert (await studio.ask("POST", "/restore", {"commitId": first}))["applied"]
    await fay.has("lyrics", value="verse")
    await studio.agreed([eve, fay])


async def test_branches_that_were_squashed_merge_as_they_would_have_before(
    studio: Studio,
) -> None:
    (ann, _), first = await begun(studio)
    await studio.branch("side")
    [cat] = await studio.people("side")
    await cat.edit(node.put("takes", "cat", value=1))
    await ann.edit(node.write("lyrics", " two"), node.push("log", 1, 2))
    for client in (ann, cat):
        await client.acknowledged()
    await studio.ask("POST", "/squash", {})
    eve, fay = await studio.people(count=2)
    [gil] = await studio.people("side")
    await eve.edit(node.put("takes", "eve", value=1))
    await eve.acknowledged()
    assert (await studio.merge("side", "main"))["merged"]
    await fay.has("takes", value={"cat": 1, "eve": 1})
    # The side never had these, which is not to say that it took them away.
    main = await studio.agreed([eve, fay])
    assert node.at(main, "lyrics") == "verse two"
    assert node.at(main, "log") == [1, 2]
    assert (await studio.merge("main", "side"))["merged"]
    await gil.has("lyrics", value="verse two")
    # Nor does a branch of something older.
    await studio.branch("old", sourceCommit=first)
    [hal] = await studio.people("old")
    await hal.edit(node.put("takes", "hal", value=1))
    await hal.acknowledged()
    assert (await studio.merge("old", "main"))["merged"]
    await fay.has("takes", "hal", value=1)
    assert node.at(await studio.agreed([eve, fay]), "lyrics") == "verse two"
