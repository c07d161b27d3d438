"""What somebody may do changes while they play: stock clients, started servers, REST as the owner uses it."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread
import httpx
import psycopg
import pytest

from base import clock, embedded
from tests.e2e import harness, node, rest, wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tests.e2e.harness import Server
    from tests.e2e.node import Client, Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e

_log = logging.getLogger(__name__)
SOON = 1.0
"""Seconds from the answer to a request until the last socket has felt it."""
SOCKETS = 200

Role = Literal["editor", "viewer"]


class Owner:
    """What the owner of a project does to others, over REST."""

    def __init__(self, server: Server, owner: Account, project: Project) -> None:
        self._http = httpx.AsyncClient(base_url=server.url, headers=owner.headers)
        self._path = f"/api/projects/{project.id}"

    async def add(self, who: Account, role: Role) -> None:
        body = {"username": who.user.username, "role": role}
        await self._ask("POST", "/collaborators", 201, body)

    async def give(self, who: Account, role: Role) -> None:
        await self._ask("PUT", f"/collaborators/{who.user.id}", 200, {"role": role})

    async def remove(self, who: Account) -> None:
        await self._ask("DELETE", f"/collaborators/{who.user.id}", 204)

    async def share(self, role: Role) -> str:
        made = await self._ask("POST", "/links", 201, {"role": role})
        return made.json()["token"]

    async def ticket(self) -> str:
        return (await self._ask("POST", "/ticket", 200, {})).json()["ticket"]

    async def _ask(
        self, method: str, path: str, status: int, body: object = None
    ) -> httpx.Response:
        answer = await self._http.request(method, self._path + path, json=body)
        assert answer.status_code == status, answer.text
        return answer

    async def aclose(self) -> None:
        await self._http.aclose()


@contextlib.asynccontextmanager
async def owning(server: Server, owner: Account, project: Project) -> AsyncGenerator[Owner, None]:
    async with contextlib.aclosing(Owner(server, owner, project)) as made:
        yield made


@pytest.fixture
async def mine(server: Server, owner: Account, project: Project) -> AsyncGenerator[Owner, None]:
    async with owning(server, owner, project) as made:
        yield made


async def _ended(client: Client) -> node.Close:
    await client.wait(ended=True)
    ended = (await client.facts()).ended
    assert ended is not None
    return ended


async def test_an_editor_plays_on_as_a_viewer_and_what_was_typed_meanwhile_arrives_later(
    server: Server, api: Rest, project: Project, owner: Account, mine: Owner, yjs: Driver
) -> None:
    bob = await api.account("bob")
    await mine.add(bob, "editor")
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    [player] = await yjs.room(server.ws_url, project.room_id, bob.token, 1)
    await player.edit(node.put("takes", "before", value=1))
    await ann.has("takes", "before", value=1)

    async with wire.peer(server.ws_url, project.room_id, bob.token) as probe:
        await probe.pull()
        await mine.give(bob, "viewer")
        # Judged together with the player.
        await probe.next(_denied)
    await player.edit(node.put("takes", "meanwhile", value=2))
    await player.presence({"cursor": 7})
    await ann.sees(player, cursor=7)
    await ann.edit(node.put("takes", "ann", value=3))
    await player.has("takes", "ann", value=3)
    assert node.at(await ann.state(), "takes") == {"before": 1, "ann": 3}

    await mine.give(bob, "editor")
    await ann.has("takes", "meanwhile", value=2)
    await player.edit(node.put("takes", "after", value=4))
    await ann.has("takes", "after", value=4)
    await player.acknowledged()
    assert (await player.facts()).closes == []
    assert await player.hash() == await ann.hash()


async def test_a_stock_client_that_was_removed_stops_trying(
    server: Server, api: Rest, project: Project, owner: Account, mine: Owner, yjs: Driver
) -> None:
    bob = await api.account("bob")
    await mine.add(bob, "editor")
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    [player] = await yjs.room(server.ws_url, project.room_id, bob.token, 1)
    await mine.remove(bob)
    assert await _ended(player) == node.Close(4403, "your access was taken away")
    await ann.misses(player)
    assert (await ann.facts()).closes == []


async def test_a_session_that_was_revoked_or_left_ends_its_windows_and_no_others(
    server: Server, api: Rest, project: Project, owner: Account, yjs: Driver
) -> None:
    phone, laptop = await api.login(owner.email), await api.login(owner.email)
    windows = [
        (await yjs.room(server.ws_url, project.room_id, one.token, 1))[0]
        for one in (owner, phone, laptop)
    ]
    await api.logout(phone)
    assert await _ended(windows[1]) == node.Close(4401, "session_ended")
    async with httpx.AsyncClient(base_url=server.url, headers=owner.headers) as http:
        # All but the one that asks.
        assert (await http.delete("/api/auth/sessions")).is_success
    assert await _ended(windows[2]) == node.Close(4401, "session_ended")
    await windows[0].edit(node.put("takes", "still", value="here"))
    await windows[0].acknowledged()


async def test_a_link_opens_the_room_for_who_has_no_account_and_a_ticket_for_who_has(
    server: Server, project: Project, mine: Owner, yjs: Driver
) -> None:
    [guest] = await yjs.room(server.ws_url, project.room_id, await mine.share("editor"), 1)
    [ann] = await yjs.room(server.ws_url, project.room_id, await mine.ticket(), 1)
    await guest.edit(node.put("takes", "guest", value=1))
    await ann.has("takes", "guest", value=1)
    await ann.edit(node.put("takes", "ann", value=2))
    await guest.has("takes", "ann", value=2)


async def test_a_token_that_ends_ends_its_socket_within_a_second(
    tmp_path_factory: pytest.TempPathFactory, yjs: Driver
) -> None:
    seconds = 3
    environ = {"SYNCSPHERE_ACCESS_MINUTES": str(seconds / 60)}
    async with (
        harness.running(tmp_path_factory.mktemp("short"), environ) as server,
        rest.Rest(server.url) as api,
    ):
        owner = await api.account("owner")
        project = await api.project(owner)
        again = await api.login(owner.email)
        signed_in = clock.monotonic()
        client = await yjs.client(server.ws_url, project.room_id, again.token)
        await client.wait(synced=True)
        assert await _ended(client) == node.Close(4401, "token_expired")
        assert clock.monotonic() - signed_in < seconds + SOON


@pytest.fixture
async def two_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[tuple[Server, Server], None]:
    """Two processes on one PostgreSQL and one Redis, those of the first."""
    environ = {"SYNCSPHERE_CONNECTIONS_PER_USER": "1000"}
    async with harness.running(tmp_path_factory.mktemp("first"), environ) as first:
        shared = {
            "SYNCSPHERE_DATABASE_URL": embedded.EmbeddedPostgres(first.data).running_url() or "",
            "SYNCSPHERE_REDIS_URL": embedded.EmbeddedRedis(first.data).running_url() or "",
        }
        async with harness.running(tmp_path_factory.mktemp("second"), environ | shared) as second:
            yield first, second


async def test_two_hundred_sockets_on_another_server_feel_a_change_within_a_second(
    two_servers: tuple[Server, Server],
) -> None:
    first, second = two_servers
    async with rest.Rest(first.url) as api, contextlib.AsyncExitStack() as stack:
        owner, bob = await api.account("owner"), await api.account("bob")
        project = await api.project(owner)
        mine = await stack.enter_async_context(owning(first, owner, project))
        await mine.add(bob, "editor")
        peers = [
            await stack.enter_async_context(wire.peer(server.ws_url, project.room_id, bob.token))
            for server in (first, second)
            for _ in range(SOCKETS // 2)
        ]
        for peer in peers:
            await peer.pull()
        changes = [
            ("to viewer", mine.give(bob, "viewer"), _denied),
            ("to editor", mine.give(bob, "editor"), _asked),
            ("removed", mine.remove(bob), None),
        ]
        for name, change, sign in changes:
            await change
            answered = clock.monotonic()
            async with anyio.create_task_group() as everybody:
                for peer in peers:
                    if sign is None:
                        everybody.start_soon(_taken_away, peer)
                    else:
                        everybody.start_soon(peer.next, sign)
            took = clock.monotonic() - answered
            _log.info("%s: %d sockets within %.0f ms", name, SOCKETS, took * 1000)
            assert took < SOON


def _denied(frame: bytes) -> bool:
    return frame[:2] == b"\x02\x00"


def _asked(frame: bytes) -> bool:
    return wire.sync_body(frame, wire.STEP1) is not None


async def _taken_away(peer: wire.Peer) -> None:
    assert await peer.closed() == wire.Closed(4403, "your access was taken away")


async def test_a_deleted_project_is_gone_on_every_server(
    two_servers: tuple[Server, Server], yjs: Driver
) -> None:
    first, second = two_servers
    async with rest.Rest(first.url) as api:
        owner = await api.account("owner")
        project = await api.project(owner)
        [there] = await yjs.room(second.ws_url, project.room_id, owner.token, 1)
        await api.delete(owner, project)
        assert (await _ended(there)).code == 4404


@pytest.fixture
def mortal_redis() -> Iterator[embedded.EmbeddedRedis]:
    """A Redis of the test's own, which it may end and start again."""
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-test-"))
    keeper = embedded.EmbeddedRedis(folder)
    keeper.start()
    yield keeper
    keeper.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def test_what_changed_while_redis_was_dead_is_found_when_it_is_back(
    tmp_path_factory: pytest.TempPathFactory, mortal_redis: embedded.EmbeddedRedis, yjs: Driver
) -> None:
    """Meanwhile everybody plays on; who was removed behind the server's back is out afterwards."""
    environ = {"SYNCSPHERE_REDIS_URL": mortal_redis.url}
    async with (
        harness.running(tmp_path_factory.mktemp("own"), environ) as server,
        rest.Rest(server.url) as api,
    ):
        owner, bob = await api.account("owner"), await api.account("bob")
        project = await api.project(owner)
        async with owning(server, owner, project) as mine:
            await mine.add(bob, "editor")
        [player] = await yjs.room(server.ws_url, project.room_id, bob.token, 1)
        [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
        await anyio.to_thread.run_sync(mortal_redis.stop)
        await player.edit(node.put("takes", "still", value="playing"))
        await ann.has("takes", "still", value="playing")
        await player.acknowledged()
        database = embedded.EmbeddedPostgres(server.data).running_url()
        async with await psycopg.AsyncConnection.connect(database or "") as tx:
            await tx.execute("DELETE FROM project_collaborators WHERE user_id = %s", (bob.user.id,))
        await anyio.to_thread.run_sync(mortal_redis.start)
        assert await _ended(player) == node.Close(4403, "your access was taken away")
        await ann.edit(node.put("takes", "and", value="on"))
        await ann.acknowledged()
        assert (await ann.facts()).closes == []
