"""syncserver.room: presence that goes along with edits, and when it ends with its socket, before it or after it."""

from __future__ import annotations

import pytest

from syncserver.connection import Code
from syncserver.testing import ADA, BOB, Stage
from syncserver.wire import awareness, events, yjs
from tests.unit.syncserver.test_room import Author


async def test_presence_is_echoed_and_relayed_in_the_same_write_as_edits() -> None:
    stage = Stage()
    ada, own = stage.enter(ADA)
    _, other = stage.enter(BOB)
    own.said()
    other.said()
    state = awareness.encode([awareness.State(11, 1, '{"user":{"color":"#f00"}}')])
    stage.say(ada, yjs.awareness(state))
    stage.say(ada, yjs.update(Author().write("x")))
    stage.room.turn()
    assert len(own.written) == len(other.written) == 1
    assert [kind for kind, _ in own.said()] == [events.AWARENESS]
    [_, (kind, body)] = other.said()
    assert kind == events.AWARENESS
    assert b'"name":"ada"' in body


async def test_malformed_presence_is_not_relayed_and_closes_its_sender() -> None:
    stage = Stage()
    ada, own = stage.enter(ADA)
    _, other = stage.enter(BOB)
    own.said()
    other.said()
    stage.say(ada, yjs.awareness(b"\x01\x0b\x01\x04{oh}"))
    stage.room.turn()
    assert own.said() == other.said() == []
    assert own.closed is not None
    assert own.closed[0] == Code.BAD_DATA


async def test_presence_of_a_lost_socket_goes_after_the_grace() -> None:
    stage = Stage()
    ada, _ = stage.enter(ADA)
    _, other = stage.enter(BOB)
    stage.say(ada, yjs.awareness(awareness.encode([awareness.State(11, 1, "{}")])))
    stage.room.turn()
    other.said()
    stage.room.leave(ada)
    now = stage.room.presence.next_due()
    assert now is not None
    stage.room.tick(now - 0.01, slow_seconds=30, keep_encoding=10)
    stage.room.turn()
    assert other.said() == []
    stage.room.tick(now + 0.01, slow_seconds=30, keep_encoding=10)
    stage.room.turn()
    [body] = other.bodies(events.AWARENESS)
    assert body.endswith(b"\x04null")


@pytest.mark.parametrize("code", [Code.NO_ACCESS, Code.SIGN_IN_AGAIN, Code.BAD_DATA])
async def test_presence_of_somebody_closed_for_good_goes_before_the_socket_does(code: Code) -> None:
    stage = Stage()
    ada, own = stage.enter(ADA)
    _, other = stage.enter(BOB)
    stage.say(ada, yjs.awareness(awareness.encode([awareness.State(11, 1, "{}")])))
    stage.room.turn()
    other.said()
    own.said()
    ada.close(code, "out")
    stage.room.turn()
    [body] = other.bodies(events.AWARENESS)
    assert body.endswith(b"\x04null")
    assert own.said() == []
    stage.room.leave(ada)
    stage.room.turn()
    assert other.said() == []


async def test_presence_of_somebody_who_may_come_back_outlives_the_close() -> None:
    stage = Stage()
    ada, _ = stage.enter(ADA)
    _, other = stage.enter(BOB)
    stage.say(ada, yjs.awareness(awareness.encode([awareness.State(11, 1, "{}")])))
    stage.room.turn()
    other.said()
    ada.close(Code.TRY_LATER, "later")
    stage.room.leave(ada)
    stage.room.turn()
    assert other.said() == []
