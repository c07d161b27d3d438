"""The graph of commits as a picture: SVG that stands alone, in light and in dark, readable aloud.

Messages and names are other people's: what would steer is escaped (`render.clean`), then what XML
would take for markup. No script, no reference to anything outside. Pure.
"""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from docstore.history import dag
from docstore.history.render import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from docstore.history.dag import Line

_ROW: Final = 44
_COLUMN: Final = 18
_MARGIN: Final = 22
"""Pixels: from commit to commit, from line to line, around all."""

_TEXT: Final = 560
"""Pixels for what is said of a commit."""

_LETTER: Final = 7.3
"""Pixels of a letter of the labels; those of Chinese and its like have twice as many."""

_LONGEST_MESSAGE: Final = 70
_LONGEST_LABEL: Final = 24
_LONGEST_AUTHOR: Final = 100
_MOST_LABELS: Final = 4
_COLOURS: Final = 8
"""Of lines; then they begin again."""

# Each of the first row has a contrast of at least 4.5 to white, of the second to the dark ground.
_LIGHT: Final = ("0b63ce", "b3261e", "0f7b3e", "8e4ec6", "9a6700", "0e7490", "be185d", "4d5b6b")
_DARK: Final = ("6cb0ff", "ff8a80", "5fd38a", "c99cf5", "e3b341", "4fd1e0", "ff86b8", "a9b6c6")


class Label(NamedTuple):
    """A name that stands at a commit."""

    kind: Literal["branch", "tag"]
    name: str


class Dot(NamedTuple):
    """A commit as the picture shows it."""

    id: UUID
    parents: Sequence[UUID]
    at: datetime
    """In UTC."""
    message: str
    labels: Sequence[Label] = ()
    author: str | None = None
    """What who made it is called; None where that is not told."""


def initials(name: str) -> str:
    """One or two letters for somebody: of `ada.lovelace` AL, of `ada` AD."""
    words = [word for word in "".join(c if c.isalnum() else " " for c in name).split() if word]
    letters = "".join(word[0] for word in words[:2]) if len(words) > 1 else "".join(words)[:2]
    return letters.upper()[:4]


def draw(dots: Sequence[Dot], *, name: str, more: bool) -> str:
    """A page of commits, youngest first, every commit before its parents.

    name: of the project. more: older ones follow on another page; lines lead there, dashed.
    """
    graph = {dot.id: dot.parents for dot in dots}
    lines = dag.lanes(graph, graph)
    columns = 1 + max((max(_columns(line)) for line in lines), default=0)
    begin = _MARGIN + columns * _COLUMN
    width, height = begin + _TEXT, 2 * _MARGIN + _ROW * len(dots)
    title = _escaped(f"History of {clean(name, 100)}")
    said = _counted(len(dots), more=more)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="group" aria-labelledby="title said">',
        f'<title id="title">{title}</title><desc id="said">{said}</desc>',
        f"<style>{_STYLE}</style>",
        '<rect class="ground" width="100%" height="100%"/>',
        f'<g class="line" aria-hidden="true">{"".join(_paths(dots, lines, more=more))}</g>',
        '<g role="list">',
        *(
            _commit(dot, line.column, begin, _y(at))
            for at, (dot, line) in enumerate(zip(dots, lines, strict=True))
        ),
        "</g></svg>\n",
    ]
    return "\n".join(parts)


def _columns(line: Line) -> tuple[int, ...]:
    return (line.column, *line.joining, *line.parents, *line.passing)


def _counted(number: int, *, more: bool) -> str:
    if not number:
        return "There are no commits yet."
    commits = "1 commit" if number == 1 else f"{number} commits"
    return f"{commits}, the youngest first" + ("; there are older ones." if more else ".")


# ---------------------------------------------------------------- lines


def _paths(dots: Sequence[Dot], lines: Sequence[Line], *, more: bool) -> Iterator[str]:
    """From each row to the next: lines that go by, and those from a commit to its parents."""
    known = {dot.id for dot in dots}
    for at, line in enumerate(lines):
        top, bottom = _y(at), _y(at + 1)
        below = lines[at + 1] if at + 1 < len(lines) else None
        for column in line.passing:
            yield _path(column, top, _end(column, below), bottom, column)
        for column in line.parents:
            # A line that bends has the colour of the further of the two columns.
            yield _path(line.column, top, _end(column, below), bottom, max(column, line.column))
        if more and any(parent not in known for parent in dots[at].parents):
            x = _x(line.column)
            yield (f'<path class="c{line.column % _COLOURS} on" d="M{x} {top}V{top + _ROW // 2}"/>')


