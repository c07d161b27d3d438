"""Stock clients write at the same time and end up with the same document.

Sizes and moments that broke other servers: a brand-new room opened by many at once, an edit followed
by a close, one large update, thousands of small ones in a tick, a late joiner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.e2e import node

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Client, Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e


async def test_two_clients_that_edit_every_type_at_once_agree(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.new_map("stems", "bass"), node.write("notes", "Intro. "))
    await yjs.converged(ann, ben)

    await yjs.edit_all(
        [
            (
                ann,
                [
                    node.put("stems", "bass", "volume", value=0.5),
                    node.put("pattern", "bpm", value=120),
                    node.write("notes", "Ann: drop the snare 🥁.", 0),
                    node.push("chat", {"name": "Ann", "text": "hi"}),
                ],
            ),
            (
                ben,
                [
                    node.put("stems", "bass", "name", value="Größe"),
                    node.put("pattern", "bpm", value=96),
                    node.write("notes", "Ben: louder."),
                    node.push("chat", {"name": "Ben", "text": "hello"}),
                ],
            ),
        ]
    )

    agreed = await yjs.converged(ann, ben)
    assert node.at(agreed, "stems", "bass") == {"volume": 0.5, "name": "Größe"}
    assert node.at(agreed, "pattern", "bpm") in {96, 120}
    notes = node.at(agreed, "notes")
    assert isinstance(notes, str)
    assert {"Ann: drop the snare 🥁.", "Intro. ", "Ben: louder."} == {
        part for part in ("Ann: drop the snare 🥁.", "Intro. ", "Ben: louder.") if part in notes
    }
    assert node.size(agreed, "chat") == 2


async def test_five_clients_that_edit_for_many_rounds_agree_and_lose_nothing(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    band = await yjs.room(server.ws_url, project.room_id, owner.token, 5)
    rounds = 20
    for turn in range(rounds):
        await yjs.edit_all([(player, _turn(player, turn)) for player in band])

    agreed = await yjs.converged(*band)
    assert node.size(agreed, "takes") == len(band) * rounds
    assert node.size(agreed, "log") == len(band) * rounds


def _turn(player: Client, turn: int) -> list[node.Op]:
    return [
        node.put("takes", f"{player.id}:{turn}", value=turn),
        node.put("pattern", "step", value=f"{player.id}"),
        node.write("lyrics", f"la{turn} ", 0),
        node.push("log", [player.id, turn]),
    ]


async def test_deletions_reach_everyone(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.put("markers", "a", value=1), node.put("markers", "b", value=2))
    await ann.edit(node.write("lyrics", "one two three"))
    await ben.has("lyrics", value="one two three")
    await ben.edit(
        node.drop("markers", "a"), {"op": "cut", "path": ["lyrics"], "index": 4, "length": 4}
    )
    agreed = await yjs.converged(ann, ben)
    assert node.at(agreed, "markers") == {"b": 2}
    assert node.at(agreed, "lyrics") == "one three"


async def test_a_room_that_four_clients_open_in_the_same_instant_serves_all_of_them(
    server: Server, api: Rest, yjs: Driver
) -> None:
    # An owner each: one user may not have eighty connections.
    owners = [await api.account("owner") for _ in range(20)]
    rooms = [(owner, await api.project(owner)) for owner in owners]
    everyone = await yjs.clients(
        [
            node.options(server.ws_url, room.room_id, owner.token)
            for owner, room in rooms
            for _ in range(4)
        ]
    )
    async with anyio.create_task_group() as tasks:
        for client in everyone:
            tasks.start_soon(_synced, client)
    # Being served is more than being synced: an edit gets through in each room.
    for number in range(len(rooms)):
        first, *others = everyone[number * 4 : number * 4 + 4]
        await first.edit(node.put("pattern", "bpm", value=100 + number))
        for other in others:
            await other.has("pattern", "bpm", value=100 + number)


async def _synced(client: Client) -> None:
    await client.wait(synced=True)


async def test_an_edit_followed_at_once_by_a_close_is_kept_and_disturbs_nobody(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    [watcher] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    for turn in range(20):
        [guest] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
        await guest.edit_and_close(node.put("takes", f"take{turn}", value=turn))
    await watcher.wait(size={"path": ["takes"], "count": 20})
    assert (await watcher.facts()).closes == []


async def test_the_only_client_may_edit_and_close_and_the_next_one_finds_it(
    server: Server, api: Rest, owner: Account, yjs: Driver
) -> None:
    for turn in range(5):
        room = await api.project(owner, f"Short visit {turn}")
        [guest] = await yjs.room(server.ws_url, room.id, owner.token, 1)
        await guest.edit_and_close(node.put("takes", "only", value=turn))
        [reader] = await yjs.room(server.ws_url, room.room_id, owner.token, 1)
        await reader.has("takes", "only", value=turn)


async def test_a_project_is_one_room_by_its_id_and_by_its_room_id(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    [ben] = await yjs.room(server.ws_url, project.id, owner.token, 1)
    await ann.edit(node.put("takes", "a", value=1))
    await ben.has("takes", "a", value=1)


async def test_one_update_of_five_megabytes_arrives(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben = await yjs.room(server.ws_url, project.room_id, owner.token, 2)
    await ann.edit(node.write("lyrics", "♪la la " * 600_000))
    await yjs.converged(ann, ben, timeout=30_000)
    assert (await ben.facts()).closes == []


async def test_ten_thousand_small_updates_of_one_tick_all_arrive(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    ann, ben, eve = await yjs.room(server.ws_url, project.room_id, owner.token, 3)
    await ann.burst("takes", 10_000)
    await eve.edit(node.put("pattern", "bpm", value=90))
    await yjs.converged(ann, ben, eve, timeout=30_000)
    await ben.wait(size={"path": ["takes"], "count": 10_000})
    assert [await one.facts() for one in (ann, ben, eve) if (await one.facts()).closes] == []


async def test_a_late_joiner_of_a_large_document_gets_all_of_it(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    for part in range(10):
        ops = [
            node.put("events", f"{part}:{note}", value=[note, 240, 60, 100, part])
            for note in range(2_000)
        ]
        await ann.edit(*ops)
    await ann.acknowledged(timeout=30_000)
    [late] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    await yjs.converged(ann, late)
    await late.edit(node.put("pattern", "bpm", value=77))
    await ann.has("pattern", "bpm", value=77)
