"""The generator's event loop: epoll over plain sockets, and a clock. Nothing is hidden in it.

`Loop.turn` waits, reads every readable socket once and yields what was new for whom.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from benchmarks.load.client import CHUNK, Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.load.inbox import Arrival

clock = time.perf_counter


class Loop:
    """Watches clients; a client that was closed by the server is counted and left out."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._poll = select.epoll()
        self._by_fd: dict[int, Client] = {}
        self.closed: list[Client] = []
        for client in clients:
            self.watch(client)

    def watch(self, client: Client) -> None:
        """Start reading this client."""
        self._by_fd[client.sock.fileno()] = client
        self._poll.register(client.sock.fileno(), select.EPOLLIN)

    def unwatch(self, client: Client) -> None:
        """Stop reading this client; its socket stays open."""
        self._poll.unregister(client.sock.fileno())
        del self._by_fd[client.sock.fileno()]

    def turn(self, seconds: float) -> Iterator[tuple[Client, list[Arrival]]]:
        """One wait of at most `seconds` (0: only look), then one read of each ready socket."""
        for fd, _ in self._poll.poll(seconds):
            client = self._by_fd[fd]
            try:
                data = client.sock.recv(CHUNK)
            except BlockingIOError:
                continue
            except ConnectionError:
                data = b""
            if not data:
                self.closed.append(client)
                self.unwatch(client)
                continue
            arrivals = client.inbox.feed(data)
            if client.inbox.ping is not None:
                client.pong()
            yield client, arrivals

    def flush(self) -> None:
        """Send what the kernel did not take before."""
        for client in self._by_fd.values():
            client.flush()

    def close(self) -> None:
        """Close everything that is still watched."""
        for client in self._by_fd.values():
            client.close()
        self._poll.close()


def settle(loop: Loop, done: Iterable[Client], sent: dict[int, int], *, seconds: float) -> int:
    """Read until every client has everything or time is up; returns the markers still missing.

    The client's own markers do not count: some servers send them back and some do not.
    """
    waiting = list(done)
    end = clock() + seconds
    while clock() < end:
        waiting = [one for one in waiting if not one.inbox.complete(sent, but=one.number)]
        if not waiting:
            return 0
        loop.flush()
        for _ in loop.turn(0.05):
            pass
    return sum(one.inbox.missing(sent, but=one.number) for one in waiting)
