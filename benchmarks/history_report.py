"""The table of `benchmarks.history`: figures, targets, and whether they are met. Starts nothing.

The page keeps its prose: only what stands between the two markers is replaced.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks-history.md"
BEGIN, END = "<!-- results: written by python -m benchmarks.history -->", "<!-- end of results -->"


class Figure(NamedTuple):
    """One row."""

    label: str
    shown: str
    target: str = ""
    met: bool | None = None
    """None: nobody set a target."""


def times(
    label: str,
    taken: Sequence[float],
    *,
    p50: float | None = None,
    p99: float | None = None,
    most: bool = False,
) -> list[Figure]:
    """What half of some times in seconds keep, and nearly all; targets in milliseconds.

    most: the longest, too.
    """
    ordered = sorted(1e3 * each for each in taken)
    if not ordered:
        return [Figure(label, "-")]
    rows: list[Figure] = []
    shown = {
        "p50": (statistics.median(ordered), p50),
        "p99": (ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], p99),
    }
    if most:
        shown["most"] = ordered[-1], None
    for name, (value, target) in shown.items():
        goal = "" if target is None else f"< {target:g} ms"
        met = None if target is None else value < target
        rows.append(Figure(f"{label}, {name}", f"{value:.1f} ms", goal, met))
    return rows


def table(figures: Sequence[Figure], load: tuple[float, float]) -> str:
    """All of it in Markdown. load: of the machine, before and after."""
    facts = "; ".join(f"{name} {value}" for name, value in machine.facts().items())
    lines = [
        f"Measured on: {facts}. Load of the machine: {load[0]:.1f} before, {load[1]:.1f} after.",
        "",
        "| figure | measured | target | met |",
        "|---|---|---|---|",
    ]
    said = {True: "yes", False: "NO", None: ""}
    lines += [f"| {row.label} | {row.shown} | {row.target} | {said[row.met]} |" for row in figures]
    missed = [row.label for row in figures if row.met is False]
    lines += ["", f"Missed: {'; '.join(missed)}." if missed else "Nothing is missed."]
    return "\n".join(lines) + "\n"


def write(text: str) -> None:
    """Put the table into the page."""
    head, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}")
