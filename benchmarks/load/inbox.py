"""What one client has received, counted exactly: which markers of which writer, in what order.

This is the hot path of the generator. A frame of marked text is checked by its first and its last
marker and the distance between them, which proves every marker in between (they are one string of
fixed width); any other frame is scanned clock by clock. Nothing is counted twice, and a marker
that did not arrive leaves a hole that `complete` reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.load import dialects, frames, yjs
from benchmarks.load.yjs import FIRST_CLIENT

if TYPE_CHECKING:
    from collections.abc import Mapping

Arrival = tuple[int, int, int]
"""Writer number, first sequence, sequence behind the last."""


class Inbox:
    """Counts for one socket.

    `next` is, for each writer by number, the first marker that is not here yet.

    `asked` and `synced`: the server has sent its own question, and an answer to ours.
    `ping`: payload of a ping that waits for its pong.
    `kept`: set it to a list to have updates put there as they are, and not counted.
    """

    __slots__ = (
        "_holes",
        "_skip",
        "_splitter",
        "_width",
        "acks",
        "asked",
        "closed",
        "kept",
        "next",
        "ping",
        "synced",
    )

    def __init__(self, skip: int, width: int = yjs.DIGITS) -> None:
        self._skip = skip
        self._width = width
        self._splitter = frames.Splitter()
        self._holes: dict[int, list[tuple[int, int]]] = {}
        self.next: dict[int, int] = {}
        self.acks: list[int] = []
        self.asked = False
        self.synced = False
        self.closed: tuple[int, str] | None = None
        self.ping: bytes | None = None
        self.kept: list[bytes] | None = None

    def feed(self, data: bytes) -> list[Arrival]:
        """Take bytes from the socket; returns what arrived that was not there before."""
        whole = self._splitter.join(data)
        arrivals: list[Arrival] = []
        if whole is None:
            return arrivals
        at = 0
        size = len(whole)
        while size - at > 1:
            length = whole[at + 1]
            start = at + 2
            if length == 126:
                if size - at < 4:
                    break
                length = whole[at + 2] << 8 | whole[at + 3]
                start = at + 4
            elif length == 127:
                if size - at < 10:
                    break
                length = int.from_bytes(whole[at + 2 : at + 10], "big")
                start = at + 10
            end = start + length
            if end > size:
                break
            if whole[at] == frames.BINARY:
                self._message(whole, start + self._skip, end, arrivals)
            elif whole[at] == frames.CLOSE:
                reason = whole[start + 2 : end].decode("utf-8", "replace")
                self.closed = (int.from_bytes(whole[start : start + 2], "big"), reason)
            elif whole[at] == frames.PING:
                self.ping = whole[start:end]
            at = end
        if at < size:
            self._splitter.keep(whole, at)
        return arrivals

    def complete(self, sent: Mapping[int, int], *, but: int = -1) -> bool:
        """Whether every marker of every writer is here, `but` one (the client's own)."""
        return self.missing(sent, but=but) == 0

    def missing(self, sent: Mapping[int, int], *, but: int = -1) -> int:
        """How many of the markers that were sent are not here."""
        lost = 0
        for writer, count in sent.items():
            if writer != but:
                lost += count - self.next.get(writer, 0)
                lost -= sum(stop - start for start, stop in self._holes.get(writer, ()))
        return lost

    def _message(self, data: bytes, at: int, end: int, arrivals: list[Arrival]) -> None:
        """The messages in one frame: y-sync readers take several."""
        while at < end:
            kind = data[at]
            if kind == dialects.SYNC:
                step = data[at + 1]
                length, start = yjs.read_varuint(data, at + 2)
                at = start + length
                if step == dialects.STEP1:
                    self.asked = True
                    continue
                if step == dialects.STEP2:
                    self.synced = True
                self._update(data, start, at, arrivals)
                continue
            if kind == dialects.ACK:
                size, start = yjs.read_varuint(data, at + 1)
                self.acks.append(yjs.read_varuint(data, start)[0])
                at = start + size
                continue
            return

    def _update(self, data: bytes, start: int, stop: int, arrivals: list[Arrival]) -> None:
        if self.kept is not None:
            self.kept.append(data[start:stop])
            return
        if not self._holes and data[start] == 1 and data[stop - 1] == 0:
            arrival = self._marked(data, start, stop)
            if arrival is not None:
                arrivals.append(arrival)
                return
        for found in yjs.scan(data[start:stop]).structs:
            self._range(found, arrivals)

    def _marked(self, data: bytes, start: int, stop: int) -> Arrival | None:
        """What an update of one writer brings, read off its ends; None if it needs a full scan."""
        width = self._width
        last_at = stop - 1 - width
        structs = data[start + 1]
        at = start + 2
        if structs > 127:
            structs, at = yjs.read_varuint(data, start + 1)
        writer = (data[at] & 0x7F | (data[at + 1] & 0x7F) << 7 | data[at + 2] << 14) - FIRST_CLIENT
        first = self.next.get(writer, 0)
        digits = data[last_at : last_at + 8]
        if last_at < at + 3 or not digits.isdigit():
            return None
        last = int(digits)
        if last < first:
            return None
        if structs == 1:
            # One string: its first marker stands as far in front of the last as the numbers say.
            first_at = last_at - (last - first) * width
            if last > first and (
                first_at <= at + 4 or data[first_at : first_at + 8] != b"%08d" % first
            ):
                return None
        else:
            # As many strings as numbers, each typed behind the one before, none left out.
            clock, _ = yjs.read_varuint(data, at + 3)
            follow = b"\x84" + data[at : at + 3]
            if (
                clock != first * width
                or structs != last - first + 1
                or data.count(follow, at, stop) != structs
            ):
                return None
        self.next[writer] = last + 1
        return writer, first, last + 1

    def _range(self, found: yjs.Range, arrivals: list[Arrival]) -> None:
        """Add a range of clocks; close holes that it reaches."""
        writer = found.client - FIRST_CLIENT
        start, stop = -(-found.start // self._width), found.stop // self._width
        known = self.next.get(writer, 0)
        if stop <= known:
            return
        if start <= known and not self._holes:
            self.next[writer] = stop
            arrivals.append((writer, known, stop))
            return
        holes = sorted([*self._holes.pop(writer, ()), (start, stop)])
        reached = known
        while holes and holes[0][0] <= reached:
            reached = max(reached, holes.pop(0)[1])
        if holes:
            self._holes[writer] = holes
        if reached > known:
            self.next[writer] = reached
            arrivals.append((writer, known, reached))
