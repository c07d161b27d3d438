"""Diffs and logs as text for a terminal.

Names and messages are other people's: what would steer a terminal, or turn the direction of what
is read, is shown as an escape and does nothing. Pure.
"""

from __future__ import annotations

import difflib
import math
import unicodedata
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import msgspec

from docstore.history import align, notes
from docstore.history.content import Plain, SharedMap, SharedText, json_of
from docstore.history.entities import nouns, rank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from docstore.history.content import Node
    from docstore.history.dag import Line
    from docstore.history.diff import Change, ChangeKind, Diff, Field

_SIGNS: Final[Mapping[ChangeKind, str]] = {
    "added": "+",
    "removed": "-",
    "changed": "~",
    "moved": ">",
}
_LONGEST: Final = 60
"""Characters of a name or a value."""

_MOST_FIELDS: Final = 12
_MOST_LINES: Final = 20
"""Fields of one thing, and lines of one text, before the rest is only counted."""

_LONGEST_TEXT: Final = 2_000
"""Lines of a text, between those that are the same at its ends, above which they are not compared
one by one."""

_BAR: Final = 40
"""Signs in the picture of how many notes changed."""

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Kinds of characters that do something instead of being seen."""


def clean(text: str, longest: int = _LONGEST) -> str:
    """A text of somebody else's, on one line, harmless, and not too long."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    if short.isascii() and short.isprintable():
        return short
    return "".join(map(_seen, short))


