"""A project is squashed while people are connected, away, or writing; nobody brings the past back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pycrdt
import pytest

from tests.e2e import node, rest, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e

REASON = "the project was squashed: begin anew from the server's state"


def write(doc: pycrdt.Doc[Any], **values: object) -> bytes:
    """Values under keys of one map, as an update."""
    before = doc.get_state()
    with doc.transaction():
        for key, value in values.items():
            doc.get("m", type=pycrdt.Map[Any])[key] = value
    return doc.get_update(before)


async def squash(api: Rest, who: Account, project: Project) -> dict[str, Any]:
    return await api.call("POST", f"/api/projects/{project.id}/squash", who, {})


async def content(api: Rest, who: Account, project: Project) -> object:
    return (await api.snapshot_json(who, project)).get("m")


@pytest.fixture
async def old(server: Server, api: Rest, owner: Account, project: Project) -> pycrdt.Doc[Any]:
    """What a client from before the squash has: written, overwritten, acknowledged."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    async with wire.peer(server.ws_url, project.room_id, owner.token) as peer:
        doc.apply_update(await peer.pull())
        for number in range(50):
            await peer.send(wire.update(write(doc, bpm=number, key="D")))
        await peer.acknowledged()
    return doc


async def test_who_is_connected_is_sent_to_a_new_beginning(
    server: Server, api: Rest, owner: Account, project: Project, old: pycrdt.Doc[Any]
) -> None:
    async with (
        wire.peer(server.ws_url, project.room_id, owner.token) as writer,
        wire.peer(server.ws_url, project.room_id, owner.token) as reader,
    ):
        await writer.pull(old.get_state())
        await reader.pull()
        await writer.send(wire.update(write(old, last=1)))
        await writer.acknowledged()
        done = await squash(api, owner, project)
        assert await writer.closed() == wire.Closed(4409, REASON)
        assert await reader.closed() == wire.Closed(4409, REASON)
    assert done["bytesAfter"] < done["bytesBefore"] / 2
    assert await content(api, owner, project) == {"bpm": 49, "key": "D", "last": 1}
    # Whoever begins anew goes on as always.
    fresh: pycrdt.Doc[Any] = pycrdt.Doc()
    async with wire.peer(server.ws_url, project.room_id, owner.token) as peer:
        fresh.apply_update(await peer.pull())
        assert fresh.get("m", type=pycrdt.Map[Any])["bpm"] == 49
        await peer.send(wire.update(write(fresh, bpm=120)))
        await peer.acknowledged()
    assert await content(api, owner, project) == {"bpm": 120, "key": "D", "last": 1}


async def test_who_comes_with_what_was_before_is_sent_away(
    server: Server, api: Rest, owner: Account, project: Project, old: pycrdt.Doc[Any]
) -> None:
    offline = write(old, bpm=999, mine="typed offline")
    before = await content(api, owner, project)
    await squash(api, owner, project)
    # A client of today that kept the document and draws another id: its own struct is new.
    heir: pycrdt.Doc[Any] = pycrdt.Doc()
    heir.apply_update(old.get_update())
    said = [
        wire.step1(old.get_state()),
        bytes([wire.SYNC, wire.STEP2]) + wire.var_bytes(old.get_update()),
        wire.update(offline),
        wire.update(write(heir, bpm=1)),
        wire.update(_deletion(old)),
    ]
    for frame in said:
        async with wire.peer(server.ws_url, project.room_id, owner.token) as peer:
            await peer.send(frame)
            assert await peer.closed() == wire.Closed(4409, REASON)
    answer = await api.post_update(owner, project, offline)
    assert (answer.status_code, answer.json()["code"]) == (409, "other_epoch")
    assert await content(api, owner, project) == before


def _deletion(doc: pycrdt.Doc[Any]) -> bytes:
    before = doc.get_state()
    del doc.get("m", type=pycrdt.Map[Any])["key"]
    return doc.get_update(before)


async def test_also_after_the_server_began_anew_and_was_squashed_again(
    own_server: Server,
) -> None:
    async with rest.Rest(own_server.url) as api:
        owner = await api.account()
        project = await api.project(owner)
        docs: list[pycrdt.Doc[Any]] = []
        for number in range(3):
            doc: pycrdt.Doc[Any] = pycrdt.Doc()
            async with wire.peer(own_server.ws_url, project.room_id, owner.token) as peer:
                doc.apply_update(await peer.pull())
                await peer.send(wire.update(write(doc, **{f"k{number}": number})))
                await peer.acknowledged()
            docs.append(doc)
            assert (await squash(api, owner, project))["lineage"] == number + 2
    await own_server.restart()
    for doc in docs:
        async with wire.peer(own_server.ws_url, project.room_id, owner.token) as peer:
            await peer.send(wire.step1(doc.get_state()))
            assert (await peer.closed()).code == 4409
    async with rest.Rest(own_server.url) as api:
        assert await content(api, owner, project) == {"k0": 0, "k1": 1, "k2": 2}


async def test_branches_still_share_what_they_say(
    server: Server, api: Rest, owner: Account, project: Project, old: pycrdt.Doc[Any]
) -> None:
    path = f"/api/projects/{project.id}"
    made = await api.call("POST", f"{path}/branch", owner, {"name": "side"}, status=201)
    async with wire.peer(server.ws_url, made["room"], owner.token) as peer:
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        doc.apply_update(await peer.pull())
        await peer.send(wire.update(write(doc, side="yes", bpm=77)))
        await peer.acknowledged()
        done = await squash(api, owner, project)
        assert (await peer.closed()).code == 4409
    assert done["branches"] == 2
    assert await content(api, owner, project) == {"bpm": 49, "key": "D"}
    body = {"into": "main"}
    merged = await api.call("POST", f"{path}/branches/side/merge", owner, body)
    assert merged["merged"] is True
    assert await content(api, owner, project) == {"bpm": 77, "key": "D", "side": "yes"}
    # Commits from before are of another lineage, and can be gone back to, and branched from.
    log = (await api.call("GET", f"{path}/commits?limit=100", owner))["items"]
    first = log[-1]
    body = {"name": "early", "sourceCommit": first["id"]}
    await api.call("POST", f"{path}/branch", owner, body, status=201)
    merged = await api.call("POST", f"{path}/branches/early/merge", owner, {"into": "main"})
    assert "conflicts" in merged


async def test_what_people_write_meanwhile_is_there_or_was_not_acknowledged(
    server: Server, api: Rest, owner: Account, project: Project
) -> None:
    acknowledged: list[str] = []

    async def work(name: str, *, task_status: Any) -> None:
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        async with wire.peer(server.ws_url, project.room_id, owner.token) as peer:
            doc.apply_update(await peer.pull())
            task_status.started()
            number = 0
            while True:
                key = f"{name}{number}"
                try:
                    await peer.send(wire.update(write(doc, **{key: number})))
                    await peer.acknowledged()
                except Exception:  # noqa: BLE001 (closed, in whatever way the library says it)
                    assert (await peer.closed()).code == 4409
                    return
                acknowledged.append(key)
                number += 1

    async with anyio.create_task_group() as group:
        for name in "abcd":
            await group.start(work, name)
        while len(acknowledged) < 200:
            await anyio.lowlevel.checkpoint()
        await squash(api, owner, project)
    there = await api.snapshot_json(owner, project)
    assert [key for key in acknowledged if node.at(there, "m", key) is None] == []
