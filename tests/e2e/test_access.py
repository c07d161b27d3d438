"""Who may enter, what they may do, and how a client is told: by the code its socket closes with."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING

import pytest

from auth import tokens
from base import clock
from tests.e2e import harness, node, wire

if TYPE_CHECKING:
    from tests.e2e.harness import Server
    from tests.e2e.node import Client, Driver
    from tests.e2e.rest import Account, Project, Rest

pytestmark = pytest.mark.e2e


async def _refusal(server: Server, room: str, token: str | None) -> wire.Closed:
    async with wire.peer(server.ws_url, room, token) as stranger:
        await stranger.send_if_open(wire.step1())
        closed = await stranger.closed()
        assert stranger.frames == [], "something was said before the refusal"
        return closed


async def test_without_a_token_the_answer_is_sign_in(server: Server, project: Project) -> None:
    assert (await _refusal(server, project.room_id, None)).code == 4401


async def test_an_expired_token_must_sign_in_again(
    server: Server, project: Project, owner: Account
) -> None:
    key = tokens.SigningKey.derive(harness.SECRET)
    claims = tokens.read(owner.token, now=clock.now(), key=key)
    expired = tokens.mint(
        claims.user_id,
        claims.session_id,
        now=clock.now() - datetime.timedelta(hours=2),
        key=key,
        life=datetime.timedelta(hours=1),
    )
    closed = await _refusal(server, project.room_id, expired.token)
    assert closed == wire.Closed(4401, "token_expired")


async def test_a_forged_token_must_sign_in_again(
    server: Server, project: Project, owner: Account
) -> None:
    header, body, signature = owner.token.split(".")
    swapped = signature[::-1]
    for forged in (f"{header}.{body}.{swapped}", "not a token", f"{header}.{body}.", "a.b.c"):
        assert (await _refusal(server, project.room_id, forged)).code == 4401


async def test_a_token_that_signed_out_must_sign_in_again(
    server: Server, api: Rest, project: Project, owner: Account
) -> None:
    second = await api.login(owner.email)
    await api.logout(second)
    assert (await _refusal(server, project.room_id, second.token)).code == 4401
    async with wire.peer(server.ws_url, project.room_id, owner.token) as still_valid:
        await still_valid.pull()


@pytest.mark.parametrize(
    "room", ["nosuchroom12", str(uuid.UUID(int=7)), "x" * 300, "no/such", "%00"]
)
async def test_an_unknown_room_is_gone(server: Server, owner: Account, room: str) -> None:
    assert (await _refusal(server, room, owner.token)).code == 4404


async def test_a_strangers_private_project_looks_like_none_at_all(
    server: Server, api: Rest, project: Project
) -> None:
    stranger = await api.account("stranger")
    private = await _refusal(server, project.room_id, stranger.token)
    unknown = await _refusal(server, "nosuchroom12", stranger.token)
    assert private == unknown
    assert private.code == 4404


async def test_a_stock_client_that_is_refused_stops_trying(
    server: Server, project: Project, yjs: Driver
) -> None:
    client = await yjs.client(server.ws_url, project.room_id, "not a token")
    await client.wait(ended=True)
    facts = await client.facts()
    assert [close.code for close in facts.closes] == [4401]


async def test_a_client_may_bring_its_token_as_a_subprotocol(
    server: Server, project: Project, owner: Account, yjs: Driver
) -> None:
    client = await yjs.client(
        server.ws_url, project.room_id, None, protocols=["syncsphere", owner.token]
    )
    await client.wait(synced=True)
    await client.acknowledged()


@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "anonymous"])
async def test_a_viewer_of_a_public_project_sees_everything_and_changes_nothing(
    server: Server, api: Rest, owner: Account, yjs: Driver, *, signed_in: bool
) -> None:
    project = await api.project(owner, public=True)
    token = (await api.account("viewer")).token if signed_in else None
    [ann] = await yjs.room(server.ws_url, project.room_id, owner.token, 1)
    [viewer] = await yjs.room(server.ws_url, project.room_id, token, 1)
    await ann.edit(node.put("takes", "ann", value=1))
    await viewer.has("takes", "ann", value=1)

    await viewer.edit(node.put("takes", "viewer", value=2))
    # Said again on the way back in, in the answer to the server's first step.
    await viewer.cut()
    await viewer.wait(connected=False)
    await viewer.wait(synced=True)
    await ann.edit(node.put("takes", "ann later", value=3))
    await viewer.has("takes", "ann later", value=3)

    assert node.at(await ann.state(), "takes") == {"ann": 1, "ann later": 3}
    reading = await yjs.read(await api.snapshot_update(owner, project))
    assert node.at(reading.state, "takes") == {"ann": 1, "ann later": 3}
    assert await api.metric("syncsphere_rejected_updates_total") > 0


async def test_a_viewers_edit_is_never_acknowledged_as_durable(
    server: Server, api: Rest, owner: Account
) -> None:
    project = await api.project(owner, public=True)
    stranger = await api.account("viewer")
    async with wire.peer(server.ws_url, project.room_id, stranger.token) as viewer:
        await viewer.acknowledged()
        viewer.frames.clear()
        await viewer.send(wire.update(wire.small_update("takes", "viewer", 1)), wire.acknowledge(9))
        assert await viewer.document_keys("takes") == set()
        assert wire.acknowledge(9) not in viewer.frames


async def test_nobody_edits_a_public_project_over_rest_but_its_owner(
    api: Rest, owner: Account
) -> None:
    project = await api.project(owner, public=True)
    stranger = await api.account("stranger")
    answer = await api.post_update(stranger, project, wire.small_update("takes", "s", 1))
    assert answer.status_code == 403


async def test_a_deleted_project_closes_its_sockets_for_good(
    server: Server, api: Rest, project: Project, owner: Account, yjs: Driver
) -> None:
    band: list[Client] = await yjs.room(server.ws_url, project.room_id, owner.token, 3)
    await api.delete(owner, project)
    for client in band:
        await client.wait(ended=True)
        ended = (await client.facts()).ended
        assert ended is not None
        assert ended.code == 4404
        assert ended.reason
    assert (await _refusal(server, project.room_id, owner.token)).code == 4404


async def test_the_other_rooms_go_on_when_a_project_is_deleted(
    server: Server, api: Rest, project: Project, owner: Account, yjs: Driver
) -> None:
    other = await api.project(owner)
    [ann] = await yjs.room(server.ws_url, other.room_id, owner.token, 1)
    await api.delete(owner, project)
    await ann.edit(node.put("takes", "a", value=1))
    await ann.acknowledged()
    assert (await ann.facts()).closes == []
