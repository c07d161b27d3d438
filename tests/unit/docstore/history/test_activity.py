"""Times of work: every row in one of them, parted by pauses, authors, days and documents."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from docstore.history.activity import Activity, Stroke, activity
from tests.unit.docstore.history.journals import ANNA, BERT, START, at

if TYPE_CHECKING:
    from uuid import UUID

    from docstore.history.activity import Grouping

SECONDS = timedelta(seconds=20)


def stroke(seq: int, author: UUID | None, second: float, size: int = 1, line: int = 0) -> Stroke:
    return Stroke(at(second), seq, author, size, line)


def test_work_is_grouped_by_author_and_pause() -> None:
    strokes = [
        stroke(1, ANNA, 0, 2),
        stroke(2, BERT, 5),
        stroke(3, ANNA, 10),
        stroke(4, ANNA, 31),
        stroke(5, None, 32),
    ]
    assert activity(strokes, SECONDS, "author") == [
        Activity(0, (None,), at(32), at(32), [5], 1),
        Activity(0, (ANNA,), at(31), at(31), [4], 1),
        Activity(0, (ANNA,), at(0), at(10), [1, 3], 3),
        Activity(0, (BERT,), at(5), at(5), [2], 1),
    ]
    assert activity(strokes, SECONDS, "time") == [
        Activity(0, (ANNA, None), at(31), at(32), [4, 5], 2),
        Activity(0, (ANNA, BERT), at(0), at(10), [1, 2, 3], 4),
    ]
    assert [one.numbers for one in activity(strokes, SECONDS, "none")] == [[5], [4], [3], [2], [1]]
    assert activity([], SECONDS, "author") == []


def test_no_group_goes_from_one_day_or_document_to_another() -> None:
    midnight = (START.replace(hour=0) + timedelta(days=1) - START).total_seconds()
    days = [stroke(1, ANNA, midnight - 1), stroke(2, ANNA, midnight), stroke(3, ANNA, midnight + 1)]
    assert [one.numbers for one in activity(days, SECONDS, "author")] == [[2, 3], [1]]
    documents = [stroke(1, ANNA, 0, line=1), stroke(2, ANNA, 1, line=0)]
    assert [one.line for one in activity(documents, SECONDS, "time")] == [0, 1]


GROUPINGS: st.SearchStrategy[Grouping] = st.sampled_from(["author", "time", "none"])


@given(
    st.lists(
        st.tuples(st.sampled_from([ANNA, BERT, None]), st.integers(0, 100), st.integers(0, 9))
    ),
    st.integers(0, 10),
    GROUPINGS,
)
def test_every_row_is_counted_once_and_pauses_part(
    work: list[tuple[UUID | None, int, int]], pause: int, grouping: Grouping
) -> None:
    strokes = [stroke(seq, *each) for seq, each in enumerate(work)]
    found = activity(strokes, timedelta(seconds=pause), grouping)
    assert sorted(seq for one in found for seq in one.numbers) == list(range(len(strokes)))
    assert sum(one.size for one in found) == sum(each.size for each in strokes)
    places = [one.place for one in found]
    assert places == sorted(set(places), reverse=True)
    for one in found:
        for other in found:
            alike = grouping == "time" or (grouping == "author" and one.authors == other.authors)
            if alike and one.start < other.start:
                assert other.start - one.end > timedelta(seconds=pause)
