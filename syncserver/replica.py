"""The document of one live room: applies updates, notices what is wrong with them, answers what clients lack.

The document lives in a pycrdt-websocket `YRoom`, which is never started: its broadcast and its tasks are replaced
by our own fan-out (docs/decisions/0001-hot-path.md). No I/O and no clock; the room decides when.

Traps this file is built around: yrs may panic, or fail with a document half changed, on malformed updates, and
says nothing at all about an update whose dependencies have not arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pycrdt import Doc, TransactionEvent
from pycrdt.websocket import YRoom

from docstore import crdt
from syncserver.wire import frames, yjs

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARED_FROM: Final = 64 * 1024
"""Full states above this many bytes are encoded once and kept for those who join next."""


class Applied(NamedTuple):
    """What became of one author's updates of one turn."""

    delta: bytes | None
    """What changed, as one v1 update; None when nothing did."""
    pending: tuple[int, ...]
    """Indexes of updates of which something still waits for its dependencies."""
    malformed: tuple[int, ...]
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
    """

    def __init__(self, snapshot: bytes | None = None, tail: Sequence[bytes] = ()) -> None:
        """Builds the document from what is stored: a whole state, and updates that came after it.

        Raises crdt.MalformedUpdate and crdt.PoisonUpdate when that itself cannot be applied.
        """
        self._doc: crdt.Document = Doc()
        self.yroom = YRoom(ydoc=self._doc)
        self._emitted: list[bytes] = []
        self._full: bytes | None = None
        self._since: list[bytes] = []
        self._since_bytes = 0
        self.has_pending = False
        stored = tail if snapshot is None else [snapshot, *tail]
        self.size = sum(map(len, stored))
        if stored:
            crdt.apply_all(self._doc, stored)
        if tail:
            state = self._doc.get_state()
            self.has_pending = not all(crdt.is_integrated(update, state) for update in tail)
        self._subscription = self._doc.observe(self._on_change)

    def _on_change(self, event: TransactionEvent) -> None:
        self._emitted.append(event.update)

    def apply(self, updates: Sequence[bytes]) -> Applied:
        """Apply one author's updates in one transaction.

        Raises Poisoned when the document can no longer be trusted; nothing that it emitted may be used then.
        """
        doc = self._doc
        emitted = self._emitted
        emitted.clear()
        malformed: list[int] = []
        index: int | None = 0
        try:
            if len(updates) == 1:
                crdt.screen(updates[0])
                doc.apply_update(updates[0])
            else:
                with doc.transaction():
                    for index, update in enumerate(updates):
                        try:
                            crdt.screen(update)
                            doc.apply_update(update)
                        except ValueError:
                            malformed.append(index)
                    index = None
        except ValueError:
            # It could not be decoded, so it was never applied.
            return Applied(None, (), (0,))
        except BaseException as cause:
            if not crdt.is_poison(cause):
                raise
            raise Poisoned(index, cause) from cause
        if len(emitted) == 1:
            delta = emitted[0]
            # One update that comes out as it went in is whole; anything else may have left a part waiting.
            if len(updates) == 1 and delta == updates[0]:
                pending: tuple[int, ...] = ()
            else:
                pending = self._waiting(updates, malformed)
            self._remember(delta)
            return Applied(delta, pending, tuple(malformed))
        if emitted:
            raise Poisoned(None, RuntimeError(f"{len(emitted)} changes in one transaction"))
        return Applied(None, self._waiting(updates, malformed), tuple(malformed))

    def _waiting(self, updates: Sequence[bytes], malformed: Sequence[int]) -> tuple[int, ...]:
        state = self._doc.get_state()
        waiting = tuple(
            index
            for index, update in enumerate(updates)
            if index not in malformed and not crdt.is_integrated(update, state)
        )
        if waiting:
            self.has_pending = True
        return waiting

    def _remember(self, delta: bytes) -> None:
        self.size += len(delta)
        full = self._full
        if full is not None:
            self._since.append(delta)
            self._since_bytes += len(delta)
            if self._since_bytes > max(_SHARED_FROM, len(full) // 4):
                self.forget_encoding()

    def state_vector(self) -> bytes:
        """What this document holds, per client."""
        return self._doc.get_state()

    def diff(self, state_vector: bytes) -> bytes:
        """What a client with this state vector lacks, as an update.

        Raises ValueError for a state vector that cannot be read, Poisoned when reading it made yrs panic.
        """
        try:
            return self._doc.get_update(state_vector)
        except ValueError:
            raise
        except BaseException as cause:
            if not crdt.is_poison(cause):
                raise
            raise Poisoned(0, cause) from cause

    def full(self) -> bytes:
        """The whole state as one update (without what waits for dependencies)."""
        update = self._doc.get_update()
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
        return self._full + b"".join(frames.binary(yjs.update(delta)) for delta in self._since)

    def forget_encoding(self) -> None:
        """Give the memory of the kept encoding back."""
        self._full = None
        self._since = []
        self._since_bytes = 0

    def close(self) -> None:
        """Let go of the document."""
        self._doc.unobserve(self._subscription)
        self.forget_encoding()
