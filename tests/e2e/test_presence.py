"""Presence belongs to the server: seen at once, gone soon after its owner, never forged.

y-websocket 3.1 sends back every state that it receives, so all of this runs with echoing clients.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from base import clock
from tests.e2e import node, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Client, Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e

GRACE = 1.0
"""Seconds that a dead socket's states are kept for its return (SYNCSPHERE_PRESENCE_GRACE_MS)."""


async def _band(
    server: Server, project: Project, owner: Account, yjs: Driver, count: int
) -> list[Client]:
    band = await yjs.room(server.ws_url, project.room_id, owner.token, count)
    for number, player in enumerate(band):
        await player.presence({"cursor": number})
    for player in band:
        for number, other in enumerate(band):
            await player.sees(other, cursor=number)
    return band


async def test_presence_is_seen_by_those_who_are_there_and_by_those_who_come(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.presence({"cursor": {"row": "kick", "step": 4}})
    await ben.sees(ann, cursor={"row": "kick", "step": 4})
    [late] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    await late.sees(ann, cursor={"row": "kick", "step": 4})


async def test_an_orderly_leave_is_seen_at_once(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await _band(server, project, owner, yjs, 2)
    started = clock.monotonic()
    await ann.disconnect()
    await ben.misses(ann)
    assert clock.monotonic() - started < GRACE


async def test_a_socket_that_dies_without_goodbye_is_gone_after_about_a_second(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await _band(server, project, owner, yjs, 2)
    started = clock.monotonic()
    await ann.vanish()
    await ben.misses(ann)
    assert GRACE * 0.8 < clock.monotonic() - started < GRACE + 1.5


async def test_a_quick_reconnect_never_makes_anybody_invisible(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben, eve = await _band(server, project, owner, yjs, 3)
    await ann.cut()
    await ann.wait(connected=False)
    await ann.wait(synced=True)
    # Eve dies after Ann came back: once Eve's grace is over, Ann's would be too.
    await eve.vanish()
    await ben.misses(eve)
    seen = await ben.facts()
    assert ann.id not in [gone for change in seen.presence for gone in change["removed"]]
    assert str(ann.id) in seen.states
    await ann.sees(ben, cursor=1)


async def test_nobody_becomes_a_ghost_among_clients_that_echo(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    band = await _band(server, project, owner, yjs, 5)
    while len(band) > 2:
        leaver = band.pop()
        await (leaver.vanish() if len(band) % 2 else leaver.disconnect())
        for player in band:
            await player.wait(states=len(band))
    # A new arrival is told about those who are there and nobody else.
    [late] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    await late.presence({"cursor": 9})
    for player in band:
        await player.sees(late, cursor=9)
    assert set((await late.facts()).states) == {str(player.id) for player in [*band, late]}


async def test_a_renewal_is_echoed_to_its_sender(
    server: Server, project: Project, owner: Account
) -> None:
    # A stock client drops its socket after 30 s without a message and renews its presence every
    # 15 s: the echo of the renewal is what keeps an idle pair connected.
    async with wire.peer(server.ws_url, project.room_id, owner.token) as peer:
        for clock in (1, 2, 3):
            await peer.send(wire.awareness((77, clock, '{"cursor":1}')))
            await peer.next(lambda frame, clock=clock: (77, clock) in _clocks(frame))


async def test_the_server_says_who_somebody_is(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    [ben] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    async with wire.peer(server.ws_url, project.room_id, owner.token) as liar:
        claim = {"user": {"id": "somebody else", "name": "Mallory"}, "cursor": 5}
        await liar.send(wire.awareness((4242, 1, json.dumps(claim))))
        frame = await liar.next(lambda frame: (4242, 1) in _clocks(frame))
    states = {client: text for client, _, text in wire.awareness_states(frame) or []}
    stamped = json.loads(states[4242])
    assert stamped["user"]["id"] == owner.user.id
    assert stamped["user"]["name"] == owner.user.username
    assert stamped["cursor"] == 5
    del ben


@pytest.mark.parametrize("signed_in", [True, False], ids=["another account", "nobody"])
async def test_nobody_can_remove_or_move_the_cursor_of_somebody_else(
    server: Server, api: Rest, owner: Account, yjs: Driver, *, signed_in: bool
) -> None:
    project = await api.project(owner, public=True)
    token = (await api.account("liar")).token if signed_in else None
    ann, ben = await _band(server, project, owner, yjs, 2)
    async with wire.peer(server.ws_url, project.room_id, token) as liar:
        await liar.send(
            wire.awareness((ann.id, 1000, '{"cursor":"stolen"}')),
            wire.awareness((ann.id, 1001, "null")),
            wire.awareness((4243, 1, '{"cursor":"mine"}'), (ann.id, 1002, '{"cursor":"stolen"}')),
        )
        await ben.wait(sees={"clientId": 4243, "has": {"cursor": "mine"}})
        seen = await ben.facts()
    assert (seen.states[str(ann.id)] or {})["cursor"] == 0
    assert ann.id not in [gone for change in seen.presence for gone in change["removed"]]
    await ann.presence({"cursor": "moved by herself"})
    await ben.sees(ann, cursor="moved by herself")


async def test_malformed_presence_reaches_nobody(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await _band(server, project, owner, yjs, 2)
    for text in ("{not json", '"\\ud800"', "[" * 5_000):
        async with wire.peer(server.ws_url, project.room_id, owner.token) as offender:
            await offender.send(wire.awareness((555, 1, text)))
            assert (await offender.closed()).code == 4400
    await ann.presence({"cursor": "still here"})
    await ben.sees(ann, cursor="still here")
    assert "555" not in (await ben.facts()).states
    assert await yjs.faults() == []


async def test_rooms_do_not_see_each_others_presence(
    server: Server, api: Rest, owner: Account, yjs: Driver
) -> None:
    here, there = await api.project(owner), await api.project(owner)
    [ann] = await yjs.room(server.ws_url, here.room_id, owner.token, 1)
    [ben] = await yjs.room(server.ws_url, there.room_id, owner.token, 1)
    await ann.presence({"cursor": 1})
    await ann.edit(node.put("takes", "a", value=1))
    await ann.acknowledged()
    await ben.acknowledged()
    assert str(ann.id) not in (await ben.facts()).states


def _clocks(frame: bytes) -> list[tuple[int, int]]:
    return [(client, clock) for client, clock, _ in wire.awareness_states(frame) or []]
