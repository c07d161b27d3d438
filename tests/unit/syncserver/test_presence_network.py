"""Presence: a room full of stock clients on a bad network.

`Stock` behaves as y-protocols 1.0.6 and y-websocket 3.1 do, written from their observed behaviour:
which entries it takes, that it sends back what it took, what it drops and when it renews.
"""

from __future__ import annotations

import json
from collections import deque

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from syncserver.presence import PresenceUser
from syncserver.wire import awareness
from syncserver.wire.awareness import State
from tests.unit.syncserver.presence_talk import (
    ANN,
    BOB,
    TTL,
    Fields,
    ids,
    room,
    said,
    say,
)

# -- a bad network -------------------------------------------------------------------------------


class Stock:
    """One y-websocket client with its y-protocols Awareness."""

    def __init__(self, client_id: int, user: PresenceUser | None) -> None:
        self.id = client_id
        self.user = user
        self.clock = 0
        self.state: Fields | None = {}
        self.renewed = 0.0
        self.known: dict[int, int] = {}
        self.others: dict[int, Fields] = {}
        self.touched: dict[int, float] = {}
        self.connection: int | None = None
        self.onlooker = False
        self.announced = False
        self.inbox: deque[bytes] = deque()
        self.outbox: deque[bytes] = deque()
        self.said: list[object] = []

    def open(self, connection: int) -> None:
        self.connection, self.inbox, self.outbox = connection, deque(), deque()
        self.onlooker = self.onlooker or self.state is None
        self.announced = False
        if self.state is not None:
            self._send([self.id])

    def drop(self) -> None:
        """The socket is gone: so are the others, but not their clocks."""
        self.onlooker = self.onlooker or not self.announced
        self.connection = None
        self.others.clear()

    def disconnect(self) -> None:
        self.outbox.append(awareness.encode([State(self.id, self.clock, None)]))
        self.drop()

    def set(self, fields: Fields | None, now: float) -> None:
        self.state = fields
        self.clock += 1
        self.renewed = now
        if fields is not None:
            self.said.append(fields.get("n"))
        self._send([self.id])

    def tick(self, now: float) -> None:
        if self.state is not None and now - self.renewed >= 15:
            self.set(self.state, now)
        late = [other for other in self.others if now - self.touched[other] >= 30]
        for other in late:
            del self.others[other]
        if late:
            self._send(late)

    def take(self, payload: bytes, now: float) -> None:
        found = awareness.decode(payload, max_states=10_000, max_state_bytes=10_000)
        assert isinstance(found, awareness.Decoded)
        changed: list[int] = []
        for client_id, clock, text in found.states:
            mine = client_id == self.id
            known = self.clock if mine else self.known.get(client_id, 0)
            here = self.state is not None if mine else client_id in self.others
            if not (known < clock or (known == clock and text is None and here)):
                continue
            if mine:
                if text is not None:
                    self.state = json.loads(text)
                self.clock = clock + (text is None and self.state is not None)
                self.renewed = now
            else:
                self.known[client_id] = clock
                self.touched[client_id] = now
                if text is None:
                    self.others.pop(client_id, None)
                else:
                    self.others[client_id] = json.loads(text)
            changed.append(client_id)
        if changed:
            self._send(changed)

    def _send(self, changed: list[int]) -> None:
        if self.connection is None:
            return
        entries = [
            said(self.id, self.clock, self.state)
            if client_id == self.id
            else said(client_id, self.known[client_id], self.others.get(client_id))
            for client_id in changed
        ]
        self.outbox.append(awareness.encode(entries))


USERS = (ANN, ANN, BOB, None, None)
who = st.integers(0, len(USERS) - 1)
MALLORY = PresenceUser("666", "mallory")


