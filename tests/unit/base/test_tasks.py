"""Background tasks have an owner, and none takes the others down."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from base import metrics
from base.tasks import Tasks


class _Panic(BaseException):
    """As a Rust library raises it: no Exception."""


async def _fail(error: BaseException) -> NoReturn:
    raise error


def _failures(task: str) -> float:
    return metrics.REGISTRY.get_sample_value("syncsphere_task_failures_total", {"task": task}) or 0


@pytest.mark.parametrize("error", [ValueError("x"), _Panic("x")])
async def test_a_failing_task_is_counted_and_its_siblings_live_on(error: BaseException) -> None:
    tasks, done = Tasks(), asyncio.Event()

    async def sibling() -> None:
        await asyncio.sleep(0)
        done.set()

    before = _failures("room")
    tasks.spawn("room:abc", _fail(error))
    tasks.spawn("sibling", sibling())
    await tasks.wait()
    assert done.is_set()
    assert _failures("room") == before + 1
    assert len(tasks) == 0


async def test_closing_cancels_every_task_and_waits_for_its_last_steps() -> None:
    tasks, steps = Tasks(), list[str]()
    started = asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("tidied")

    tasks.spawn("work", work())
    await started.wait()
    await tasks.aclose()
    assert steps == ["tidied"]


async def test_a_task_may_close_its_own_owner() -> None:
    tasks = Tasks()
    await tasks.spawn("last", tasks.aclose())
    assert len(tasks) == 0


async def test_after_closing_no_task_is_taken() -> None:
    tasks = Tasks()
    await tasks.aclose()
    with pytest.raises(RuntimeError, match="late"):
        tasks.spawn("late", asyncio.sleep(0))
