"""The document of one live room: applies updates, notices what is wrong with them, answers what clients lack.

The document lives in a pycrdt-websocket `YRoom`, which is never started: its broadcast and its tasks are
replaced by our own fan-out (docs/decisions/0001-hot-path.md). No I/O and no clock; the room decides when.

Traps this file is built around: yrs may panic, or fail with a document half changed, on malformed updates, and it
must not be left holding an update whose dependencies have not arrived (docs/decisions/0004-waiting-updates.md).
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from pycrdt import Doc, TransactionEvent

# The bare document: pycrdt's wrapper around a transaction costs more than what happens in it, 0.6 µs for each
# update and 1.5 µs for each transaction.
from pycrdt._pycrdt import Doc as BareDoc  # pyright: ignore[reportPrivateUsage] (said above)
from pycrdt._pycrdt import Transaction  # pyright: ignore[reportPrivateUsage] (said above)
from pycrdt.websocket import YRoom

from docstore import crdt, halves, loading, screening, waiting
from docstore.live import Difference
from syncserver import connection
from syncserver.wire import frames, yjs

if TYPE_CHECKING:
    from collections.abc import Sequence


_SHARED_FROM: Final = 64 * 1024
"""Full states above this many bytes are encoded once and kept for those who join next."""

_SMALL_STATE: Final = 512
"""Up to this many bytes it is cheaper to ask yrs after each update how far it is than to read the update."""


_CREDIT: Final = 32 * 1024 * 1024
_CREDIT_FOR_EACH: Final = 64 * 1024
"""Bytes of state that may be built anew because characters are cut: so many at once, so many more for each change."""


_incarnations: Final = count(1)
"""Numbers of documents in memory: a replica that starts anew, or another one, has another."""

MOST_TYPES: Final = 250_000
"""Shared types that may be made in a document. yrs deletes those that are nested in one another by calling itself,
with some 300 bytes of stack for each level; this many fit (see `app`)."""


class Applied(NamedTuple):
    """What became of one author's updates of one turn."""

    deltas: Sequence[bytes] = ()
    """What changed, as v1 updates: one, none when nothing did, more when something had to wait."""
    waiting: Sequence[tuple[int, waiting.Waiting]] = ()
    """The updates of which something still waits for its dependencies, with their indexes."""
    refused: Sequence[tuple[int, connection.Refusal]] = ()
    """Those that were not taken, with their indexes, and why; they changed nothing."""


class Poisoned(Exception):
    """An update failed half applied, or panicked: the document may be damaged and must be rebuilt.

    `index` is the update's place among those given to `apply`; None when it showed only at the commit.
    """

    def __init__(self, index: int | None, cause: BaseException) -> None:
        super().__init__(f"update {index}: {type(cause).__name__}: {cause}")
        self.index = index


class _Run:
    """One call of `apply` under way."""

    __slots__ = ("atoms", "deltas", "refused", "updates", "waiting")

    def __init__(self, updates: Sequence[bytes]) -> None:
        self.updates = list(updates)
        self.atoms = True
        """Whether there is nothing among the updates but values and deletions."""
        self.deltas: list[bytes] = []
        self.waiting: list[tuple[int, waiting.Waiting]] = []
        self.refused: list[tuple[int, connection.Refusal]] = []


