"""Turns measured figures into tables: medians, ratios, targets, and whether they are met.

Knows the cases and the figures; starts nothing. The document keeps its prose: only what stands
between the two markers is replaced.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from benchmarks.cases import CASES, Case, Goal, Row, Unit
from benchmarks.load import stats
from benchmarks.servers import HOCUSPOCUS, SYNCSPHERE, Y_WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
RESULTS = Path(__file__).parent / "results" / "latest.json"
BEGIN, END = "<!-- results: written by python -m benchmarks -->", "<!-- end of results -->"
PEERS = (Y_WEBSOCKET, HOCUSPOCUS)


class Measured(TypedDict):
    """One case as it was measured: every round's figures, by server and figure name."""

    quick: bool
    stand_in: bool
    """Measured on a stand-in for the recorded session, to which the targets do not apply."""
    rounds: int
    numbers: dict[str, float]
    figures: dict[str, dict[str, list[float | None]]]
    notes: list[str]
    failures: list[str]


class Results(TypedDict):
    """The results file."""

    machine: dict[str, str]
    cases: dict[str, Measured]


def cell(unit: Unit, values: Sequence[float]) -> str:
    """The median, in the row's unit; a dash when there is none."""
    value = stats.median([one for one in values if not math.isnan(one)])
    if math.isnan(value):
        return "-"
    return f"{value / unit.per:,.{unit.digits}f} {unit.name}".strip()


def table(case: Case, measured: Measured) -> str:
    """One case as a Markdown section."""
    lines = [
        f"### {case.title}",
        "",
        f"`--case {case.name}`",
        "",
        "| | y-websocket | Hocuspocus | SyncSphere | x y-websocket | x Hocuspocus | target | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(row, measured) for row in case.rows if _any(row, measured)]
    remarks = [*measured["notes"], *(f"failed: {text}" for text in measured["failures"])]
    if measured["quick"]:
        remarks.insert(0, "quick run: one short round")
    if remarks:
        lines += ["", *(f"* {remark}" for remark in remarks)]
    return "\n".join(lines) + "\n"


def write(measured: Mapping[str, Measured], facts: dict[str, str]) -> None:
    """Merge into the results file, and put the tables of all of it into the document."""
    results: Results = {"machine": facts, "cases": {}}
    if RESULTS.exists():
        earlier = cast("Results", json.loads(RESULTS.read_text()))
        # Figures of another machine or of other versions do not belong beside these.
        if earlier["machine"] == facts:
            results["cases"].update(earlier["cases"])
    results["cases"].update(measured)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(_plain(results), indent=1, sort_keys=True) + "\n")
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCUMENT.write_text(head + BEGIN + "\n\n" + _sections(results) + "\n" + END + tail)


def _sections(results: Results) -> str:
    known = [case for case in CASES if case.name in results["cases"]]
    facts = "; ".join(f"{name} {value}" for name, value in results["machine"].items())
    parts = [f"Measured on: {facts}.\n", _summary(known, results)]
    parts += [table(case, results["cases"][case.name]) for case in known]
    return "\n".join(parts)


def _summary(known: Sequence[Case], results: Results) -> str:
    """All targets in one table, and what is missed in one list."""
    lines = ["| case | figure | SyncSphere | target | met |", "|---|---|---|---|---|"]
    missed: list[str] = []
    losses: list[str] = []
    for case in known:
        measured = results["cases"][case.name]
        for row, goal in ((one, goal) for one in case.rows for goal in one.goals):
            met = _met(row, goal, measured)
            shown, target = _shown(row, goal, measured), _target(row, goal)
            if met == "NO":
                missed.append(f"* {case.title}: {row.label} {shown}, to reach {target}.")
            if row.figure == "lost":
                losses.append(met)
            else:
                lines.append(f"| {case.title} | {row.label} | {shown} | {target} | {met} |")
    lost = f"{losses.count('NO')} of {len(losses)} cases lost something"
    verdict = next((one for one in ("NO", "?") if one in losses), "yes")
    lines.append(f"| every case | losses | {lost} | 0 | {verdict} |")
    head = "Missed:\n" if missed else "Nothing is missed."
    return "\n".join([*lines, "", head, *missed]) + "\n"


def _row(row: Row, measured: Measured) -> str:
    cells = [cell(row.unit, _values(measured, name, row)) for name in (*PEERS, SYNCSPHERE)]
    ratios = [_times(_ratio(measured, row, peer)) for peer in PEERS]
    targets = "; ".join(_target(row, goal) for goal in row.goals)
    met = "; ".join(_met(row, goal, measured) for goal in row.goals)
    return f"| {row.label} | " + " | ".join((*cells, *ratios, targets, met)) + " |"


def _target(row: Row, goal: Goal) -> str:
    if goal.peer:
        return f"{goal.sign} {goal.bound:g}x {goal.peer}"
    bound = goal.bound / row.unit.per
    return f"{goal.sign} {bound:g} {row.unit.name}".strip()


def _shown(row: Row, goal: Goal, measured: Measured) -> str:
    if goal.peer:
        return f"{_times(_ratio(measured, row, goal.peer))} {goal.peer}"
    return cell(row.unit, _values(measured, SYNCSPHERE, row))


def _met(row: Row, goal: Goal, measured: Measured) -> str:
    """Yes or NO; a question mark when it was not measured. A loss in any round counts."""
    values = _values(measured, SYNCSPHERE, row)
    if goal.bound and measured["stand_in"]:
        return "?"
    if goal.peer:
        value = _ratio(measured, row, goal.peer)
    elif goal.bound == 0 and values:
        value = max(values)
    else:
        value = stats.median(values)
    if math.isnan(value):
        return "?"
    return "yes" if (value >= goal.bound if goal.sign == "≥" else value <= goal.bound) else "NO"


def _ratio(measured: Measured, row: Row, peer: str) -> float:
    """SyncSphere's median over the peer's."""
    ours = stats.median(_values(measured, SYNCSPHERE, row))
    theirs = stats.median(_values(measured, peer, row))
    if row.unit.name in ("", "x") or not theirs:
        return math.nan
    return ours / theirs


def _times(ratio: float) -> str:
    return "" if math.isnan(ratio) else f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.1f}x"


def _values(measured: Measured, server: str, row: Row) -> list[float]:
    values = measured["figures"].get(server, {}).get(row.figure, [])
    return [value for value in values if value is not None and not math.isnan(value)]


def _any(row: Row, measured: Measured) -> bool:
    return any(_values(measured, name, row) for name in (*PEERS, SYNCSPHERE))


def _plain(results: Results) -> Results:
    """Figures rounded to six significant digits, NaN as null: a file that diffs well."""

    def value(one: float | None) -> float | None:
        return None if one is None or math.isnan(one) else float(f"{one:.6g}")

    for case in results["cases"].values():
        for figures in case["figures"].values():
            for name, values in figures.items():
                figures[name] = [value(one) for one in values]
    return results
