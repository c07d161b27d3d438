"""Bad input ends the connection it came from, with a reason, and is noticed by nobody else.

Every test has a neighbour: a stock client in the same room that edits before and after and whose
connection must not even flicker.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e import node, poison, wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.e2e.harness import Server
    from tests.e2e.node import Client, Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024


@pytest.fixture
async def neighbour(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> AsyncGenerator[Client]:
    """Somebody at work in the room; afterwards an empty client must find all of that work."""
    [client] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    await client.edit(node.put("takes", "before", value=1), node.write("lyrics", "before "))
    await client.acknowledged()
    yield client
    await client.edit(node.put("takes", "after", value=2), node.write("lyrics", "after"))
    [fresh] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    agreed = await yjs.converged(client, fresh)
    assert node.at(agreed, "takes") == {"before": 1, "after": 2}
    assert node.at(agreed, "lyrics") == "before after"
    assert (await client.facts()).closes == []


MALFORMED = {
    "an empty message": b"",
    "a type that ends too early": b"\x80",
    "a type without end": b"\xff" * 12,
    "a sync message without a kind": b"\x00",
    "an unknown kind of sync message": b"\x00\x07\x00",
    "a length without end": b"\x00\x02" + b"\xff" * 12,
    "a length beyond the message": b"\x00\x02\xff\x01\x00",
    "a length beyond all memory": b"\x00\x02\xff\xff\xff\xff\xff\xff\xff\x0f\x00",
    "an update of noise": wire.update(random.Random(5).randbytes(300)),
    "an update that ends too early": wire.update(poison.HALF.groundwork[:-4]),
    "an update of no bytes": wire.update(b""),
    "a second step of noise": b"\x00\x01" + wire.var_bytes(b"\x99\x98\x97"),
    "a state vector of noise": b"\x00\x00" + wire.var_bytes(b"\xff\xff\xff\xff"),
    "a state vector that ends too early": b"\x00\x00" + wire.var_bytes(b"\x05\x01"),
    "presence that ends too early": b"\x01" + wire.var_bytes(b"\x03\x01"),
    "presence of noise": b"\x01" + wire.var_bytes(b"\xfe" * 40),
    "an acknowledgement that ends too early": b"\x66\x09\x01",
    "a good message with half a one behind": wire.step1() + b"\x00\x02\x09",
    **{f"an update with {name}": wire.update(update) for name, update in poison.BRICKS.items()},
    **{f"{name} for yrs": wire.update(bad.update) for name, bad in poison.UNREAD.items()},
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_message_ends_its_connection_with_4400(
    server: Server, project: Project, owner: Account, neighbour: Client, frame: bytes
) -> None:
    async with wire.peer(server.ws_url, project.room_id, owner.token) as offender:
        await offender.pull()
        await offender.send(frame)
        code, reason = await offender.closed()
    assert code == 4400
    assert reason
    assert reason.isascii()


async def test_a_text_message_ends_its_connection_with_4400(
    server: Server, project: Project, owner: Account, neighbour: Client
) -> None:
    async with wire.peer(server.ws_url, project.room_id, owner.token) as offender:
        await offender.send('{"type":"hello"}')
        code, reason = await offender.closed()
    assert code == 4400
    assert "text" in reason


async def test_an_unknown_type_of_message_is_ignored(
    server: Server, project: Project, owner: Account, neighbour: Client
) -> None:
    # As y-websocket does itself: a newer client may say more than this server understands.
    async with wire.peer(server.ws_url, project.room_id, owner.token) as peer:
        await peer.send(b"\x63\x01\x02\x03")
        await peer.acknowledged()


@pytest.mark.parametrize("seed", range(3))
async def test_random_bytes_end_their_connection_or_mean_nothing(
    server: Server, project: Project, owner: Account, neighbour: Client, seed: int
) -> None:
    luck = random.Random(seed)
    ended = 0
    for _ in range(40):
        async with wire.peer(server.ws_url, project.room_id, owner.token) as offender:
            noise = luck.randbytes(luck.randint(1, 4000))
            # A known type in front of most: chance alone makes types that nobody has heard of.
            front = luck.choice([b"", b"\x00", b"\x00\x01", b"\x00\x02", b"\x01", b"\x66"])
            try:
                await offender.send(front + noise)
                await offender.pull()
            except ConnectionClosed:
                assert (await offender.closed()).code == 4400
                ended += 1
    assert ended > 10


async def test_an_update_that_breaks_yrs_costs_only_its_sender(
    server: Server, api: Rest, owner: Account, yjs: Driver
) -> None:
    kind = poison.HALF
    assert poison.error_of(kind) == kind.error, "yrs has changed: find another one"
    project = await api.project(owner, kind="opendaw")
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.put("takes", "ann", value=1))
    rebuilt = await api.metric("syncsphere_room_rebuilds_total")
    async with wire.peer(server.ws_url, project.room_id, owner.token) as offender:
        await offender.send(wire.update(kind.groundwork))
        await offender.acknowledged()
        # In company: what others sent in the same turn of the loop must not go down with it.
        await ben.edit(node.put("takes", "ben", value=2))
        await offender.send(wire.update(kind.update))
        await ann.edit(node.put("takes", "ann too", value=3))
        code, reason = await offender.closed()
    assert code == 4400
    assert reason
    await ben.edit(node.put("takes", "afterwards", value=4))
    [fresh] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    agreed = await yjs.converged(ann, ben, fresh)
    assert node.at(agreed, "takes") == {"ann": 1, "ben": 2, "ann too": 3, "afterwards": 4}
    assert [one for client in (ann, ben) for one in (await client.facts()).closes] == []
    assert await api.metric("syncsphere_room_rebuilds_total") > rebuilt
    # The groundwork was honest, and stays.
    alone = await yjs.read(kind.groundwork)
    assert {root: agreed.get(root) for root in alone.state} == alone.state


async def test_poison_over_rest_is_refused_with_a_problem(
    server: Server, api: Rest, owner: Account, project: Project, yjs: Driver
) -> None:
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    assert (await api.post_update(owner, project, poison.HALF.groundwork)).is_success
    for bad, expected in (
        (poison.HALF.update, "poison_update"),
        (b"\x99\x98", "malformed_update"),
    ):
        answer = await api.post_update(owner, project, bad)
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["code"] == expected
    await ann.edit(node.put("takes", "after", value=1))
    await ann.acknowledged()
    assert (await ann.facts()).closes == []


@pytest.mark.parametrize("size", [17 * MIB, 50 * MIB])
async def test_a_message_over_the_limit_ends_its_connection_with_4413(
    server: Server, project: Project, owner: Account, neighbour: Client, size: int
) -> None:
    async with wire.peer(server.ws_url, project.room_id, owner.token) as offender:
        await offender.send_if_open(wire.update(bytes(size)))
        code, reason = await offender.closed()
    assert code == 4413
    assert reason


async def test_fifty_megabytes_over_rest_are_refused_with_a_problem(
    server: Server, api: Rest, project: Project, owner: Account, neighbour: Client
) -> None:
    answer = await api.post_update(owner, project, bytes(50 * MIB))
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


async def test_a_stock_client_stops_for_good_when_it_sent_garbage(
    server: Server, project: Project, owner: Account, neighbour: Client, yjs: Driver
) -> None:
    [offender] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    await offender.send(b"\x00\x02\x05\x99")
    await offender.wait(ended=True)
    ended = (await offender.facts()).ended
    assert ended is not None
    assert ended.code == 4400


async def test_a_connection_that_is_dropped_in_the_middle_of_a_message_disturbs_nobody(
    server: Server, project: Project, owner: Account, neighbour: Client
) -> None:
    for _ in range(5):
        async with wire.peer(server.ws_url, project.room_id, owner.token) as offender:
            await offender.send(wire.step1())
            offender.abort_after(b"\x82\xfe\x40\x00half a frame")
