"""The document of one live room: applies updates, notices what is wrong with them, answers what clients lack.

The document lives in a pycrdt-websocket `YRoom`, which is never started: its broadcast and its tasks are
replaced by our own fan-out (docs/decisions/0001-hot-path.md). No I/O and no clock; the room decides when.

Traps this file is built around: yrs may panic, or fail with a document half changed, on malformed updates; it
says nothing at all about an update whose dependencies have not arrived, and does not always notice when they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pycrdt
from pycrdt import Doc, TransactionEvent

# The bare document: pycrdt's wrapper around a transaction costs more than what happens in it, 0.6 µs for each
# update and 1.5 µs for each transaction.
from pycrdt._pycrdt import Doc as BareDoc  # pyright: ignore[reportPrivateUsage] (said above)
from pycrdt.websocket import YRoom

from docstore import crdt
from syncserver.wire import frames, yjs

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARED_FROM: Final = 64 * 1024
"""Full states above this many bytes are encoded once and kept for those who join next."""

_MOST_LEFT_OUT: Final = 20
"""Stored updates that may be left out of a document before it counts as damaged."""

_SMALL_STATE: Final = 512
"""Up to this many bytes a state vector is quicker asked as it is than cut down to one client."""

_SHORT: Final = 1024
"""Updates up to this length that hold no object need no screening; they are nearly all."""


class Applied(NamedTuple):
    """What became of one author's updates of one turn."""

    delta: bytes | None = None
    """What changed, as one v1 update; None when nothing did."""
    waiting: tuple[int, ...] = ()
    """Indexes of updates of which something still waits for its dependencies."""
    malformed: tuple[int, ...] = ()
    """Indexes of updates that could not be read; they changed nothing."""


class Poisoned(Exception):
    """An update failed half applied, or panicked: the document may be damaged and must be rebuilt.

    `index` is the update's place among those given to `apply`; None when it showed only at the commit.
    """

    def __init__(self, index: int | None, cause: BaseException) -> None:
        super().__init__(f"update {index}: {type(cause).__name__}: {cause}")
        self.index = index


