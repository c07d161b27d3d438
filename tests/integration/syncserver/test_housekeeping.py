"""What is done several times a second, for as long as the server lives: one failure is not the end of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncserver import app
from tests.integration.syncserver import sockets
from tests.integration.syncserver.process import process

if TYPE_CHECKING:
    from collections.abc import Callable

    from base.db import Database
    from base.redis import Redis

PARTS = ("rooms.tick", "watch.tick", "rooms.keep_alive", "reception.sweep")


class PanicException(BaseException):
    """What a panic in a Rust library looks like."""


@pytest.mark.parametrize("broken", PARTS)
@pytest.mark.parametrize("problem", [ValueError, PanicException])
async def test_what_fails_once_or_always_ends_neither_itself_nor_the_others(
    database: Database,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    problem: type[BaseException],
) -> None:
    for name in ("_TICK_SECONDS", "_KEEPALIVE_SECONDS", "_SWEEP_SECONDS"):
        monkeypatch.setattr(f"syncserver.app.{name}", 0.0)
    turns: dict[str, int] = dict.fromkeys(PARTS, 0)

    def counting(part: str, do: Callable[[], None]) -> Callable[[], None]:
        def once_more() -> None:
            turns[part] += 1
            if part == broken:
                raise problem
            do()

        return once_more

    async with process(database, redis) as here:
        for part in PARTS:
            owner, _, name = part.partition(".")
            whose = getattr(here, owner)
            monkeypatch.setattr(whose, name, counting(part, getattr(whose, name)))
        work = app._housekeeping(here.rooms, here.reception, here.watch)
        running = here.rooms._tasks.spawn("housekeeping", work)
        await sockets.until(lambda: min(turns.values()) > 3)
        assert not running.done()
        monkeypatch.undo()
