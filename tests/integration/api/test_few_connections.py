"""Much history at once with hardly any connections: nobody starves, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from base import clock
from base.db import Database

from .crew import at, proven
from .lines import branched, log
from .lived import edit, lived, stem, stems

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from base.redis import Redis

    from .rest import Person, Rest

CONNECTIONS = 4
COMMITS, MERGES, RESTORES = 30, 10, 10
ANSWERED_SECONDS = 1.0


@pytest.fixture
async def rest(database: Database, redis: Redis, tmp_path: Path) -> AsyncGenerator[Rest]:
    few = await Database.open(database.url, size=CONNECTIONS)
    try:
        async with lived(few, redis, tmp_path / "page") as here:
            yield here
    finally:
        await few.close()


async def prepared(who: Person) -> tuple[dict[str, Any], str]:
    """A project with a branch that is apart from main; and a commit of it."""
    project = await who.project()
    await edit(who, project, stem("bass", pan=0))
    made = await who("POST", at(project, "/commit"), json={"message": "Begin"})
    await branched(who, project, "intro")
    await edit(who, project, stem("lead", pan=0), "intro")
    return project, made.json()["id"]


async def test_history_at_once_leaves_room_for_everybody_else(rest: Rest) -> None:
    anna = await proven(rest)
    project, first = await prepared(anna)
    others = [await prepared(anna) for _ in range(3)]
    waits: list[float] = []
    codes: list[int] = []
    over = anyio.Event()

    async def write(path: str, body: dict[str, str]) -> None:
        codes.append((await anna("POST", path, json=body)).status_code)

    async def look() -> None:
        while not over.is_set():
            begun = clock.monotonic()
            assert (await anna("GET", at(project))).status_code == 200
            waits.append(clock.monotonic() - begun)
            with anyio.move_on_after(0.02):
                await over.wait()

    played = 0

    async def play() -> None:
        nonlocal played
        while not over.is_set():
            # Answered once it is durable.
            await edit(anna, project, stem(f"live{played}", pan=played))
            played += 1

    async with anyio.create_task_group() as beside:
        beside.start_soon(look)
        beside.start_soon(play)
        async with anyio.create_task_group() as group:
            for number in range(COMMITS):
                home, _ = others[number % 3] if number % 3 == 0 else (project, first)
                group.start_soon(write, at(home, "/commit"), {"message": "Now"})
            for number in range(MERGES):
                home, _ = others[number % 3] if number % 2 else (project, first)
                path = at(home, "/branches/intro/merge")
                group.start_soon(write, path, {"into": "main"})
            for number in range(RESTORES):
                home, begin = others[number % 3] if number % 2 else (project, first)
                path = at(home, "/restore")
                group.start_soon(write, path, {"commitId": begin, "message": "Back"})
        over.set()
    assert len(codes) == COMMITS + MERGES + RESTORES
    # 409: nothing had been edited since the commit before.
    assert set(codes) <= {200, 201, 409}
    assert codes.count(200) == MERGES + RESTORES
    assert waits
    assert max(waits) < ANSWERED_SECONDS
    assert played > 0
    # Every commit that was answered leads to what is newest now.
    homes = (project, *(each for each, _ in others))
    kept = [each["message"] for home in homes for each in await log(anna, home)]
    assert kept.count("Now") == codes.count(201)
    await edit(anna, project, stem("after", pan=1))
    assert (await stems(anna, project))["after"] == {"pan": 1}