class Replica:
    """One document in memory.

    `size` estimates the bytes of the full state: exact after each full encoding, plus the deltas since.
    `pending` holds what still waits for its dependencies, as it was received.
    """

    def __init__(self, snapshot: bytes | None = None, tail: Sequence[bytes] = ()) -> None:
        """Builds the document from what is stored: a whole state, and updates that came after it.

        Raises crdt.MalformedUpdate and crdt.PoisonUpdate when that itself cannot be applied.
        """
        self.pending: list[bytes] = []
        self.left_out: list[bytes] = []
        """Stored updates that cannot be applied. They stay in the journal, and out of the document."""
        self._emitted: list[bytes] = []
        self._full: bytes | None = None
        self._since: list[bytes] = []
        self._since_bytes = 0
        stored = list(tail) if snapshot is None else [snapshot, *tail]
        self.size = sum(map(len, stored))
        self._renew()
        if stored:
            try:
                crdt.apply_all(self._doc, stored)
                self._settle_tail(tail)
            except (crdt.PoisonUpdate, crdt.MalformedUpdate):
                self._load_singly(snapshot, tail)
        self._subscription = self._bare.observe(self._on_change)

    def _renew(self) -> None:
        self._bare = BareDoc(None, None, None)
        self._doc: crdt.Document = Doc(doc=self._bare)
        self.yroom = YRoom(ydoc=self._doc)

    def _settle_tail(self, tail: Sequence[bytes]) -> None:
        self.pending = [tail[index] for index in crdt.settle(self._doc, tail)]

    def _load_singly(self, snapshot: bytes | None, tail: Sequence[bytes]) -> None:
        """Build from what can be applied: each update on its own, as it once was, without those that fail.

        yrs may fail on updates together that it took one by one. A document must open all the same.
        Raises crdt.PoisonUpdate when too many fail, or the snapshot itself.
        """
        rows = list(tail)
        while True:
            self._renew()
            if snapshot is not None:
                crdt.apply_all(self._doc, [snapshot])
            index = 0
            try:
                while index < len(rows):
                    crdt.apply_all(self._doc, [rows[index]])
                    index += 1
                index = -1  # if settling fails, the newest goes
                self._settle_tail(rows)
            except (crdt.PoisonUpdate, crdt.MalformedUpdate):
                if len(self.left_out) >= _MOST_LEFT_OUT:
                    raise
                self.left_out.append(rows.pop(index))
                continue
            return

    def _on_change(self, event: TransactionEvent) -> None:
        self._emitted.append(event.update)

    def apply(self, updates: Sequence[bytes]) -> Applied:
        """Apply one author's updates in one transaction.

        Raises Poisoned when the document can no longer be trusted; nothing that it emitted may be used then.
        """
        emitted = self._emitted
        emitted.clear()
        malformed: list[int] = []
        index: int | None = 0
        try:
            transaction = self._bare.create_transaction()
            try:
                for index, update in enumerate(updates):
                    try:
                        if len(update) > _SHORT or b"v" in update or update[:1] > b"\x7f":
                            crdt.screen(update)
                        self._bare.apply_update(transaction, update)
                    except ValueError:
                        # It could not be decoded, so it was never applied.
                        malformed.append(index)
                index = None
                transaction.commit()
            finally:
                transaction.drop()
        except BaseException as cause:
            if not crdt.is_poison(cause):
                raise
            raise Poisoned(index, cause) from cause
        delta = emitted[0] if emitted else None
        # One update that comes out as it went in is whole; anything else may have left a part waiting.
        whole = len(updates) == 1 and delta == updates[0]
        waiting = () if whole else self._waiting(updates, malformed)
        if delta is not None:
            self._remember(delta)
        return Applied(delta, waiting, tuple(malformed))

    def _waiting(self, updates: Sequence[bytes], malformed: Sequence[int]) -> tuple[int, ...]:
        """Indexes of updates of which something waits. Raises Poisoned for one that yrs cannot even compare."""
        state = self._bare_state()
        small = len(state) <= _SMALL_STATE
        waiting: list[int] = []
        index = 0
        try:
            for index, update in enumerate(updates):
                if index in malformed:
                    continue
                # What the state does not have of it, deletions apart; for most updates that is all to ask.
                if small and pycrdt.get_update(update, state) == crdt.NOTHING:
                    continue
                if not crdt.is_integrated(update, state):
                    waiting.append(index)
        except BaseException as cause:
            if not crdt.is_poison(cause):
                raise
            raise Poisoned(index, cause) from cause
        return tuple(waiting)

    def settle(self) -> list[bytes]:
        """What of `pending` comes loose now that something new has arrived, as updates in order.

        Raises Poisoned.
        """
        self._emitted.clear()
        try:
            self.pending = [self.pending[index] for index in crdt.settle(self._doc, self.pending)]
        except (crdt.PoisonUpdate, crdt.MalformedUpdate) as cause:
            raise Poisoned(None, cause) from cause
        loose = [delta for delta in self._emitted if delta != crdt.NOTHING]
        for delta in loose:
            self._remember(delta)
        return loose

    def _remember(self, delta: bytes) -> None:
        self.size += len(delta)
        full = self._full
        if full is not None:
            self._since.append(delta)
            self._since_bytes += len(delta)
            if self._since_bytes > max(_SHARED_FROM, len(full) // 4):
                self.forget_encoding()

    def _bare_state(self) -> bytes:
        transaction = self._bare.create_transaction()
        try:
            return self._bare.get_state(transaction)
        finally:
            transaction.drop()

    def state_vector(self) -> bytes:
        """What this document holds, per client."""
        return self._bare_state()

    def diff(self, state_vector: bytes) -> bytes:
        """What a client with this state vector lacks, as an update.

        Raises ValueError for a state vector that cannot be read, Poisoned when reading it made yrs panic.
        """
        crdt.screen_state(state_vector)
        try:
            return self._doc.get_update(state_vector)
        except ValueError:
            raise
        except BaseException as cause:
            if not crdt.is_poison(cause):
                raise
            raise Poisoned(None, cause) from cause

    def full(self) -> bytes:
        """The whole state as one update (without what waits for dependencies). Raises Poisoned."""
        try:
            update = self._doc.get_update()
        except BaseException as cause:
            if not crdt.is_poison(cause):
                raise
            raise Poisoned(None, cause) from cause
        self.size = len(update)
        return update

    def welcome(self) -> bytes:
        """WebSocket frames that bring an empty client up to date: one SyncStep2, perhaps updates after it.

        A large state is encoded once for everybody who joins; deltas since then follow as updates.
        """
        if self._full is None:
            update = self.full()
            frame = frames.binary(yjs.step2(update))
            if len(update) < _SHARED_FROM:
                return frame
            self._full = frame
            self._since = []
            self._since_bytes = 0
        if not self._since:
            return self._full
        return self._full + b"".join([frames.binary(yjs.update(delta)) for delta in self._since])

    def forget_encoding(self) -> None:
        """Give the memory of the kept encoding back."""
        self._full = None
        self._since = []
        self._since_bytes = 0

    def close(self) -> None:
        """Let go of the document."""
        self._subscription.drop()
        self.forget_encoding()