class BadNetwork(RuleBasedStateMachine):
    """Stock clients come, go, die and return while an evil one meddles.

    After everything has arrived, everybody sees everybody, now. After everything has come to rest,
    nobody else is seen either. All along, nobody was changed or removed by somebody else.
    """

    @initialize()
    def begin(self) -> None:
        self.now = 100.0
        self.here = room(ids=8)
        self.clients = [Stock(10 + n, user) for n, user in enumerate(USERS)]
        self.count = 0
        self.numbers = 0
        # Sockets that the server takes for open though their clients have lost them.
        self.half_dead: list[tuple[int, Stock, deque[bytes]]] = []
        self.heard: dict[int, tuple[int, float]] = {}
        self.mallory: int | None = None

    # -- what clients and networks do

    @rule(n=who)
    def connect(self, n: int) -> None:
        client = self.clients[n]
        if client.connection is None:
            self.count += 1
            client.open(self.count)
            greeting = self.here.join(self.count, client.user, self.now)
            if greeting:
                client.inbox.append(awareness.encode(greeting))

    @rule(n=who)
    def move(self, n: int) -> None:
        self.numbers += 1
        self.clients[n].set({"n": self.numbers, "user": {"name": "x"}}, self.now)

    @rule(n=who)
    def hide(self, n: int) -> None:
        if self.clients[n].state is not None:
            self.clients[n].set(None, self.now)

    @rule(n=who)
    def lose(self, n: int) -> None:
        """The client notices, the server does not."""
        client = self.clients[n]
        if client.connection is not None:
            self.half_dead.append((client.connection, client, client.outbox))
            client.drop()

    @rule(n=who, first=st.booleans())
    def close(self, n: int, *, first: bool) -> None:
        """In order, with a goodbye; the end of the socket may be noticed before the goodbye."""
        client = self.clients[n]
        if client.connection is not None:
            connection, outbox = client.connection, client.outbox
            client.disconnect()
            if first:
                outbox.clear()
            self.half_dead.append((connection, client, outbox))
            self.notice(lost=False)

    @rule(n=who)
    def expel(self, n: int) -> None:
        """The server closes it for good; it may come back all the same."""
        client = self.clients[n]
        if client.connection is not None:
            connection = client.connection
            client.drop()
            self.heard.pop(connection, None)
            gone = self.here.expel(connection, self.now)
            for state in gone:
                self.check_removal(state)
            self.broadcast(gone)
            self.here.leave(connection, self.now)

    @precondition(lambda self: self.half_dead)
    @rule(lost=st.booleans())
    def notice(self, *, lost: bool) -> None:
        """The server learns of a dead socket; what was under way arrives before, or never."""
        connection, client, outbox = self.half_dead.pop()
        while outbox and not lost:
            self.deliver(connection, client, outbox.popleft())
        self.here.leave(connection, self.now)
        self.heard.pop(connection, None)

    @precondition(lambda self: self.half_dead)
    @rule()
    def old_words_arrive(self) -> None:
        connection, client, outbox = self.half_dead[0]
        if outbox:
            self.deliver(connection, client, outbox.popleft())

    @rule(n=who)
    def one_goes_out(self, n: int) -> None:
        client = self.clients[n]
        if client.connection is not None and client.outbox:
            self.deliver(client.connection, client, client.outbox.popleft())

    @rule(n=who)
    def one_comes_in(self, n: int) -> None:
        client = self.clients[n]
        if client.connection is not None and client.inbox:
            client.take(client.inbox.popleft(), self.now)

    @rule()
    def everything_arrives(self) -> None:
        for _ in range(10_000):
            busy = [c for c in self.clients if c.connection is not None and (c.inbox or c.outbox)]
            if not busy:
                break
            for client in busy:
                if client.connection is not None and client.outbox:
                    self.deliver(client.connection, client, client.outbox.popleft())
                elif client.inbox:
                    client.take(client.inbox.popleft(), self.now)
        else:
            raise AssertionError("the clients and the server do not stop talking")

    @rule(seconds=st.sampled_from([0.3, 1.1, 3.0, 14.0]))
    def time_passes(self, seconds: float) -> None:
        """In steps of at most 3 s, as clients look at the clock; the network is faster than that."""
        while seconds > 0:
            self.everything_arrives()
            self.now += min(seconds, 3.0)
            seconds -= 3.0
            for state in self.here.due(self.now):
                self.check_removal(state)
                self.broadcast([state])
            for client in self.clients:
                client.tick(self.now)

    @rule(n=who, new=st.booleans(), clock=st.sampled_from([0, 1, 1000, 2**53]), null=st.booleans())
    def meddle(self, n: int, clock: int, *, new: bool, null: bool) -> None:
        """Somebody else speaks of a client, as its first word or later."""
        victim = self.clients[n]
        if victim.id not in self.here._owners.entries:
            return
        if self.mallory is None or new:
            if self.mallory is not None:
                self.here.leave(self.mallory, self.now)
            self.count += 1
            self.mallory = self.count
            self.here.join(self.mallory, MALLORY, self.now)
        clock = min(victim.clock + clock, 2**53 - 1)
        fields = None if null else {"evil": True}
        heard = say(self.here, self.mallory, self.now, (victim.id, clock, fields))
        assert heard.relay == []

    # -- the server's side

    def deliver(self, connection: int, sender: Stock, payload: bytes) -> None:
        heard = self.here.receive(connection, payload, self.now)
        assert heard.malformed is None
        for state in heard.relay:
            self.check_relayed(sender, state)
        entry = self.here._owners.entries.get(sender.id)
        if entry is None or entry.connection != connection:
            self.heard.pop(connection, None)
        elif sender.id in ids(heard.relay):
            self.heard[connection] = (sender.id, self.now)
            sender.announced = sender.announced or connection == sender.connection
        if heard.reply and sender.connection == connection:
            sender.inbox.append(awareness.encode(heard.reply))
        self.broadcast(heard.relay)

    def broadcast(self, states: list[State]) -> None:
        if states:
            for client in self.clients:
                if client.connection is not None:
                    client.inbox.append(awareness.encode(states))

    def check_relayed(self, sender: Stock, state: State) -> None:
        owner = self.clients[state.client_id - 10]
        assert owner.user == sender.user
        if state.json is None:
            assert owner is sender
            return
        fields = json.loads(state.json)
        assert fields.get("n") in [None, *owner.said]
        if owner.user is not None:
            assert fields["user"]["id"] == owner.user.id
            assert fields["user"]["name"] == owner.user.name
        elif "user" in fields:
            assert fields["user"] == {"name": "x", "guest": True}

    def check_removal(self, state: State) -> None:
        """Nobody is removed who was heard of late on a socket that is open."""
        client = self.clients[state.client_id - 10]
        if client.connection in self.heard:
            spoken_for, at = self.heard[client.connection]
            assert spoken_for != client.id or at + TTL <= self.now

    # -- what must hold

    def waits(self, client: Stock) -> bool:
        """Whoever comes back without saying who it is waits until its former self is gone."""
        entry = self.here._owners.entries.get(client.id)
        return client.onlooker and (entry is None or entry.connection != client.connection)

    def visible(self) -> dict[int, object]:
        return {
            client.id: client.state.get("n")
            for client in self.clients
            # Clock 0 is what no stock client takes, and the empty state is nobody.
            if client.connection is not None
            and client.clock > 0
            and (client.state or (client.user and client.state is not None))
        }

    @rule()
    def everybody_sees_everybody_at_once(self) -> None:
        self.everything_arrives()
        for client in self.clients:
            # Whoever comes back without saying who it is waits for the others' renewals.
            if client.connection is None or client.onlooker or client.state is None:
                continue
            sees = {other: fields.get("n") for other, fields in client.others.items()}
            waiting = {other.id for other in self.clients if other is client or self.waits(other)}
            wanted = {k: v for k, v in self.visible().items() if k not in waiting}
            assert {k: sees.get(k, "nobody") for k in wanted} == wanted

    def teardown(self) -> None:
        while self.half_dead:
            self.notice(lost=True)
        for _ in range(5):
            self.time_passes(14.0)
        self.everything_arrives()
        visible = self.visible()
        assert {
            s.client_id: json.loads(s.json or "").get("n") for s in self.here.states(self.now)
        } == visible
        for client in self.clients:
            if client.connection is not None:
                sees = {k: fields.get("n") for k, fields in client.others.items() if fields}
                assert sees == {k: v for k, v in visible.items() if k != client.id}


def test_on_a_bad_network_everybody_is_seen_and_no_ghosts_remain() -> None:
    run_state_machine_as_test(
        BadNetwork,
        settings=hypothesis.settings(max_examples=100, stateful_step_count=40, deadline=None),
    )
