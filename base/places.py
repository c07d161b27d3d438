"""How many may do the same thing at one time, in each event loop; and whose turn it is.

`Places` is a plain queue. `FairPlaces` is for what takes long: of each asker one is served at a
time, and askers who wait take turns, so nobody is kept waiting by how much somebody else wants.
Who asks is known by `asking`, which the way into a request sets; whatever the server does by
itself has one asker for all of it.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict, deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Hashable
    from contextlib import AbstractAsyncContextManager

asking: Final[ContextVar[Hashable]] = ContextVar("asking", default=None)
"""For whom this task works: an account, or the address of nobody; None: the server itself."""


class Places:
    """`async with places():` around what only so many may do at once; the others wait their turn.

    Made where a module is read, before there is a loop; each loop has its own limiter.
    """

    def __init__(self, name: str, at_once: int) -> None:
        self._limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar(name)
        self._at_once = at_once

    def __call__(self) -> anyio.CapacityLimiter:
        """The limiter of this loop."""
        found = self._limiter.get(None)
        if found is None:
            found = anyio.CapacityLimiter(self._at_once)
            self._limiter.set(found)
        return found


class FairPlaces:
    """`async with places():` as above, one at a time of each asker, who take turns.

    Who is inside does not come in once more: they would wait for themselves.
    """

    def __init__(self, name: str, at_once: int) -> None:
        self._turns: anyio.lowlevel.RunVar[Turns] = anyio.lowlevel.RunVar(name)
        self._at_once = at_once

    def __call__(self) -> AbstractAsyncContextManager[None]:
        """A place for whom this task works."""
        found = self._turns.get(None)
        if found is None:
            found = Turns(self._at_once)
            self._turns.set(found)
        return found.place(asking.get())


class Turns:
    """Who is inside, and who waits, of one loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._inside: set[Hashable] = set()
        self._waiting: OrderedDict[Hashable, deque[anyio.Event]] = OrderedDict()
        """By asker, whose turn is next first. Nobody is here without anybody waiting."""

    @contextlib.asynccontextmanager
    async def place(self, asker: Hashable) -> AsyncGenerator[None]:
        """A place, once it is this asker's turn."""
        await self._enter(asker)
        try:
            yield
        finally:
            self._leave(asker)

    async def _enter(self, asker: Hashable) -> None:
        if self._free and asker not in self._inside:
            self._free -= 1
            self._inside.add(asker)
            return
        turn = anyio.Event()
        self._waiting.setdefault(asker, deque()).append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._leave(asker)  # it was given us while we gave up
            else:
                self._waiting[asker].remove(turn)
                if not self._waiting[asker]:
                    del self._waiting[asker]
            raise

    def _leave(self, asker: Hashable) -> None:
        self._free += 1
        self._inside.remove(asker)
        following = next((each for each in self._waiting if each not in self._inside), _NOBODY)
        if following is _NOBODY:
            return
        own = self._waiting.pop(following)
        own.popleft().set()
        if own:
            self._waiting[following] = own  # behind all the others
        self._free -= 1
        self._inside.add(following)


_NOBODY: Final = object()
