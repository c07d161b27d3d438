"""What may go, and what has to stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from docstore.history import retention
from docstore.history.retention import State

NOW = datetime(2026, 9, 1, 12, 34, tzinfo=UTC)
OLD, BEFORE, YOUNG = NOW - timedelta(days=40), NOW - timedelta(days=30), NOW - timedelta(days=1)


def commit(number: int) -> UUID:
    return UUID(int=number)


def test_what_something_leads_to_stays() -> None:
    made = {commit(number): OLD for number in range(1, 7)}
    # 1 - 2 - 3 - 4, and 5 - 6 from 2 on; 4 is a tag's.
    parents = [(2, 1), (3, 2), (4, 3), (5, 2), (6, 5)]
    pairs = [(commit(child), commit(parent)) for child, parent in parents]
    drop = retention.judge_commits(made, pairs, [commit(4)], BEFORE).drop
    assert drop == [commit(6), commit(5)]
    assert retention.judge_commits(made, pairs, [commit(4), commit(6)], BEFORE) == ([], None)
    assert len(retention.judge_commits(made, pairs, [], BEFORE).drop) == 6


def test_what_is_young_keeps_what_it_descends_from() -> None:
    made = {commit(1): OLD, commit(2): OLD, commit(3): YOUNG, commit(4): OLD}
    pairs = [(commit(3), commit(2)), (commit(2), commit(1))]
    assert retention.judge_commits(made, pairs, [], BEFORE) == ([commit(4)], YOUNG)
    # Something leads to it: then nothing has to be looked at again.
    assert retention.judge_commits(made, pairs, [commit(3)], BEFORE) == ([commit(4)], None)


@given(st.data())
def test_no_commit_loses_a_parent(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    times = data.draw(st.lists(st.sampled_from([OLD, YOUNG]), min_size=count, max_size=count))
    made = {commit(number): at for number, at in enumerate(times, 1)}
    pairs = [
        (commit(child), commit(data.draw(st.integers(1, child - 1))))
        for child in range(2, count + 1)
        if data.draw(st.booleans())
    ]
    roots = data.draw(st.lists(st.sampled_from(sorted(made)), max_size=3))
    drop = retention.judge_commits(made, pairs, roots, BEFORE).drop
    assert not {*drop} & {*roots}
    assert all(made[each] is OLD for each in drop)
    for child, parent in pairs:
        assert parent not in drop or child in drop
        if parent in drop:
            assert drop.index(child) < drop.index(parent)


def test_states_go_from_the_leaves_on() -> None:
    states = [State(1, None, OLD), State(2, 1, OLD), State(3, 1, OLD), State(4, 3, OLD)]
    assert retention.judge_states(states, {3}, BEFORE) == ([4, 2], None)
    assert retention.judge_states(states, {2, 4}, BEFORE) == ([], None)
    assert retention.judge_states(states, set(), BEFORE) == ([4, 3, 2, 1], None)
    young = [*states, State(5, 4, YOUNG)]
    assert retention.judge_states(young, set(), BEFORE) == ([2], YOUNG)
    assert retention.judge_states(young, {5}, BEFORE) == ([2], None)


def test_an_hour_ends_with_its_end() -> None:
    hour = datetime(2026, 9, 1, 12, tzinfo=UTC)
    second = timedelta(microseconds=1)
    assert retention.hour_of(hour) == hour
    assert retention.hour_of(hour + second) == hour + timedelta(hours=1)
    assert retention.hour_of(hour + timedelta(hours=1)) == hour + timedelta(hours=1)


def test_detail_goes_by_days_or_never() -> None:
    month = timedelta(days=30)
    assert retention.Rules(month, None).thin_before(NOW) is None
    found = retention.Rules(month, month).thin_before(NOW)
    assert found == datetime(2026, 8, 2, tzinfo=UTC)
    assert retention.Rules(month, None).drop_before(NOW) == NOW - month
