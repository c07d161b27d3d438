"""A long journal, thinned part by part, tells the same story as when it is thinned at once."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from docstore.history import content, replay, retention, thinning
from docstore.history.retention import Stretch
from docstore.segments import Row
from tests.unit.docstore import writers
from tests.unit.docstore.history.journals import ANNA, BERT, START

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def stretch(number: int, first: float, last: float, *, size: int = 5, due: bool = True) -> Stretch:
    return Stretch(number, START + first * MINUTE, START + last * MINUTE, size, due)


def numbers(parts: Sequence[Sequence[Stretch]]) -> list[list[int]]:
    return [[each.id for each in part] for part in parts]


def test_a_journal_is_parted_by_size() -> None:
    journal = [stretch(at, at, at + 0.5) for at in range(5)]
    assert numbers(retention.parts(journal, 1)) == [[0], [1], [2], [3], [4]]
    assert numbers(retention.parts(journal, 10)) == [[0, 1], [2, 3], [4]]
    assert numbers(retention.parts(journal, 99)) == [[0, 1, 2, 3, 4]]
    assert retention.parts([], 1) == []


def test_times_that_overlap_are_not_parted() -> None:
    # The third reaches back into the first: what was stored late, or with a clock that went back.
    journal = [stretch(0, 0, 9), stretch(1, 9, 12), stretch(2, 8, 20), stretch(3, 20, 30)]
    assert numbers(retention.parts(journal, 1)) == [[0, 1, 2], [3]]


def test_nothing_is_told_behind_what_is_due_last() -> None:
    journal = [stretch(at, at, at + 0.5, due=at in (1, 2)) for at in range(6)]
    assert numbers(retention.parts(journal, 1)) == [[0], [1], [2]]
    assert retention.parts([stretch(0, 0, 1, due=False)], 1) == []


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_every_full_hour_stays_what_it_was(seed: int) -> None:
    """Whoever writes what, late or twice, wherever segments end and whichever of them are due."""
    random = Random(seed)
    rows = journal(random)
    segments: list[list[Row]] = []
    left = rows
    while left:
        length = random.randint(1, 12)
        segments.append(left[:length])
        left = left[length:]
    stretches = [
        Stretch(
            at,
            min(row.created_at for row in part),
            max(row.created_at for row in part),
            sum(len(row.payload) for row in part),
            random.random() < 0.8,
        )
        for at, part in enumerate(segments)
    ]
    parts = retention.parts(stretches, random.choice([1, 100, 10_000]))
    told = {each.id for part in parts for each in part}
    story = [row for at, part in enumerate(segments) if at not in told for row in part]
    state: bytes | None = None
    waiting: list[Row] = []
    for part in parts:
        due = [row for each in part if each.due for row in segments[each.id]]
        others = [row for each in part if not each.due for row in segments[each.id]]
        found = thinning.part(state, [*waiting, *due, *others], {row.seq for row in due}, ())
        story += [*others, *(Row(*row) for row in found.rows)]
        state = found.state
        known = {row.seq: row for row in rows}
        waiting = [known[row.seq] for row in found.waiting]
    assert len({row.seq for row in story}) == len(story) <= len(rows)
    until = retention.hour_of(START) - HOUR
    while until <= rows[-1].created_at + 2 * HOUR:
        now = content.read(replay.state_at(None, story, until))
        assert now == content.read(replay.state_at(None, rows, until))
        until += HOUR


def journal(random: Random) -> list[Row]:
    """Three who write, see most of what the others write, and send some of it late or twice."""
    crew = [writers.Writer(number, random) for number in (1, 2, 3)]
    made: list[tuple[int, bytes]] = []
    while not made or (random.random() < 0.98 and len(made) < 60):
        who = random.randrange(3)
        edit = crew[who].edit()
        if edit is None:
            continue
        made.append((who, edit.data))
        for other in crew:
            if other is not crew[who] and random.random() < 0.8:
                other.receive(edit.data)
    for _ in range(random.randint(0, 3)):
        made.insert(random.randrange(len(made) + 1), random.choice(made))
        made.insert(random.randrange(len(made)), made.pop(random.randrange(len(made))))
    rows: list[Row] = []
    now = START
    for at, (who, update) in enumerate(made):
        now += timedelta(minutes=random.choice([0, 1, 7, 20, 60]))
        skew = timedelta(seconds=random.choice([0, 0, 0, 0, 0, -90]))
        rows.append(Row(at * 3, (ANNA, BERT, None)[who], update, now + skew))
    return rows
