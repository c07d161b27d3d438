"""Places that askers take in turns."""

from __future__ import annotations

import anyio
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from base.places import FairPlaces, asking


class Hall:
    """Tasks that hold a place until they are told to leave."""

    def __init__(self, at_once: int) -> None:
        self.places = FairPlaces(f"hall {id(self)}", at_once)
        self.inside: list[str] = []
        self.served: list[str] = []
        self._ends: dict[str, anyio.Event] = {}

    async def stay(self, asker: str, name: str) -> None:
        asking.set(asker)
        async with self.places():
            self.inside.append(name)
            self.served.append(name)
            self._ends[name] = anyio.Event()
            try:
                await self._ends[name].wait()
            finally:
                self.inside.remove(name)

    async def leave(self, name: str) -> None:
        self._ends[name].set()
        await wait_all_tasks_blocked()


async def test_one_of_each_asker_at_a_time() -> None:
    hall = Hall(2)
    async with anyio.create_task_group() as group:
        for name in ("a1", "a2", "a3"):
            group.start_soon(hall.stay, "a", name)
        await wait_all_tasks_blocked()
        assert hall.inside == ["a1"]
        group.start_soon(hall.stay, "b", "b1")
        await wait_all_tasks_blocked()
        assert hall.inside == ["a1", "b1"]
        for name in ("a1", "a2", "a3", "b1"):
            await hall.leave(name)
    assert hall.served == ["a1", "b1", "a2", "a3"]


async def test_who_wants_much_waits_behind_who_wants_little() -> None:
    hall = Hall(1)
    async with anyio.create_task_group() as group:
        for name in ("a1", "a2", "a3"):
            group.start_soon(hall.stay, "a", name)
            await wait_all_tasks_blocked()
        group.start_soon(hall.stay, "b", "b1")
        await wait_all_tasks_blocked()
        for name in ("a1", "a2", "b1", "a3"):
            await hall.leave(name)
    assert hall.served == ["a1", "a2", "b1", "a3"]


async def test_who_gives_up_takes_nobodys_place() -> None:
    hall = Hall(1)
    async with anyio.create_task_group() as group:
        group.start_soon(hall.stay, "a", "a1")
        await wait_all_tasks_blocked()
        with anyio.move_on_after(0) as gone:
            await hall.stay("b", "b1")
        assert gone.cancelled_caught
        # Given the place in the very moment in which they give up.
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(hall.stay, "c", "c1")
            await wait_all_tasks_blocked()
            hall._ends["a1"].set()  # pyright: ignore[reportPrivateUsage]
            await checkpoint()
            impatient.cancel_scope.cancel()
        group.start_soon(hall.stay, "d", "d1")
        await wait_all_tasks_blocked()
        assert hall.inside == ["d1"]
        await hall.leave("d1")


async def test_an_error_within_frees_the_place() -> None:
    hall = Hall(1)
    try:
        async with hall.places():
            raise ValueError
    except ValueError:
        pass
    async with anyio.create_task_group() as group:
        group.start_soon(hall.stay, "b", "b1")
        await wait_all_tasks_blocked()
        assert hall.inside == ["b1"]
        await hall.leave("b1")