class Replica:
    """One document in memory.

    `size` estimates the bytes of the full state: exact after each full encoding, plus the deltas since.
    `pending` holds what still waits for its dependencies; yrs never does, beyond the end of `apply`.
    """

    def __init__(self, stored: loading.Stored | None = None) -> None:
        """Builds the document from what is stored of it.

        Raises crdt.MalformedUpdate and crdt.PoisonUpdate when that itself cannot be applied.
        """
        stored = stored or loading.prepare(None, (), ())
        self._emitted: list[bytes] = []
        self._full: bytes | None = None
        self._since: list[bytes] = []
        self._since_bytes = 0
        self._wary = False
        self._credit = _CREDIT
        self._types = stored.types
        built = loading.build(self._renew, stored)
        self._middles = built.middles
        self.pending: list[waiting.Waiting] = built.waiting
        self.refused: list[waiting.Waiting] = built.refused
        """What had waited, and cannot be applied although nothing is missing."""
        self.loose: list[waiting.Loose] = built.loose
        """What had waited, and is in the document now."""
        self.left_out: list[int] = built.left_out
        """Indexes of stored updates that cannot be applied any more. They stay in the journal."""
        self.size = sum(map(len, stored.updates)) + len(stored.snapshot or b"")
        self._observe()

    def _renew(self) -> crdt.Document:
        self.incarnation = next(_incarnations)
        self._bare = BareDoc(None, None, None)
        self._doc: crdt.Document = Doc(doc=self._bare)
        self.yroom = YRoom(ydoc=self._doc)
        return self._doc

    def _observe(self) -> None:
        self._subscription = self._bare.observe(self._on_change)
        self._emitted.clear()

    def _restart(self, full: bytes) -> None:
        """Go on with a new document of this state."""
        self._subscription.drop()
        crdt.apply_all(self._renew(), [full])
        self._observe()

    def _on_change(self, event: TransactionEvent) -> None:
        self._emitted.append(event.update)

    @property
    def occupied(self) -> int:
        """Bytes that the document takes: its state, and what waits."""
        return self.size + self.pending_bytes

    @property
    def pending_bytes(self) -> int:
        """Bytes of the updates that wait."""
        return sum(len(one.update) for one in self.pending)

    # -- changes ------------------------------------------------------------------------------------------------

    def apply(self, updates: Sequence[bytes]) -> Applied:
        """Apply one author's updates, in one transaction unless something turns out to have to wait.

        Raises Poisoned when the document can no longer be trusted; nothing that it emitted may be used then.
        """
        if (
            len(updates) == 1
            and not (self._wary or self._middles)
            and screening.is_plain(updates[0])
        ):
            # Nearly every turn. What comes out as it went in is whole.
            delta = self._apply_plain(updates[0])
            if delta == updates[0]:
                self._remember(updates[0])
                return Applied(updates)
            run = _Run(updates)
            run.atoms = False
            run.deltas = [] if delta is None else [delta]
            if self._must_wait(updates[0]):
                run.deltas = self._hold(run, 0, run.deltas, None)
        else:
            run = _Run(updates)
            done = 0
            while done < len(updates):
                done = self._transact(run, done)
        if not run.atoms and (len(updates) != 1 or run.deltas != [updates[0]]):
            self._check(run.deltas)
        for delta in run.deltas:
            self._remember(delta)
        return Applied(run.deltas, run.waiting, run.refused)

    def _apply_plain(self, update: bytes) -> bytes | None:
        """Apply one update in a transaction of its own; what it changed."""
        emitted = self._emitted
        emitted.clear()
        try:
            transaction = self._bare.create_transaction()
            try:
                self._bare.apply_update(transaction, update)
                transaction.commit()
            finally:
                transaction.drop()
        except BaseException as cause:
            if not crdt.is_poison(cause):
                raise
            raise Poisoned(0, cause) from cause
        return emitted[0] if emitted else None

    def _transact(self, run: _Run, start: int) -> int:
        """Apply updates from `start` on in one transaction; where to go on.

        It ends before the last when yrs was given an update that has to wait (it must not get another before it has
        let go of that one), and before an update that cuts a character in half.
        """
        self._emitted.clear()
        updates = run.updates
        apply, plain_kind, middles = self._bare.apply_update, screening.plain_kind, self._middles
        held: int | None = None
        cut: set[halves.Place] = set()
        index: int | None = start
        try:
            transaction = self._bare.create_transaction()
            try:
                first = state = self._bare.get_state(transaction)
                clocks = waiting.Clocks(state)
                careful = self._wary or len(state) > _SMALL_STATE
                plain = True  # whether the last update was; then `state` is true, else `clocks` are
                for index in range(start, len(updates)):
                    update = updates[index]
                    kind = 0 if careful or middles else plain_kind(update)
                    if kind != screening.ATOM:
                        run.atoms = False
                    if not kind:
                        if plain:
                            clocks.begin(state)
                            plain = False
                        cut = self._read_and_apply(transaction, run, index, clocks)
                        if cut:
                            break
                        continue
                    if not plain:
                        state = self._bare.get_state(transaction)
                        plain = True
                    apply(transaction, update)
                    before = state
                    state = self._bare.get_state(transaction)
                    # A single struct is in when the state has moved, and not just gained a client.
                    moved = state != before and len(state) == len(before)
                    if not moved and waiting.must_wait(update, state):
                        held = index
                        break
                else:
                    index = None
                transaction.commit()
            finally:
                transaction.drop()
        except BaseException as cause:
            if not crdt.is_poison(cause):
                raise
            raise Poisoned(index, cause) from cause
        emitted = list(self._emitted)
        if held is not None:
            run.deltas += self._hold(run, held, emitted, first)
            return held + 1
        run.deltas += emitted
        if index is None:
            return len(updates)
        self._mend(run, index, cut)
        return index

    def _read_and_apply(
        self, transaction: Transaction, run: _Run, index: int, clocks: waiting.Clocks
    ) -> set[halves.Place]:
        """Apply what is ready of an update; nothing if it cuts characters: then which."""
        update = run.updates[index]
        try:
            found = crdt.read(update)
            if found.types and self._types + found.types > MOST_TYPES:
                run.refused.append((index, connection.DOCUMENT_FULL))
                return set()
            ready, whole = waiting.ready(update, found, clocks)
            if cut := halves.cut_by(ready, self._middles):
                return cut
            if ready != crdt.NOTHING:
                self._bare.apply_update(transaction, ready)
        except ValueError:
            # It could not be decoded, so it was never applied.
            run.refused.append((index, connection.MALFORMED))
            clocks.begin(self._bare.get_state(transaction))
            return set()
        self._types += found.types
        if not whole:
            run.waiting.append((index, waiting.Waiting(update, outline=found)))
        return set()

    def _must_wait(self, update: bytes) -> bool:
        """Whether something of a plain update that was just applied is still with yrs. Raises Poisoned."""
        try:
            return waiting.must_wait(update, self._bare_state())
        except (crdt.PoisonUpdate, crdt.MalformedUpdate) as cause:
            raise Poisoned(0, cause) from cause

    def _check(self, deltas: Sequence[bytes]) -> None:
        """What yrs made of updates must be such as others can read: it is told and stored. Raises Poisoned."""
        try:
            for delta in deltas:
                crdt.read(delta)
        except crdt.MalformedUpdate as cause:
            raise Poisoned(None, cause) from cause

    def _hold(
        self, run: _Run, index: int, deltas: Sequence[bytes], before: bytes | None
    ) -> list[bytes]:
        """An update that had to wait was given to yrs unread: it is kept here, and yrs has to forget it.

        Returns what of the deltas of its transaction remains.

        Takes as long as the document is large, so that from now on updates are read before they are applied.
        `before`: the state vector before the transaction, None if this update is all that was in it.
        """
        self._wary = True
        try:
            self._restart(waiting.settled(self.full()))
            since = self._bare_state() if before is None else before
            news = [waiting.settled(delta, since) for delta in deltas]
        except (crdt.PoisonUpdate, crdt.MalformedUpdate) as cause:
            raise Poisoned(index, cause) from cause
        try:
            run.waiting.append((index, waiting.Waiting(run.updates[index])))
        except crdt.MalformedUpdate:
            run.refused.append((index, connection.MALFORMED))
        return [delta for delta in news if delta != crdt.NOTHING]

    def _mend(self, run: _Run, index: int, cut: set[halves.Place]) -> None:
        """Replace the characters that an update is about to cut, in it and in the document.

        Takes as long as the document is large, so that it is put off where it happens again and again. Raises Poisoned.
        """
        if cut & self._middles and self._credit <= 0:
            run.refused.append((index, connection.BUSY))
            run.updates[index] = crdt.NOTHING  # the caller goes on with this one
            return
        self._mend_document(cut)
        run.updates[index] = halves.mend(run.updates[index], cut)

    def _mend_document(self, cut: set[halves.Place]) -> None:
        here = cut & self._middles
        if here:
            self._credit -= self.size
            self._middles -= here
            try:
                self._restart(halves.mend(self.full(), here))
            except (crdt.PoisonUpdate, crdt.MalformedUpdate) as cause:
                raise Poisoned(None, cause) from cause

    def settle(self) -> list[waiting.Loose]:
        """What of `pending` comes loose now that something new has arrived, in order.

        Raises Poisoned.
        """
        loose: list[waiting.Loose] = []

        def apply(one: waiting.Waiting, update: bytes) -> None:
            try:
                while cut := halves.cut_by(update, self._middles):
                    self._mend_document(cut)
                    update = halves.mend(update, cut)
            except crdt.MalformedUpdate as cause:
                raise Poisoned(None, cause) from cause
            delta = self._apply_plain(update)
            if delta is not None and delta != crdt.NOTHING:
                self._check([delta])
                self._remember(delta)
                loose.append(waiting.Loose(one.author, delta))

        self.pending = waiting.advance(self.pending, self._bare_state(), apply)
        return loose

    def _remember(self, delta: bytes) -> None:
        self.size += len(delta)
        if self._credit < _CREDIT:
            self._credit += _CREDIT_FOR_EACH
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

    # -- answers ------------------------------------------------------------------------------------------------

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

    def beyond(self, state_vector: bytes) -> Difference:
        """The same for somebody of ours, who has to know what it is a part of. Raises as `diff`."""
        return Difference(self.diff(state_vector), self.state_vector(), self.incarnation)

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
