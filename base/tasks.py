"""An owner for background tasks: each has a name, none is forgotten, none takes others down.

The only place in the project that starts asyncio tasks (the linter bans the other ways).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from base import log, metrics

if TYPE_CHECKING:
    from collections.abc import Coroutine

_log = log.get(__name__)


class Tasks:
    """Starts tasks, keeps them alive by reference, and ends them together.

    A task that fails is logged and counted (`syncsphere_task_failures_total`); its siblings and
    its owner live on.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, name: str, work: Coroutine[object, object, object]) -> asyncio.Task[None]:
        """Run `work` soon on the current loop. Raises RuntimeError once closed."""
        if self._closed:
            work.close()
            raise RuntimeError(f"task {name!r} came after its owner was closed")
        task = asyncio.get_running_loop().create_task(self._guarded(name, work), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def aclose(self) -> None:
        """Cancel every task and wait until all have ended; new ones are refused from now on."""
        self._closed = True
        me = asyncio.current_task()
        while waiting := [task for task in self._running if task is not me]:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

    async def wait(self) -> None:
        """Until every task has ended by itself, those included that they start meanwhile."""
        me = asyncio.current_task()
        while waiting := [task for task in self._running if task is not me]:
            await asyncio.wait(waiting)

    async def _guarded(self, name: str, work: Coroutine[object, object, object]) -> None:
        try:
            await work
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 (also a panic in a Rust library, no Exception; logged)
            metrics.task_failures_total.labels(task=name.partition(":")[0]).inc()
            _log.exception("task_failed", task=name)
