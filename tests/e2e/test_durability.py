"""What is on disk: the acknowledgement, REST beside the sockets, and limits of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e import harness, node, rest, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("body", [b"\x01", b"\xff\x7f", b"", b"any bytes at all"])
async def test_an_acknowledgement_is_answered_with_the_same_bytes(
    server: Server, project: Project, owner: Account, body: bytes
) -> None:
    asked = bytes([wire.ACKNOWLEDGE]) + wire.var_bytes(body)
    async with wire.peer(server.ws_url, project.room_id, owner.token) as peer:
        await peer.send(wire.update(wire.small_update("takes", "a", 1)), asked)
        assert await peer.next(lambda frame: frame[:1] == asked[:1]) == asked


async def test_acknowledgements_come_once_each_and_in_order(
    server: Server, project: Project, owner: Account
) -> None:
    async with wire.peer(server.ws_url, project.room_id, owner.token) as peer:
        await peer.pull()
        for version in range(100):
            key = f"take{version}"
            await peer.send(wire.update(wire.small_update("takes", key, version)))
            await peer.send(wire.acknowledge(version))
        await peer.next(lambda frame: frame == wire.acknowledge(99))
    answers = [frame for frame in peer.frames if frame[:1] == bytes([wire.ACKNOWLEDGE])]
    assert answers == [wire.acknowledge(version) for version in range(100)]


async def test_what_was_acknowledged_is_there_after_a_kill_that_follows_at_once(
    own_server: Server, yjs: Driver
) -> None:
    async with rest.Rest(own_server.url) as api:
        owner = await api.account("owner")
        project = await api.project(owner)
    [ann] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
    for turn in range(3):
        await ann.edit(node.put("takes", f"take{turn}", value=turn))
        await ann.acknowledged()
        own_server.kill()
        # Disconnected on purpose: what the client still knows must not heal what the server lost.
        await ann.disconnect()
        await own_server.start()
        [reader] = await yjs.room(own_server.ws_url, project.room_id, owner.token, 1)
        assert node.at(await reader.state(), "takes", f"take{turn}") == turn
        await reader.close()
        await ann.connect()
        await ann.wait(synced=True)


async def test_an_update_posted_over_rest_reaches_the_clients_who_are_there(
    server: Server, api: Rest, project: Project, owner: Account, yjs: Driver
) -> None:
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    answer = await api.post_update(owner, project, wire.small_update("takes", "posted", 1))
    assert answer.status_code == 200
    assert answer.json() == {"applied": True, "pending": False, "durable": True}
    await ann.has("takes", "posted", value=1)
    again = await api.post_update(owner, project, wire.small_update("takes", "posted", 1))
    assert again.json()["applied"] is False


async def test_an_update_may_be_posted_into_a_room_that_nobody_has_open(
    server: Server, api: Rest, project: Project, owner: Account, yjs: Driver
) -> None:
    await api.post_update(owner, project, wire.small_update("takes", "posted", 1))
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    await ann.has("takes", "posted", value=1)


async def test_snapshots_say_what_the_clients_see(
    server: Server, api: Rest, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(
        node.new_map("stems", "bass"),
        node.put("stems", "bass", "name", value="Größe 🥁"),
        node.put("stems", "bass", "volume", value=0.25),
        node.put("project", "tempo", value=120),
        node.put("project", "timeSignature", value=[3, 4]),
        node.push("chat", {"id": "1", "name": "Ann", "text": "hi", "timestamp": 1_700_000_000_000}),
        node.write("notes", "quiet please"),
    )
    agreed = await yjs.converged(ann, ben)
    await ann.acknowledged()
    reading = await yjs.read(await api.snapshot_update(owner, project))
    assert reading.state == agreed
    # Roots that the server lists empty are equal to roots that nobody has touched.
    told = {
        root: value for root, value in (await api.snapshot_json(owner, project)).items() if value
    }
    assert told == agreed


async def test_a_document_that_is_full_refuses_more_and_stays_readable(
    tmp_path_factory: pytest.TempPathFactory, yjs: Driver
) -> None:
    limit = 256 * 1024
    small = {"SYNCSPHERE_MAX_DOCUMENT_BYTES": str(limit)}
    async with (
        harness.running(tmp_path_factory.mktemp("small"), small) as server,
        rest.Rest(server.url) as api,
    ):
        owner = await api.account("owner")
        project = await api.project(owner)
        [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
        await ann.edit(node.write("notes", "x" * 1000))
        await ann.acknowledged()
        async with wire.peer(server.ws_url, project.room_id, owner.token) as greedy:
            await greedy.send(wire.update(wire.small_update("takes", "big", "x" * limit)))
            closed = await greedy.closed()
        assert closed.code == 4413
        await ann.edit(node.write("notes", "!", 0))
        await ann.acknowledged()
        assert (await ann.facts()).closes == []
        assert node.at(await ann.state(), "takes") is None
