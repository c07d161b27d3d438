"""So many at once, in each loop."""

from __future__ import annotations

import anyio

from base.places import Places

AT_ONCE = 2

place = Places("a test", AT_ONCE)


async def test_the_others_wait_for_their_turn() -> None:
    inside: list[int] = []
    most = 0

    async def one(number: int) -> None:
        nonlocal most
        async with place():
            inside.append(number)
            most = max(most, len(inside))
            await anyio.lowlevel.checkpoint()
            inside.remove(number)

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(one, number)
    assert most == AT_ONCE
    assert place() is place()


def test_each_loop_has_its_own() -> None:
    async def limiter() -> anyio.CapacityLimiter:
        return place()

    assert anyio.run(limiter) is not anyio.run(limiter)
