"""Mutated updates over the wire: whatever they are, the server lives and everybody agrees.

Bounded and with a fixed seed, so a failure comes back. Some mutations are still updates, and are
rightly applied; the point is that server, neighbour and newcomer hold the same document afterwards.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e import node, poison, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e

ROUNDS = 250
AUTHOR = 3_000_000_019


@pytest.mark.parametrize("seed", [1, 2])
async def test_mutated_updates_never_harm_the_room(
    server: Server, api: Rest, project: Project, owner: Account, yjs: Driver, seed: int
) -> None:
    luck = random.Random(seed)
    honest = poison.honest_updates(luck, AUTHOR + seed, 30)
    mutated = poison.mutations(luck, honest[10:])
    [neighbour] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    closed: dict[int, int] = {}
    sent = 0
    while sent < ROUNDS:
        async with wire.peer(server.ws_url, project.room_id, owner.token) as fuzzer:
            # The beginning of the same history, so that mutations hit something.
            for body in honest[:10]:
                await fuzzer.send(wire.update(body))
            try:
                while sent < ROUNDS:
                    sent += 1
                    await fuzzer.send(wire.update(next(mutated)))
                    await fuzzer.pull()
            except ConnectionClosed:
                code = (await fuzzer.closed()).code
                closed[code] = closed.get(code, 0) + 1
        if sent % 25 == 0:
            await neighbour.edit(node.put("fuzz", f"neighbour{sent}", value=sent))
    assert set(closed) == {4400}

    await neighbour.edit(node.put("fuzz", "last", value=sent))
    await neighbour.acknowledged()
    assert (await neighbour.facts()).closes == []
    assert await yjs.faults() == []
    [fresh] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    agreed = await yjs.converged(neighbour, fresh)
    assert node.at(agreed, "fuzz", "last") == sent
    reading = await yjs.read(await api.snapshot_update(owner, project))
    assert reading.state == agreed
