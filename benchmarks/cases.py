"""The cases: what is asked of which servers with which numbers, and what is to be reached.

Data only. `run.py` works it off; `report.py` prints it. A figure's name is the one that the
scenario in `benchmarks/load` gives it; base units (seconds, bytes) become the row's unit here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.servers import HOCUSPOCUS, NAMES, SYNCSPHERE, Y_WEBSOCKET

Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Unit:
    """How a base unit is printed."""

    name: str
    per: float
    """How many base units make one of these."""
    digits: int


PER_SECOND = Unit("1/s", 1, 0)
MS = Unit("ms", 1e-3, 2)
SECONDS = Unit("s", 1, 2)
PERCENT = Unit("% of a core", 0.01, 1)
KB = Unit("KB", 1e3, 1)
MB = Unit("MB", 1e6, 1)
COUNT = Unit("", 1, 0)
TIMES = Unit("x", 1, 2)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on SyncSphere's figure: on its ratio to a peer's, or on the figure itself."""

    sign: Literal["≥", "≤"]
    bound: float
    """Of the ratio, or in base units."""
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a case."""

    label: str
    figure: str
    unit: Unit
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One scenario with its numbers; `quick` replaces some of them."""

    name: str
    title: str
    scenario: str
    rows: tuple[Row, ...]
    numbers: Numbers
    quick: Numbers = field(default_factory=dict[str, float])
    rooms: int = 1
    rounds: int = 3
    servers: tuple[str, ...] = NAMES
    trace: bool = False


LOST = Row("lost", "lost", COUNT, (Goal("≤", 0),))
CPU = Row("server CPU", "server_cpu", PERCENT)
BUSY = Row("generator busy", "generator_busy", PERCENT)
DELIVERED = "delivered updates"

FANOUT_ROWS = (
    Row(
        DELIVERED,
        "delivered_per_second",
        PER_SECOND,
        (Goal("≥", 20, Y_WEBSOCKET), Goal("≥", 5, HOCUSPOCUS)),
    ),
    CPU,
    BUSY,
    LOST,
)
FANOUT_NUMBERS = {"readers": 100, "window": 64, "warm_up": 1, "seconds": 5}
FANOUT_QUICK = {"seconds": 2}

IDLE_ROWS = (
    Row("memory per connection", "bytes_per_connection", KB, (Goal("≤", 15e3),)),
    Row("the same, PostgreSQL and Redis included", "tree_bytes_per_connection", KB),
    Row("server CPU meanwhile", "idle_cpu", PERCENT),
    Row("connections lost", "lost", COUNT, (Goal("≤", 0),)),
)

