"""The clients of a room that do not keep up: skipped, watched, and brought up to date when they have read.

A client that is behind costs the others nothing and the server one state vector: what it misses is not queued but
taken from the document once its transport has drained (promise 3 of `room`). Fresh states that are under way are
counted in one budget for the whole process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from base import metrics
from syncserver import budget, client, connection
from syncserver.wire import frames, yjs

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST: Final = 10
"""A fresh state must be read within so many times the seconds after which a client that reads nothing is closed."""


class Laggards:
    """See the module. `late` are those who have read what they had, and wait for what they missed."""

    def __init__(self, resyncs: budget.Budget) -> None:
        self._resyncs = resyncs
        self._late: list[client.Client] = []

    def __bool__(self) -> bool:
        return bool(self._late)

    def fell_behind(self, slow: client.Client, state: bytes, now: float) -> None:
        """The transport is full. What was written to it includes all that a document of this state holds."""
        if slow.behind is None:
            slow.behind = state
            slow.behind_since = slow.behind_from = now
            slow.buffered_then = slow.wire.buffered()

    def drained(self, slow: client.Client) -> bool:
        """The transport is empty; whether the client has to be brought up to date."""
        self._give_back(slow)
        if slow.behind is None or slow in self._late:
            return False
        self._late.append(slow)
        return True

    def left(self, slow: client.Client) -> None:
        """The client is gone."""
        self._give_back(slow)

    def catch_up(
        self, size: int, news_since: Callable[[bytes], bytes], people: Callable[[], bytes]
    ) -> None:
        """Bring those who wait from where they stopped to now, as far as the budget goes.

        `size`: bytes of the document. `news_since`: the update that a state vector lacks; `people`: a frame of who
        is here.
        """
        late, self._late = self._late, []
        answers: dict[bytes, bytes] = {}
        for at, slow in enumerate(late):
            since = slow.behind
            if since is None or slow.closed:
                continue
            out = b""
            if slow.missed:
                if not self._resyncs.take(size):
                    self._late.append(slow)  # tried again by the next tick
                    continue
                slow.resyncing = size
                metrics.resyncs_total.inc()
                if since not in answers:
                    try:
                        answers[since] = frames.binary(yjs.update(news_since(since)))
                    except BaseException:
                        self._give_back(slow)
                        self._late += late[at:]
                        raise
                out = answers[since]
            if slow.missed_presence:
                out += people()
            slow.missed = slow.missed_presence = False
            slow.behind = None
            if out:
                slow.write(out)
                slow.told = True
            if slow.behind is None:
                # It went out at once: nothing will tell that it drained.
                self._give_back(slow)

    def check(self, slow: client.Client, now: float, slow_seconds: float) -> None:
        """A client that reads slowly is waited for; one that reads nothing for too long is closed.

        And one that takes for ever to read a fresh state, because others wait for the budget.
        """
        left = slow.wire.buffered()
        if left < slow.buffered_then or slow in self._late:
            slow.behind_since = now
        hogging = slow.resyncing and now - slow.behind_from > _LONGEST * slow_seconds
        if now - slow.behind_since > slow_seconds or hogging:
            metrics.slow_clients_closed_total.inc()
            slow.close(connection.Code.TRY_LATER, "this connection does not keep up")
        slow.buffered_then = left

    def _give_back(self, slow: client.Client) -> None:
        self._resyncs.give_back(slow.resyncing)
        slow.resyncing = 0
