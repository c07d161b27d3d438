"""syncserver.durability: nobody is told before it is true, and nobody is forgotten."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from syncserver.durability import Durability


class Progress:
    durable = 0


def test_what_is_durable_already_is_answered_at_once() -> None:
    progress = Progress()
    progress.durable = 5
    told: list[str] = []
    Durability(progress).when(5, lambda: told.append("now"))
    assert told == ["now"]


@given(st.lists(st.integers(1, 20), max_size=30), st.lists(st.integers(0, 25), max_size=10))
def test_callbacks_come_with_their_ticket_in_order_and_once(
    tickets: list[int], steps: list[int]
) -> None:
    progress = Progress()
    waiting = Durability(progress)
    told: list[tuple[int, int]] = []
    for asked, ticket in enumerate(tickets):
        waiting.when(ticket, partial(told.append, (ticket, asked)))
    for step in [*sorted(steps), 25]:
        progress.durable = step
        waiting.reached(step)
        assert sorted(told) == sorted((t, n) for n, t in enumerate(tickets) if t <= step)
    assert told == sorted(told)