def _seen(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    return character.encode("unicode_escape").decode("ascii")


# ---------------------------------------------------------------- diffs


def diff_text(found: Diff, *, details: bool = True) -> str:
    """A diff as people read it: the summary, then each thing below the name of its kind.

    Where a note of openDAW is, is counted from the start of what it is played in.
    """
    lines = [_summary(found)]
    by_title: dict[str, list[Change]] = {}
    for change in sorted(found.changes, key=_rank):
        by_title.setdefault(_title(change), []).append(change)
    for title, changes in by_title.items():
        lines += ["", title]
        for change in sorted(changes, key=_place) if title == "notes" else changes:
            lines.append(f"  {_SIGNS[change.kind]} {_headline(change, found.signature)}")
            if details:
                lines += [f"      {line}" for line in _details(change)]
    return "\n".join(lines) + "\n"


def _summary(found: Diff) -> str:
    return clean(found.summary, 500)


def _title(change: Change) -> str:
    return "notes" if change.entity.type == "notes" else nouns(change.entity.type, change.box)[1]


def _rank(change: Change) -> int:
    return rank(change.entity.type, change.box)


def _played(change: Change) -> notes.Pair | None:
    """What is played by a box, if it is a note."""
    if change.box != notes.BOX:
        return None
    return notes.pair(change.before, change.after, notes.of_box)


def _place(change: Change) -> tuple[str, str, notes.Order]:
    """Notes of openDAW by the channel they are in, and there as they are played."""
    played = _played(change)
    if played is None:
        return "", "", notes.FIRST  # all that is played in a segment: these are in order
    holder = change.holder.id if change.holder is not None else ""
    return change.holder_name or "", holder, played.order


def _headline(change: Change, signature: tuple[int, int]) -> str:
    entity = change.entity
    said = clean(change.name if change.name is not None else entity.id)
    played = _played(change)
    if played is not None:
        said = notes.told(played, notes.by_bar(signature))
    elif entity.type == "box":
        said = f"{clean(change.box or 'box')} {said}"
    if change.holder is not None and entity.type != "step":
        said += f" in {clean(change.holder_name or change.holder.id)}"
    if change.counts:
        said += f"  {_bar(change.counts)}"
    return said


def _bar(counts: Mapping[ChangeKind, int]) -> str:
    """`3 added, 10 changed +++~~~~~~~~~~`; every kind has a sign, however few of them there are."""
    total = sum(counts.values())
    scale = min(1.0, _BAR / total)
    words = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    picture = "".join(_SIGNS[kind] * math.ceil(number * scale) for kind, number in counts.items())
    return f"{words} {picture}"


def _details(change: Change) -> Iterator[str]:
    if change.entity.type == "notes" and change.kind in {"added", "removed"}:
        return  # how many is said; each would be too much
    if not change.fields:
        yield from _replaced(change)
        return
    if change.entity.type == "notes":
        fields = sorted(change.fields, key=_note_place)
        said = _note
    else:
        fields = [each for each in change.fields if not _is_in_headline(change, each)]
        said = _field
    for field in fields[:_MOST_FIELDS]:
        yield from said(field)
    if len(fields) > _MOST_FIELDS:
        yield f"… and {len(fields) - _MOST_FIELDS} more"


def _is_in_headline(change: Change, field: Field) -> bool:
    return field.path in notes.TOLD and _played(change) is not None


def _packed(field: Field) -> notes.Pair | None:
    """What is played by one of a segment's notes, if it is one."""
    if len(field.path) > 1:
        return None
    return notes.pair(field.before, field.after, notes.of_list)


def _note_place(field: Field) -> tuple[notes.Order, tuple[tuple[int, str], ...]]:
    played = _packed(field)
    return (notes.FIRST if played is None else played.order), notes.natural(field.name)


def _note(field: Field) -> Iterator[str]:
    """A note of a segment: what it is called, what is played."""
    played = _packed(field)
    if played is None:
        yield from _field(field)
        return
    end = {"added": " (new)", "removed": " (gone)"}.get(field.kind, "")
    yield f"{clean(field.name)}: {notes.told(played, notes.by_tick)}{end}"


def _field(field: Field) -> Iterator[str]:
    name = clean(field.name)
    if isinstance(field.before, SharedText) and isinstance(field.after, SharedText):
        yield f"{name}:"
        yield from _text(field.before, field.after)
    elif field.before is None:
        yield f"{name}: {value(field.after)} (new)"
    elif field.after is None:
        yield f"{name}: {value(field.before)} (gone)"
    else:
        yield f"{name}: {value(field.before)} → {value(field.after)}"


def _replaced(change: Change) -> Iterator[str]:
    before, after = change.before, change.after
    if before is not None and after is not None:
        if isinstance(before, SharedText) and isinstance(after, SharedText):
            yield from _text(before, after)
        elif _is_object(before) and _is_object(after):
            yield from _object(before, after)
        else:
            yield f"{value(before)} → {value(after)}"
        return
    node = before if after is None else after
    if change.entity.type == "box" and isinstance(node, SharedMap):
        return  # its class and name are said; the rest is numbers
    if isinstance(node, SharedMap) and not node.entries:
        return
    yield value(node)


def _is_object(node: Node) -> bool:
    return isinstance(node, Plain) and isinstance(node.value, dict)


def _object(before: Node, after: Node) -> Iterator[str]:
    was, now = json_of(before), json_of(after)
    if not isinstance(was, dict) or not isinstance(now, dict):
        return
    differing = [
        key
        for key in sorted(was.keys() | now.keys())
        if (key in was, was.get(key)) != (key in now, now.get(key))
    ]
    for key in differing[:_MOST_FIELDS]:
        old = _json(was[key]) if key in was else "nothing"
        new = _json(now[key]) if key in now else "nothing"
        yield f"{clean(key)}: {old} → {new}"


def _text(before: SharedText, after: SharedText) -> Iterator[str]:
    was, now = _characters(before).splitlines(), _characters(after).splitlines()
    if was == now:
        yield "its formatting changed"
        return
    head, tail = align.common(was, now)
    begin, end = max(0, head - 1), max(0, tail - 1)  # a line of what is around stays
    was, now = was[begin : len(was) - end], now[begin : len(now) - end]
    if len(was) + len(now) > _LONGEST_TEXT:
        yield f"{len(was)} lines → {len(now)} lines"
        return
    lines = [
        line
        for line in difflib.unified_diff(was, now, lineterm="", n=1)
        if not line.startswith(("---", "+++", "@@"))
    ]
    for line in lines[:_MOST_LINES]:
        yield clean(line, 100)
    if len(lines) > _MOST_LINES:
        yield f"… and {len(lines) - _MOST_LINES} more lines"


def _characters(text: SharedText) -> str:
    return str(json_of(text))


def value(node: Node | None) -> str:
    """A piece of content, short, on one line."""
    return "nothing" if node is None else _json(json_of(node))


def _json(found: object) -> str:
    # Escaped by `clean`, so that letters of every language stay what they are.
    return clean(msgspec.json.encode(found).decode())


# ---------------------------------------------------------------- logs


class LogEntry(NamedTuple):
    """A commit as a log shows it."""

    id: UUID
    at: datetime
    author: str | None
    """Who is not there any more has no name."""
    message: str
    labels: tuple[str, ...] = ()
    """Branches and tags that stand here."""
    summary: str | None = None


Part: TypeAlias = Literal["id", "labels"]
"""What may be told apart by a colour."""


def _as_it_is(text: str, _part: Part) -> str:
    return text


def log_text(
    entries: Iterable[LogEntry],
    lines: Mapping[UUID, Line] | None = None,
    paint: Callable[[str, Part], str] = _as_it_is,
) -> str:
    """Commits, two or three lines each, with the graph on their left if its lines are given.

    paint: gives a part of a line its colour.
    """
    shown: list[str] = []
    width = max((_width(line) for line in lines.values()), default=0) if lines else 0
    for entry in entries:
        line = lines.get(entry.id) if lines else None
        top, below, on = _graph(line, width) if width else ("", "", "")
        labels = f"({', '.join(clean(label) for label in entry.labels)})" if entry.labels else ""
        named = paint(str(entry.id), "id") + (f" {paint(labels, 'labels')}" if labels else "")
        when = entry.at.strftime("%Y-%m-%d %H:%M:%S")
        who = clean(entry.author) if entry.author is not None else "somebody"
        said, *more = entry.message.splitlines() or [""]
        shown.append(f"{top}{named} {when} {who}")
        shown.append(f"{below}    {clean(said, 100)}{' …' if more else ''}".rstrip())
        if entry.summary is not None:
            shown.append(f"{on}    {clean(entry.summary, 200)}".rstrip())
    return "\n".join(shown) + "\n" if shown else ""


def _width(line: Line) -> int:
    return max((line.column, *line.joining, *line.parents, *line.passing)) + 1


def _graph(line: Line | None, width: int) -> tuple[str, str, str]:
    """The commit's own line, the one below it, which leads to its parents, and those that follow.

    `*   `, `|\\  `, `| | `.
    """
    top, below, on = ([" "] * (2 * width) for _ in range(3))
    if line is None:
        return "".join(top), "".join(below), "".join(on)
    for column in line.passing:
        top[2 * column] = below[2 * column] = on[2 * column] = "|"
    for column in line.joining:
        top[2 * column] = "/"
    for column in line.parents:
        on[2 * column] = "|"
        if column == line.column:
            below[2 * column] = "|"
        else:
            _lead(below, line.column, column)
    top[2 * line.column] = "*"
    return "".join(top), "".join(below), "".join(on)


def _lead(signs: list[str], start: int, end: int) -> None:
    """A line from one column to another, behind those that it crosses: `\\_|_`, or `_|_/`."""
    if end > start:
        signs[2 * start + 1] = "\\"
        between = range(2 * start + 2, 2 * end)
    else:
        signs[2 * start - 1] = "/"
        between = range(2 * end + 1, 2 * start - 1)
    for at in between:
        if signs[at] == " ":
            signs[at] = "_"
