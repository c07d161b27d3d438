"""Clients that were away: offline edits, a browser that was closed, a server that restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pycrdt
import pytest

from tests.e2e import node, rest, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Driver
    from tests.e2e.rest import Account, Project

pytestmark = pytest.mark.e2e


async def _song(server: Server) -> tuple[Account, Project]:
    async with rest.Rest(server.url) as api:
        owner = await api.account("owner")
        return owner, await api.project(owner)


async def test_edits_made_offline_on_both_sides_meet_when_they_come_back(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.write("lyrics", "verse"))
    await yjs.converged(ann, ben)

    await ann.disconnect()
    await ben.disconnect()
    await ann.edit(node.write("lyrics", "Ann's ", 0), node.put("takes", "ann", value=1))
    await ben.edit(node.write("lyrics", " by Ben"), node.put("takes", "ben", value=2))
    await ann.connect()
    await ben.connect()

    agreed = await yjs.converged(ann, ben)
    assert node.at(agreed, "lyrics") == "Ann's verse by Ben"
    assert node.at(agreed, "takes") == {"ann": 1, "ben": 2}


async def test_offline_edits_reach_those_who_stayed(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.disconnect()
    await ann.edit(*[node.put("takes", f"take{turn}", value=turn) for turn in range(50)])
    await ben.edit(node.put("pattern", "bpm", value=101))
    await ann.connect()
    await ben.wait(size={"path": ["takes"], "count": 50})
    await yjs.converged(ann, ben)


@pytest.mark.parametrize("how", ["orderly", "killed"])
async def test_clients_reconnect_by_themselves_after_a_restart_and_agree(
    own_server: Server, yjs: Driver, how: str
) -> None:
    owner, project = await _song(own_server)
    ann, ben = await yjs.room(own_server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.put("takes", "before", value=1))
    await ben.has("takes", "before", value=1)
    await ann.acknowledged()

    if how == "killed":
        own_server.kill()
    else:
        await own_server.stop()
    for client in (ann, ben):
        await client.wait(connected=False)
    await ann.edit(node.put("takes", "ann while it was away", value=2))
    await ben.edit(node.put("takes", "ben while it was away", value=3))
    await own_server.start()

    agreed = await yjs.converged(ann, ben)
    takes = {"before": 1, "ann while it was away": 2, "ben while it was away": 3}
    assert node.at(agreed, "takes") == takes
    await ann.acknowledged()
    await ben.acknowledged()
    # Nobody may be the source of it: an empty client reads what the server kept.
    await ann.close()
    await ben.close()
    [reader] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
    assert await reader.state() == agreed
    # The session outlived the restart as well: the token still opened the room.


async def test_a_browser_that_was_closed_during_a_restart_brings_its_offline_edits(
    own_server: Server, yjs: Driver
) -> None:
    owner, project = await _song(own_server)
    room = project.room_id
    [ben] = await yjs.room(own_server.ws_url, room, owner.token, 1)
    ann = await yjs.client(own_server.ws_url, room, owner.token, database="ann")
    await ann.edit(node.put("takes", "ann online", value=1), node.write("lyrics", "one"))
    await yjs.converged(ann, ben)
    await ann.acknowledged()
    await ann.close()

    await own_server.restart()
    await ben.wait(synced=True)
    await ben.edit(node.put("takes", "ben", value=2), node.write("lyrics", " two"))
    await ben.acknowledged()
    # The browser opens offline: everything comes out of IndexedDB.
    ann = await yjs.client(own_server.ws_url, room, owner.token, database="ann", connect=False)
    await ann.has("takes", "ann online", value=1)
    await ann.edit(node.put("takes", "ann offline", value=3), node.write("lyrics", "zero ", 0))
    await ann.connect()

    agreed = await yjs.converged(ann, ben)
    assert node.at(agreed, "takes") == {"ann online": 1, "ben": 2, "ann offline": 3}
    assert node.at(agreed, "lyrics") == "zero one two"


@pytest.mark.parametrize("how", ["orderly", "killed"])
async def test_updates_that_wait_for_others_survive_a_restart(
    own_server: Server, yjs: Driver, how: str
) -> None:
    owner, project = await _song(own_server)
    pairs = [_map_in_two_steps(), _text_in_two_steps()]
    async with wire.peer(own_server.ws_url, project.room_id, owner.token) as early:
        await early.send(*[wire.update(second) for _, second in pairs])
        await early.acknowledged()
    [reader] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
    waiting = await reader.state()
    assert [node.at(waiting, root) for root in ("takes", "lyrics")] == [None, None]
    await reader.close()

    if how == "killed":
        own_server.kill()
    await own_server.restart()

    [watcher] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
    async with wire.peer(own_server.ws_url, project.room_id, owner.token) as late:
        await late.send(*[wire.update(first) for first, _ in pairs])
        await late.acknowledged()
    await watcher.has("takes", value={"first": 1, "second": 2})
    await watcher.has("lyrics", value="one two")
    await watcher.disconnect()
    # And what came together is kept together.
    own_server.kill()
    await own_server.start()
    [reader] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
    await reader.has("takes", value={"first": 1, "second": 2})
    await reader.has("lyrics", value="one two")


@pytest.mark.parametrize("how", ["orderly", "killed"])
async def test_characters_that_an_editor_cuts_in_half_are_the_same_for_everybody(
    own_server: Server, yjs: Driver, how: str
) -> None:
    owner, project = await _song(own_server)
    ann, ben = await yjs.room(own_server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.write("lyrics", "a🥁b🎹c🎻d"))
    await yjs.converged(ann, ben)
    # What an editor does that compares texts unit by unit.
    await ann.edit(node.cut("lyrics", 2, 1), node.write("lyrics", "x", 2))
    await ben.edit(node.write("lyrics", "between", 5))
    await yjs.converged(ann, ben)
    await ben.disconnect()
    await ben.edit(node.cut("lyrics", 0, 2))
    await ann.edit(node.put("takes", "ann", value=1))
    await ben.connect()
    agreed = await yjs.converged(ann, ben)
    [fresh] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
    assert await yjs.converged(ann, ben, fresh) == agreed
    await ann.acknowledged()
    if how == "killed":
        own_server.kill()
    await own_server.restart()
    [later] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
    assert await yjs.converged(ann, ben, fresh, later) == agreed
    lyrics = node.at(agreed, "lyrics")
    assert isinstance(lyrics, str)
    assert "🎻d" in lyrics
    assert "\ufffd" in lyrics


async def test_the_server_leaves_nothing_running_after_an_orderly_stop(own_server: Server) -> None:
    assert own_server.embedded("postgres")
    assert own_server.embedded("redis-server")
    await own_server.stop()
    assert own_server.embedded() == []


def _map_in_two_steps() -> tuple[bytes, bytes]:
    """Two keys by one author: Yjs waits for the first step, yrs keeps a gap in its place."""
    doc: pycrdt.Doc[pycrdt.Map[object]] = pycrdt.Doc(client_id=900_001)
    takes = doc.get("takes", type=pycrdt.Map[object])
    takes["first"] = 1
    first, vector = doc.get_update(), doc.get_state()
    takes["second"] = 2
    return first, doc.get_update(vector)


def _text_in_two_steps() -> tuple[bytes, bytes]:
    """The second step stands to the right of the first: nobody can place it alone."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=900_002)
    lyrics = doc.get("lyrics", type=pycrdt.Text)
    lyrics += "one"
    first, vector = doc.get_update(), doc.get_state()
    lyrics += " two"
    return first, doc.get_update(vector)
