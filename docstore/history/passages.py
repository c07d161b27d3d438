"""Texts as runs: what to write, to delete and to format so that one becomes another. Pure.

Places in a text count as pycrdt counts them: bytes of UTF-8, and one for each thing embedded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from docstore.history import align
from docstore.history.content import Plain, Run, node_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from docstore.history.content import Node

_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")
"""Texts are compared by words: letter by letter, strangers' words are found in one another."""


def words(runs: Iterable[Run]) -> Iterator[Run]:
    """The same text in runs of one word each, or what is between words."""
    for run in runs:
        if isinstance(run.insert, str):
            yield from (Run(word, run.attributes) for word in _WORDS.findall(run.insert))
        else:
            yield run


class Replace(NamedTuple):
    """Delete so much at a place, and write this instead."""

    at: int
    length: int
    runs: list[Run]


class Within(NamedTuple):
    """Change something embedded inside."""

    ordinal: int
    """How many things are embedded before it."""
    have: Node
    want: Node


Edit: TypeAlias = "Replace | Within"

Piece: TypeAlias = "str | bytes"
"""A word, or the digest of something embedded."""


def size(runs: Sequence[Run]) -> int:
    """How much room runs take."""
    return sum(_size(run.insert) for run in runs)


def _size(insert: str | Node) -> int:
    return len(insert.encode()) if isinstance(insert, str) else 1


class _Split(NamedTuple):
    """A text in tokens."""

    tokens: list[Piece]
    embedded: dict[int, int]
    """Token to run, for what is embedded."""
    order: dict[int, int]
    """Token to how many are embedded before it."""
    units: list[int]
    """Where each token begins, and the last one ends, in characters."""


def _split(runs: Sequence[Run]) -> _Split:
    tokens: list[Piece] = []
    embedded: dict[int, int] = {}
    text = ""
    for index, run in enumerate(runs):
        if isinstance(run.insert, str):
            text += run.insert  # words go on where the formatting changes
            continue
        tokens += _WORDS.findall(text)
        text = ""
        embedded[len(tokens)] = index
        tokens.append(node_digest(run.insert))
    tokens += _WORDS.findall(text)
    order = {token: at for at, token in enumerate(embedded)}
    return _Split(tokens, embedded, order, [0, *accumulate(map(_units, tokens))])


def _units(token: Piece) -> int:
    return len(token) if isinstance(token, str) else 1


def edits(have: Sequence[Run], want: Sequence[Run]) -> list[Edit]:
    """What to change, from left to right, but for the formatting of what stays."""
    mine, wanted = _split(have), _split(want)
    found: list[Edit] = []
    cut = _Cutter(want)
    place, token = 0, 0
    for change in align.changes(mine.tokens, wanted.tokens):
        place += _room(mine.tokens[token : change.start])
        token = change.start
        olds = [
            have[mine.embedded[at]].insert if at in mine.embedded else ""
            for at in range(*change[:2])
        ]
        news = [
            want[wanted.embedded[at]].insert if at in wanted.embedded else ""
            for at in range(*change[2:])
        ]
        borders = [(-1, -1), *align.pairs(olds, news), (len(olds), len(news))]
        for (i, j), (stop, end) in pairwise(borders):
            piece = align.Change(
                change.start + i + 1, change.start + stop, change.begin + j + 1, change.begin + end
            )
            replaced = _replaced(mine, wanted, piece, place, cut)
            if replaced is not None:
                found.append(replaced)
            place += _room(mine.tokens[piece.start : piece.stop])
            if stop < len(olds):
                old, new = olds[stop], news[end]
                if not isinstance(old, str) and not isinstance(new, str):
                    found.append(Within(mine.order[piece.stop], old, new))
                place += 1
        token = change.stop
    return found


def _room(tokens: Sequence[Piece]) -> int:
    return sum(len(token.encode()) if isinstance(token, str) else 1 for token in tokens)


def _replaced(
    mine: _Split, wanted: _Split, piece: align.Change, place: int, cut: _Cutter
) -> Replace | None:
    """The piece of a change, without the letters that stay at its ends."""
    olds, news = mine.tokens[piece.start : piece.stop], wanted.tokens[piece.begin : piece.end]
    if not olds and not news:
        return None
    length = _room(olds)
    begin, end = wanted.units[piece.begin], wanted.units[piece.end]
    if not any(isinstance(token, bytes) for token in [*olds, *news]):
        old = "".join(token for token in olds if isinstance(token, str))
        new = "".join(token for token in news if isinstance(token, str))
        head, tail = align.common(old, new)
        first, last = len(old[:head].encode()), len(old[len(old) - tail :].encode())
        place, length = place + first, length - first - last
        begin, end = begin + head, end - tail
    return Replace(place, length, cut(begin, end))


class _Cutter:
    """Gives pieces of runs, by characters."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._ends = [*accumulate(_length(run) for run in runs)]

    def __call__(self, begin: int, end: int) -> list[Run]:
        found: list[Run] = []
        at = bisect_right(self._ends, begin)
        while begin < end and at < len(self._runs):
            run = self._runs[at]
            stop = min(end, self._ends[at])
            if isinstance(run.insert, str):
                start = self._ends[at] - len(run.insert)
                found.append(Run(run.insert[begin - start : stop - start], run.attributes))
            else:
                found.append(run)
            begin, at = stop, at + 1
        return found


def _length(run: Run) -> int:
    return len(run.insert) if isinstance(run.insert, str) else 1


class Formatting(NamedTuple):
    """Set these at a place, over a length; what is set to null is cleared."""

    at: int
    length: int
    attributes: dict[str, Plain]


def formats(have: Sequence[Run], want: Sequence[Run]) -> list[Formatting]:
    """Where the same text is formatted otherwise, from left to right."""
    found: list[Formatting] = []
    wholes = _Cutter(have), _Cutter(want)
    borders = sorted({0, *_ends(have), *_ends(want)})
    place = 0
    for begin, end in pairwise(borders):
        olds, news = (whole(begin, end) for whole in wholes)
        if len(olds) != 1 or len(news) != 1:
            return found  # not the same text
        old, new = olds[0], news[0]
        length = _size(old.insert)
        attributes = dict.fromkeys(old.attributes.keys() - new.attributes.keys(), Plain(None))
        for key, value in new.attributes.items():
            if old.attributes.get(key) != value:
                attributes[key] = value
        if attributes:
            if (
                found
                and found[-1].at + found[-1].length == place
                and found[-1].attributes == attributes
            ):
                last = found.pop()
                found.append(Formatting(last.at, last.length + length, attributes))
            else:
                found.append(Formatting(place, length, attributes))
        place += length
    return found


def _ends(runs: Sequence[Run]) -> list[int]:
    return [*accumulate(map(_length, runs))]
