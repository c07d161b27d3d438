"""Runs one job: JSON on standard input, JSON on standard output. See `job.Job`."""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from benchmarks.load import durable, fanout, idle, join, rooms, stalled, trace
from benchmarks.load.job import Job, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS: dict[str, Callable[[Job], Outcome]] = {
    "closed": fanout.closed,
    "durable": durable.run,
    "idle": idle.run,
    "join": join.run,
    "rooms": rooms.closed,
    "scheduled": fanout.scheduled,
    "stalled": stalled.run,
    "trace": trace.run,
}


def main() -> None:
    """Read the job, run its scenario, print the outcome."""
    fields = cast("dict[str, object]", json.load(sys.stdin))
    fields["rooms"] = tuple(cast("list[str]", fields["rooms"]))
    job = Job(**fields)  # pyright: ignore[reportArgumentType] - written by benchmarks.run
    # A collection of the generator's own would show up as the server's latency.
    gc.disable()
    outcome = SCENARIOS[job.scenario](job)
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
