"""Processes that keep documents between commits, asked over pipes; `residents.py` is what they do.

A document always meets the same process. One that a document takes down, or keeps busy for too
long, is ended and begun anew without other documents' noticing more than that all of it has to be
sent again. Processes begin when they are first asked and live as long as `opened()` is entered;
where nobody does, there are none and commits read documents whole.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import anyio
import anyio.abc
import anyio.lowlevel
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from base import log
from docstore.errors import DocumentTooDeep, DocumentUnreadable, SnapshotDamaged, TooCostly
from docstore.history import chain, content, residents

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from docstore.live import Source

_log = log.get(__name__)

PROCESSES: Final = 2
"""Each takes some 60 MB by itself, and with all it may keep about 400."""

SECONDS: Final = 60.0
"""How long one answer may take, as for other work on documents."""

PATIENCE_SECONDS: Final = 1.0
"""How long a commit waits for a process that is busy with other documents."""

_END_SECONDS: Final = 5.0
"""How long a process that is told to end is waited for."""

_NOTHING: Final = b"\0"
"""The state vector of an empty document."""

_LENGTH: Final = 8
"""Bytes before each message that say how long it is."""

_PROGRAM: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from docstore.history import keeping; keeping.main()"
)

_Answer: TypeAlias = "residents.Made | residents.Missing | residents.Failed"


class Stored(NamedTuple):
    """A state in the database that may not be known over there."""

    sha256: bytes
    """Of the content, or of the state itself, where that is asked for."""
    fetch: Callable[[], Awaitable[list[chain.Packed]]]
    """How to get at it. Raises SnapshotDamaged."""


class _Lost(Exception):
    """The process ended before it answered."""


class _Known(NamedTuple):
    """What a process has of a document, if it still has it."""

    incarnation: int
    state_vector: bytes


class Keepers:
    """Some processes, each with the documents that fall to it."""

    def __init__(self, processes: int = PROCESSES) -> None:
        self._keepers = [_Keeper() for _ in range(processes)]

    async def commit(
        self,
        source: Source,
        *,
        before: Stored | None,
        base: Stored | None,
        anyway: bool = False,
    ) -> residents.Made | None:
        """What a commit of a live document is; None: it has to be read whole.

        Because it is too large to be kept by us, or somebody else's takes long just now.

        before: the commit before, by the digest of its content. base: the state to store it
        against, by the SHA-256 of its bytes. anyway: also if nothing has changed since.
        Raises DocumentUnreadable, DocumentTooDeep, SnapshotDamaged, TooCostly, and what the source
        raises.
        """
        keeper = self._keepers[source.document_id % len(self._keepers)]
        async with contextlib.AsyncExitStack() as held:
            with anyio.move_on_after(PATIENCE_SECONDS) as patience:
                await held.enter_async_context(keeper.turn)
            if patience.cancelled_caught:
                return None
            try:
                return await _talk(keeper, source, before, base, anyway=anyway)
            except _Lost:
                # Perhaps another document's doing, or the machine's: once more, from the beginning.
                _log.warning("keeper_lost", document=source.document_id)
            try:
                return await _talk(keeper, source, before, base, anyway=anyway)
            except _Lost as problem:
                _log.warning("keeper_lost", document=source.document_id, again=True)
                raise DocumentUnreadable from problem

    async def aclose(self) -> None:
        """End them all, once they have answered."""
        for keeper in self._keepers:
            async with keeper.turn:
                await keeper.end()


async def _talk(
    keeper: _Keeper, source: Source, before: Stored | None, base: Stored | None, *, anyway: bool
) -> residents.Made | None:
    known = keeper.known.pop(source.document_id, None)
    before_chain: list[chain.Packed] = []
    base_chain: list[chain.Packed] = []
    while True:
        found = await source.diff(_NOTHING if known is None else known.state_vector)
        if known is not None and found.incarnation != known.incarnation:
            known = None
            found = await source.diff(_NOTHING)
        if len(found.update) > residents.LARGEST:
            return None
        ask = residents.Ask(
            document_id=source.document_id,
            incarnation=found.incarnation,
            whole=known is None,
            update=found.update,
            state_vector=found.state_vector,
            before=None if before is None else before.sha256,
            base=None if base is None else base.sha256,
            anyway=anyway,
            before_chain=before_chain,
            base_chain=base_chain,
        )
        answer = await keeper.ask(ask)
        match answer:
            case residents.Made():
                keeper.remember(source.document_id, _Known(found.incarnation, found.state_vector))
                return answer
            case residents.Failed(error):
                if error == DocumentTooDeep.__name__:
                    raise DocumentTooDeep(limit=content.DEEPEST)
                raise ERRORS[error]
            case residents.Missing():
                if answer.document:
                    known = None
                if answer.before and before is not None:
                    before_chain = await before.fetch()
                if answer.base and base is not None:
                    base_chain = await base.fetch()


class _Keeper:
    """One process, or the place of one."""

    def __init__(self) -> None:
        self.turn = anyio.Lock()
        self.known: OrderedDict[int, _Known] = OrderedDict()
        self._process: anyio.abc.Process | None = None

    def remember(self, document_id: int, known: _Known) -> None:
        """What the process has now."""
        self.known[document_id] = known
        while len(self.known) > residents.MOST_DOCUMENTS:
            self.known.popitem(last=False)

    async def ask(self, ask: residents.Ask) -> _Answer:
        """Ask, and wait for the answer; whoever has given up waits with the others.

        Raises _Lost, TooCostly.
        """
        packed = _encode(ask)
        try:
            with anyio.fail_after(SECONDS, shield=True):
                process = self._process or await self._start()
                assert process.stdin is not None, "it was asked for"
                assert process.stdout is not None, "it was asked for"
                await process.stdin.send(len(packed).to_bytes(_LENGTH) + packed)
                stream = BufferedByteReceiveStream(process.stdout)
                size = int.from_bytes(await stream.receive_exactly(_LENGTH))
                return _decode_answer(await stream.receive_exactly(size))
        except TimeoutError as problem:
            await self.end(at_once=True)
            raise TooCostly from problem
        except (
            anyio.IncompleteRead,
            anyio.EndOfStream,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
        ) as problem:
            await self.end(at_once=True)
            raise _Lost from problem

    async def _start(self) -> anyio.abc.Process:
        self._process = await anyio.open_process(
            [sys.executable, "-c", _PROGRAM, *sys.path], stderr=None
        )
        return self._process

    async def end(self, *, at_once: bool = False) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        self.known.clear()
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            if process.stdin is not None:
                with contextlib.suppress(anyio.BrokenResourceError):
                    await process.stdin.aclose()
            with anyio.move_on_after(0 if at_once else _END_SECONDS):
                await process.wait()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.aclose()


# ---------------------------------------------------------------- where they are

_here: Final = anyio.lowlevel.RunVar["Keepers | None"]("keepers", None)


def here() -> Keepers | None:
    """Those of this loop."""
    return _here.get()


@contextlib.asynccontextmanager
async def opened(processes: int = PROCESSES) -> AsyncGenerator[Keepers]:
    """Have commits of live documents made with the help of these."""
    keepers = Keepers(processes)
    _here.set(keepers)
    try:
        yield keepers
    finally:
        _here.set(None)
        await keepers.aclose()


# ---------------------------------------------------------------- over there

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_ask: Final = msgspec.msgpack.Decoder(residents.Ask).decode
_decode_answer: Final = msgspec.msgpack.Decoder(
    residents.Made | residents.Missing | residents.Failed
).decode

_KINDS: Final = (DocumentUnreadable, DocumentTooDeep, SnapshotDamaged)

ERRORS: Final = {kind.__name__: kind for kind in _KINDS}
"""What documents may turn out to be, by the name under which it crosses to us."""


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server says when it is over
    gc.freeze()
    kept = residents.Residents()
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    while length := asked.read(_LENGTH):
        ask = _decode_ask(asked.read(int.from_bytes(length)))
        try:
            answer: _Answer = kept.answer(ask)
        except _KINDS as problem:
            answer = residents.Failed(type(problem).__name__)
        packed = _encode(answer)
        told.write(len(packed).to_bytes(_LENGTH) + packed)
        told.flush()
