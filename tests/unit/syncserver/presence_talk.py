"""How the tests of presence speak to it: two people, short messages, readable answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from syncserver import presence
from syncserver.presence import PresenceUser
from syncserver.wire import awareness
from syncserver.wire.awareness import State

GRACE = 1.0
TTL = 30.0
ANN = PresenceUser("1", "ann")
BOB = PresenceUser("2", "bob")

Fields: TypeAlias = Mapping[str, object]


def room(**changes: float) -> presence.Presence:
    return presence.Presence(
        grace=GRACE,
        ttl=TTL,
        max_states_per_connection=int(changes.pop("ids", 4)),
        max_state_bytes=int(changes.pop("size", 1000)),
        **changes,
    )


def said(client_id: int, clock: int, fields: Fields | None) -> State:
    return State(client_id, clock, None if fields is None else json.dumps(fields))


def say(
    here: presence.Presence, connection: int, now: float, *entries: tuple[int, int, Fields | None]
) -> presence.Received:
    payload = awareness.encode([said(*entry) for entry in entries])
    return here.receive(connection, payload, now)


def seen(states: list[State]) -> list[tuple[int, int, Fields | None]]:
    return [(s.client_id, s.clock, None if s.json is None else json.loads(s.json)) for s in states]


def ids(states: list[State]) -> list[int]:
    return [state.client_id for state in states]


def two_people() -> presence.Presence:
    """Ann is id 7 on connection 1, bob is id 8 on connection 2; both introduced at time 0."""
    here = room()
    here.join(1, ANN, 0)
    here.join(2, BOB, 0)
    say(here, 1, 0, (7, 5, {"x": 1}))
    say(here, 2, 0, (8, 5, {"x": 2}))
    return here