def _end(column: int, below: Line | None) -> int:
    """The column in which a line arrives one row further down."""
    return below.column if below is not None and column in below.joining else column


def _path(start: int, top: int, end: int, bottom: int, colour: int) -> str:
    x, to, half = _x(start), _x(end), (top + bottom) // 2
    way = f"V{bottom}" if x == to else f"C{x} {half} {to} {half} {to} {bottom}"
    return f'<path class="c{colour % _COLOURS}" d="M{x} {top}{way}"/>'


def _x(column: int) -> int:
    return _MARGIN + column * _COLUMN


def _y(row: int) -> int:
    return _MARGIN + row * _ROW + _ROW // 2


# ---------------------------------------------------------------- what is said


def _commit(dot: Dot, column: int, begin: int, y: int) -> str:
    first, *others = dot.message.splitlines() or [""]
    message = clean(first, _LONGEST_MESSAGE) + (" …" if others else "")
    facts = [f"{dot.at:%Y-%m-%d %H:%M} UTC"]
    known = [*facts, str(dot.id)]
    if dot.author is not None:
        facts += filter(None, [clean(initials(dot.author), 8)])
        known.insert(0, clean(dot.author, _LONGEST_AUTHOR))
    full = f"{clean(dot.message, 500)} ({', '.join(known)})"
    merge = " merge" if len(dot.parents) > 1 else ""
    colour = column % _COLOURS
    labels, after = _labels(dot.labels, begin, y - 9)
    return (
        f'<g role="listitem"><title>{_escaped(full)}</title>'
        f'<circle class="c{colour} dot{merge}" cx="{_x(column)}" cy="{y}" r="6"/>'
        f"{labels}"
        f'<text class="said" x="{after}" y="{y - 4}">{_escaped(message)}</text>'
        f'<text class="facts" x="{begin}" y="{y + 13}">{_escaped(" · ".join(facts))}</text></g>'
    )


def _labels(labels: Sequence[Label], x: float, y: int) -> tuple[str, float]:
    """The labels side by side from `x` on, and where the text begins after them."""
    shown = [(label.kind, clean(label.name, _LONGEST_LABEL)) for label in labels[:_MOST_LABELS]]
    if len(labels) > _MOST_LABELS:
        shown.append(("tag", f"+{len(labels) - _MOST_LABELS}"))
    parts: list[str] = []
    for kind, name in shown:
        width = round(_width(name) + 12, 1)
        parts.append(
            f'<rect class="label {kind}" x="{x}" y="{y - 6}" width="{width}" height="17" rx="4"/>'
            f'<text class="name" x="{x + 6}" y="{y + 6}" textLength="{width - 12}"'
            f' lengthAdjust="spacingAndGlyphs">{_escaped(name)}</text>'
        )
        x = round(x + width + 5, 1)
    return "".join(parts), x


def _width(text: str) -> float:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return (len(text) + wide) * _LETTER


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)


def _rules(colours: Sequence[str]) -> str:
    return "".join(f".c{at}{{stroke:#{colour}}}" for at, colour in enumerate(colours))


_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#1b1f24}.facts{fill:#57606a;font-size:12px}"
    ".name{font:600 12px ui-monospace,monospace;fill:#1b1f24}.ground{fill:#fff}"
    ".line path{fill:none;stroke-width:2}.on{stroke-dasharray:2 4}.dot{fill:#fff;stroke-width:3}"
    ".merge{stroke-width:6}.label{stroke-width:1}.branch{fill:#ddf4e4;stroke:#0f7b3e}"
    ".tag{fill:#fff3cd;stroke:#9a6700}" + _rules(_LIGHT) + "@media(prefers-color-scheme:dark){"
    "text,.name{fill:#e6edf3}.facts{fill:#9aa6b2}.ground,.dot{fill:#0d1117}"
    ".branch{fill:#12321f;stroke:#5fd38a}.tag{fill:#3a2d05;stroke:#e3b341}" + _rules(_DARK) + "}"
)


def labels_by_commit(
    heads: Sequence[tuple[str, UUID | None]], tags: Sequence[tuple[str, UUID]]
) -> Mapping[UUID, list[Label]]:
    """What stands at which commit, branches before tags. heads: names with newest commits."""
    found: dict[UUID, list[Label]] = {}
    for name, head in heads:
        if head is not None:
            found.setdefault(head, []).append(Label("branch", name))
    for name, commit in tags:
        found.setdefault(commit, []).append(Label("tag", name))
    return found
