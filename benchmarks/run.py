"""Runs the benchmarks: each case against each server in turn, several rounds, on two cores.

    python -m benchmarks.run [--quick] [--case NAME ...] [--server NAME ...] [--rounds N]
                             [--trace FILE]

The servers get the first core, the load generator the last one. A full run writes
`benchmarks/results/latest.json` and the tables in `docs/benchmarks.md`; cases that did not run
keep the figures they had. A quick run only prints.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from benchmarks import machine, peers, report, servers, verify
from benchmarks.cases import CASES, Case, Numbers
from benchmarks.load.job import Job, Outcome
from benchmarks.servers import HOCUSPOCUS, NAMES, SYNCSPHERE, Server

if TYPE_CHECKING:
    from collections.abc import Sequence

GENERATOR_SECONDS = 900.0
TRACE_VARIABLE = "SYNCSPHERE_BENCH_TRACE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 1 if something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [case.name for case in CASES]
    parser.add_argument(
        "--case",
        action="append",
        choices=names,
        metavar="NAME",
        help="only this case; again for more: " + ", ".join(names),
    )
    parser.add_argument(
        "--server",
        action="append",
        choices=NAMES,
        metavar="NAME",
        help="only this server: " + ", ".join(NAMES),
    )
    parser.add_argument("--quick", action="store_true", help="one short round; writes no file")
    parser.add_argument("--rounds", type=int, default=0, help="instead of each case's own number")
    parser.add_argument(
        "--trace",
        type=Path,
        default=os.environ.get(TRACE_VARIABLE),
        help=f"recorded session for the trace cases (or {TRACE_VARIABLE})",
    )
    chosen = parser.parse_args(arguments)
    wanted = tuple(cast("list[str] | None", chosen.server) or NAMES)
    trace = str(Path(chosen.trace).resolve()) if chosen.trace else ""
    if tool := peers.missing_tool():
        say(f"{tool} is not installed: measuring SyncSphere alone, without ratios")
        wanted = (SYNCSPHERE,)
    elif set(wanted) != {SYNCSPHERE}:
        peers.install()
    server_core, own_core = machine.cores()
    os.sched_setaffinity(0, {own_core})
    if server_core == own_core:
        say("only one core: servers and generator share it, and no figure below means much")
    measured: dict[str, report.Measured] = {}
    try:
        for case in CASES:
            if chosen.case and case.name not in chosen.case:
                continue
            rounds = chosen.rounds or (1 if chosen.quick else case.rounds)
            measured[case.name] = measure(
                case, wanted, quick=chosen.quick, rounds=rounds, core=server_core, trace=trace
            )
            print(report.table(case, measured[case.name]), flush=True)
    except KeyboardInterrupt:
        say("stopped; nothing written")
        return 1
    if not chosen.quick:
        report.write(measured, machine.facts())
        say("written: docs/benchmarks.md and benchmarks/results/latest.json")
    return 1 if any(result["failures"] for result in measured.values()) else 0


def measure(
    case: Case, wanted: Sequence[str], *, quick: bool, rounds: int, core: int, trace: str
) -> report.Measured:
    """All rounds of one case, the servers in turn within each."""
    numbers = {**case.numbers, **case.quick} if quick else dict(case.numbers)
    result: report.Measured = {
        "quick": quick,
        "stand_in": case.trace and not trace,
        "rounds": rounds,
        "numbers": dict(numbers),
        "figures": {},
        "notes": [],
        "failures": [],
    }
    if result["stand_in"]:
        result["notes"].append(
            "a generated session of 50,000 updates: no trace file was given (--trace FILE)"
        )
    for turn in range(rounds):
        for name in case.servers:
            if name not in wanted:
                continue
            began = time.monotonic()
            try:
                outcome = once(case, name, numbers, core=core, trace=trace)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                result["failures"].append(f"{name}: {error}")
                say(f"{case.name} {turn + 1}/{rounds} {name}: FAILED, {error}")
                continue
            for figure, value in outcome.figures.items():
                result["figures"].setdefault(name, {}).setdefault(figure, []).append(value)
            for note in outcome.notes:
                if (text := f"{name}: {note}") not in result["notes"]:
                    result["notes"].append(text)
            first = report.cell(case.rows[0].unit, [outcome.figures[case.rows[0].figure]])
            say(
                f"{case.name} {turn + 1}/{rounds} {name}: {first} ({case.rows[0].label}), "
                f"{time.monotonic() - began:.0f} s"
            )
    return result


def once(case: Case, name: str, numbers: Numbers, *, core: int, trace: str) -> Outcome:
    """Start one server, put one load on it, stop it."""
    server = servers.start(name, core, rooms=case.rooms)
    try:
        outcome = generate(job_for(case, server, numbers, trace))
        if case.trace and name == SYNCSPHERE:
            server = servers.restart(server, core)
            expected = verify.trace_text(trace, int(numbers["limit"]))
            found = servers.snapshot(server, server.projects[0])
            outcome.figures["wrong"] = verify.wrong_characters(found, expected)
            outcome.notes.append(f"after SIGKILL and restart: {len(expected)} characters expected")
        return outcome
    finally:
        server.stop()


def job_for(case: Case, server: Server, numbers: Numbers, trace: str) -> Job:
    """What the generator needs to know about the case and the server."""
    return Job(
        scenario=case.scenario,
        server=server.name,
        host=server.host,
        port=server.port,
        pid=server.pid,
        rooms=server.rooms,
        path=server.path,
        hocuspocus=server.name == HOCUSPOCUS,
        token=server.token,
        numbers={**numbers, "asks_durable": float(server.name == SYNCSPHERE)},
        files={"trace": trace, "data": str(server.data)},
    )


def generate(job: Job) -> Outcome:
    """Run the load generator in a process of its own, on our core."""
    generator = subprocess.Popen(
        (sys.executable, "-m", "benchmarks.load"),
        cwd=servers.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        answer, errors = generator.communicate(json.dumps(asdict(job)), GENERATOR_SECONDS)
    except BaseException:
        generator.send_signal(signal.SIGKILL)
        generator.wait()
        raise
    if generator.returncode:
        last = errors.strip().splitlines()[-1:] or ["no message"]
        raise servers.ServerError(f"the generator ended: {last[0]}")
    fields = cast("dict[str, object]", json.loads(answer))
    return Outcome(cast("dict[str, float]", fields["figures"]), cast("list[str]", fields["notes"]))


def say(text: str) -> None:
    """A progress line."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
