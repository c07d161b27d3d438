"""A thinned journal tells the same story from hour to hour, in fewer rows."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pycrdt
from hypothesis import given, settings
from hypothesis import strategies as st

from docstore.history import content, replay, retention, rollback, thinning
from docstore.history.reach import reach
from docstore.segments import Row
from tests.unit.docstore import writers
from tests.unit.docstore.history.journals import ANNA, BERT, CARL, START

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

HOUR = timedelta(hours=1)


def said(base: bytes | None, rows: Sequence[replay.Row], until: datetime) -> content.Content:
    return content.read(replay.state_at(base, rows, until))


def letters(text: str, client: int, *, minutes: float, author: int = 0) -> list[Row]:
    who = (ANNA, BERT, CARL)[author]
    return [
        Row(at, who, update, START + timedelta(minutes=minutes * at))
        for at, update in enumerate(writers.typed(text, client=client))
    ]


def test_an_hour_of_one_author_becomes_one_row() -> None:
    rows = letters("hello world", 7, minutes=12)  # 12:00, 12:12, … 14:00
    thinned = thinning.thin(None, rows, {row.seq for row in rows})
    # 12:00 belongs to the hour before, 13:00 and 14:00 to the hours that they end.
    assert [(row.seq, row.created_at) for row in thinned] == [
        (0, START),
        (5, START + HOUR),
        (10, START + 2 * HOUR),
    ]
    assert sum(len(row.payload) for row in thinned) < sum(len(row.payload) for row in rows)
    for hours in range(4):
        until = START + hours * HOUR
        assert said(None, thinned, until) == said(None, rows, until)


def test_others_rows_are_left_as_they_are() -> None:
    rows = letters("hello world", 7, minutes=1)
    thinned = thinning.thin(None, rows, {0, 1, 2, 3, 4})
    assert [row.seq for row in thinned] == [0, 4]
    assert thinned[0].payload == rows[0].payload


def test_two_who_type_at_the_same_time_become_two_rows() -> None:
    """Each builds upon the other again and again, so that neither row can be applied whole."""
    docs: dict[UUID, pycrdt.Doc[Any]] = {
        who: pycrdt.Doc(client_id=number) for number, who in enumerate((ANNA, BERT), 5)
    }
    rows: list[Row] = []
    for at in range(40):
        who = (ANNA, BERT)[at % 2]
        emitted: list[bytes] = []
        subscription = docs[who].observe(lambda event, into=emitted: into.append(event.update))
        text: pycrdt.Text = docs[who].get("t", type=pycrdt.Text)
        text.insert(at // 2, "ab"[at % 2])
        docs[who].unobserve(subscription)
        for update in emitted:
            rows.append(Row(at, who, update, START + timedelta(seconds=at + 1)))
            for other in docs.values():
                other.apply_update(update)
    thinned = thinning.thin(None, rows, range(40))
    assert [(row.seq, row.author) for row in thinned] == [(38, ANNA), (39, BERT)]
    assert said(None, thinned, START + HOUR) == said(None, rows, START + HOUR)
    assert said(None, thinned, START) == {}


def test_what_waits_stays_as_it_came() -> None:
    a, b, c, d = writers.typed("abcd", client=7)
    rows = [
        Row(at, ANNA, update, START + timedelta(minutes=at)) for at, update in enumerate([a, c])
    ]
    assert [row.payload for row in thinning.thin(None, rows, {0, 1})] == [a, c]
    # With what it waited for two hours later: until then it does not show.
    rows += [Row(2, ANNA, b, START + 2 * HOUR), Row(3, BERT, d, START + 3 * HOUR)]
    thinned = thinning.thin(None, rows, {0, 1, 2, 3})
    for hours in range(5):
        until = START + hours * HOUR
        assert said(None, thinned, until) == said(None, rows, until)


def test_what_was_sent_twice_is_kept_once() -> None:
    rows = letters("hello", 7, minutes=1)
    again = [Row(10 + row.seq, BERT, row.payload, row.created_at + HOUR) for row in rows]
    thinned = thinning.thin(None, rows + again, {row.seq for row in rows + again})
    assert {row.author for row in thinned} == {ANNA}
    assert said(None, thinned, START + 3 * HOUR) == said(None, rows, START + 3 * HOUR)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), based=st.booleans())
def test_every_full_hour_stays_what_it_was(seed: int, based: bool) -> None:
    """Whoever writes what, in whatever order it arrives, late or twice."""
    random = Random(seed)
    crew = [writers.Writer(number, random) for number in (1, 2, 3)]
    base = None
    if based:
        for one in crew[:1]:
            for _ in range(10):
                one.edit()
            base = one.doc.get_update()
        for one in crew[1:]:
            one.receive(base or b"\x00\x00")
    made: list[tuple[int, bytes]] = []
    for _ in range(random.randint(1, 60)):
        who = random.randrange(3)
        edit = crew[who].edit()
        if edit is None:
            continue
        made.append((who, edit.data))
        for other in crew:
            if other is not crew[who] and random.random() < 0.8:
                other.receive(edit.data)
    if random.random() < 0.5:
        for _ in range(random.randint(0, 5)):
            at = random.randrange(len(made) + 1)
            made.insert(at, random.choice(made) if made else (0, b"\x00\x00"))
    if random.random() < 0.5:
        for _ in range(random.randint(0, 3)):
            if made:
                made.insert(random.randrange(len(made)), made.pop(random.randrange(len(made))))
    rows: list[Row] = []
    now = START
    for at, (who, update) in enumerate(made):
        now += timedelta(minutes=random.choice([0, 1, 7, 20, 60]))
        # Times are nearly, not quite, in the order of the numbers.
        skew = timedelta(seconds=random.choice([0, 0, 0, -90]))
        rows.append(Row(at * 3, (ANNA, BERT, None)[who], update, now + skew))
    chosen = {row.seq for row in rows if random.random() < 0.9}
    left = [row for row in rows if row.seq not in chosen]
    thinned = sorted([*left, *thinning.thin(base, rows, chosen)], key=lambda row: row.seq)
    assert len({row.seq for row in thinned}) == len(thinned) <= len(rows)
    until = retention.hour_of(START) - HOUR
    while until <= now + HOUR:
        assert said(base, thinned, until) == said(base, rows, until)
        until += HOUR
    known = {row.author for row in rows}
    assert {row.author for row in thinned} <= known
    # What is thin already is not thinned again.
    again = thinning.thin(base, thinned, {row.seq for row in thinned if row.seq in chosen})
    assert len(again) <= len([row for row in thinned if row.seq in chosen])


def test_what_a_rollback_took_back_is_known_from_what_is_left() -> None:
    rng = Random(1)
    base, rows, made = rolled_back(rng)
    thinned = thinning.thin(base, rows, {row.seq for row in rows}, [made])
    assert len(thinned) < len(rows)
    before, after = (
        content.read(
            rollback.undone(
                base,
                told,
                by=[ANNA],
                since=START,
                until=START + 2 * HOUR,
                entities=None,
                now_state=replay.state_at(base, told, START + 2 * HOUR),
                earlier=[made],
            )
        )
        for told in (rows, thinned)
    )
    assert after == before
    # Joined with its neighbours, nobody knows it, and what had been put back comes back twice.
    joined = thinning.thin(base, rows, {row.seq for row in rows})
    assert len(joined) < len(thinned)


def rolled_back(rng: Random) -> tuple[bytes, list[Row], rollback.Earlier]:
    """Somebody deletes and types within an hour, takes a part of that back, and goes on typing."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=7)
    notes = doc.get("notes", type=pycrdt.Text)
    notes += "one two three four"
    base = doc.get_update()
    rows: list[Row] = []

    def edit() -> None:
        before = doc.get_state()
        at = rng.randrange(len(str(notes)))
        if rng.random() < 0.5:
            del notes[at]
        else:
            notes.insert(at, rng.choice("xyz"))
        add(doc.get_update(before))

    def add(update: bytes) -> None:
        minutes = timedelta(minutes=1 + 2 * len(rows))
        rows.append(Row(len(rows), ANNA, update, START + minutes))

    for _ in range(6):
        edit()
    since = rows[2].created_at
    until = rows[-1].created_at
    state = doc.get_update()
    wanted = rollback.undone(
        base, rows, by=[ANNA], since=since, until=until, entities=None, now_state=state
    )
    update = reach(state, wanted, client_id=99)
    assert update is not None
    doc.apply_update(update)
    add(update)
    for _ in range(6):
        edit()
    return base, rows, rollback.Earlier(99, ANNA, since, until, None)