CASES: tuple[Case, ...] = (
    Case(
        name="fanout",
        title="1 writer, 100 readers, closed loop of 64",
        scenario="closed",
        rows=FANOUT_ROWS,
        numbers={**FANOUT_NUMBERS, "together": 1},
        quick=FANOUT_QUICK,
    ),
    Case(
        name="fanout-single",
        title="The same, each update in a write of its own",
        scenario="closed",
        rows=(*tuple(Row(row.label, row.figure, row.unit) for row in FANOUT_ROWS[:-1]), LOST),
        numbers={**FANOUT_NUMBERS, "together": 0},
        quick=FANOUT_QUICK,
    ),
    Case(
        name="steady",
        title="1 writer, 100 readers, 1,000 updates a second",
        scenario="scheduled",
        rows=(
            Row("edit to delivery, p50", "latency_p50", MS),
            Row("edit to delivery, p99", "latency_p99", MS, (Goal("≤", 1, Y_WEBSOCKET),)),
            Row("server CPU", "server_cpu", PERCENT, (Goal("≤", 1.1, Y_WEBSOCKET),)),
            LOST,
        ),
        numbers={"clients": 101, "writers": 1, "rate": 1000, "warm_up": 1, "seconds": 10},
        quick={"seconds": 3},
    ),
    Case(
        name="rooms",
        title="200 rooms of 4 clients, everybody writes, closed loop of 1",
        scenario="rooms",
        rows=(
            Row(DELIVERED, "delivered_per_second", PER_SECOND, (Goal("≥", 1.1, Y_WEBSOCKET),)),
            CPU,
            BUSY,
            LOST,
        ),
        numbers={"clients": 4, "warm_up": 1, "seconds": 5},
        quick={"seconds": 2},
        rooms=200,
    ),
    Case(
        name="everybody",
        title="50 clients in one room, each writes 10 a second",
        scenario="scheduled",
        rows=(
            Row("server CPU", "server_cpu", PERCENT, (Goal("≤", 1, Y_WEBSOCKET),)),
            Row("edit to delivery, p50", "latency_p50", MS),
            Row("edit to delivery, p99", "latency_p99", MS),
            LOST,
        ),
        numbers={"clients": 50, "writers": 50, "rate": 500, "warm_up": 1, "seconds": 10},
        quick={"seconds": 3},
    ),
    Case(
        name="join",
        title="Late join of a 10 MB document (100,000 entries of a map)",
        scenario="join",
        rows=(
            Row("document", "document_bytes", MB),
            Row("one joiner, median", "join_one", MS, (Goal("≤", 0.050),)),
            Row("50 joiners at once: the median one", "join_burst_median", MS),
            Row("50 joiners at once: the last one", "join_burst_last", MS),
            Row("50 joiners at once: server CPU time", "join_burst_cpu", SECONDS),
            Row("50 joiners at once: memory over before, peak", "join_burst_memory", MB),
            Row("joiners without the whole document", "lost", COUNT, (Goal("≤", 0),)),
        ),
        numbers={
            "entries": 100_000,
            "entry_bytes": 80,
            "repeats": 9,
            "joiners": 50,
            "settle": 2,
        },
        quick={"repeats": 5, "settle": 1},
    ),
    Case(
        name="idle-room",
        title="Idle connections, 2,000 in one room",
        scenario="idle",
        rows=IDLE_ROWS,
        numbers={"connections": 2000, "warm_up": 200, "settle": 3},
        quick={"connections": 1000, "settle": 2},
        rounds=2,
    ),
    Case(
        name="idle-rooms",
        title="Idle connections, 2,000 over 200 rooms (the rooms' own memory included)",
        scenario="idle",
        rows=IDLE_ROWS,
        numbers={"connections": 2000, "warm_up": 200, "settle": 3},
        quick={"connections": 1000, "settle": 2},
        rooms=200,
        rounds=2,
    ),
    Case(
        name="stalled",
        title="20 of 25 readers stop reading during a 10 MB replay",
        scenario="stalled",
        rows=(
            Row("memory over idle, peak", "stalled_memory", MB, (Goal("≤", 150e6),)),
            Row("the others' p50", "latency_p50", MS),
            Row("the others' p99", "latency_p99", MS),
            Row("p99 when all of them read", "calm_latency_p99", MS),
            Row("the others' p99, of that", "latency_change", TIMES, (Goal("≤", 1.2),)),
            Row("replay took", "replay_seconds", SECONDS),
            Row("stopped readers that were closed", "stalled_closed", COUNT),
            Row("until all of them had everything again", "return_seconds", SECONDS),
            LOST,
        ),
        numbers={
            "replay_bytes": 10e6,
            "width": 100,
            "window": 64,
            "readers": 5,
            "stalled": 20,
            "settle": 2,
        },
        quick={"replay_bytes": 3e6, "settle": 1},
        rooms=2,
    ),
    Case(
        name="trace",
        title="A recorded session, one client, closed loop of 64",
        scenario="trace",
        rows=(
            Row("updates", "trace_updates", COUNT),
            Row("time", "trace_seconds", SECONDS, (Goal("≤", 1.5),)),
            Row("updates", "updates_per_second", PER_SECOND),
            Row("until all of it was durable", "durable_seconds", SECONDS),
            Row("room's memory afterwards", "room_memory", MB, (Goal("≤", 10e6),)),
            Row("the same, PostgreSQL and Redis included", "tree_memory", MB),
            CPU,
            BUSY,
            LOST,
            Row("wrong characters after SIGKILL and restart", "wrong", COUNT, (Goal("≤", 0),)),
        ),
        numbers={"window": 64, "settle": 5, "limit": 0},
        quick={"settle": 2},
        trace=True,
    ),
    Case(
        name="trace-one",
        title="Its first 20,000 updates, closed loop of 1",
        scenario="trace",
        rows=(
            Row("time", "trace_seconds", SECONDS),
            Row("updates", "updates_per_second", PER_SECOND),
            CPU,
            LOST,
            Row("wrong characters after SIGKILL and restart", "wrong", COUNT, (Goal("≤", 0),)),
        ),
        numbers={"window": 1, "settle": 1, "limit": 20_000},
        quick={"limit": 5_000},
        rounds=1,
        trace=True,
    ),
    Case(
        name="durable",
        title="Edit to durable, 1,000 updates a second over 200 rooms",
        scenario="durable",
        rows=(
            Row("edit to acknowledgement (102), p50", "durable_p50", MS),
            Row("edit to acknowledgement (102), p99", "durable_p99", MS, (Goal("≤", 0.005),)),
            Row("the server's own histogram, p50", "server_durable_p50", MS),
            Row("the server's own histogram, p99", "server_durable_p99", MS),
            Row("the disk's own fdatasync before, p50", "disk_p50", MS),
            Row("the disk's own fdatasync before, p99", "disk_p99", MS),
            CPU,
            Row("never acknowledged", "lost", COUNT, (Goal("≤", 0),)),
        ),
        numbers={"rate": 1000, "warm_up": 2, "seconds": 10},
        quick={"warm_up": 1, "seconds": 3},
        rooms=200,
        servers=(SYNCSPHERE,),
    ),
)
