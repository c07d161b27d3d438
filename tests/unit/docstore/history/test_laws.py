"""What holds of every operation on history: of restores, merges, rollbacks and cherry-picks.

Whatever the shared types are, also for those who edit meanwhile and for those who were offline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docstore.history import content, joining
from docstore.history.content import Run, SharedMap, SharedText, joined
from docstore.history.diff import diff
from docstore.history.reach import reach, reach_content
from docstore.history.rollback import undone
from tests.unit.docstore.history import stories
from tests.unit.docstore.history.journals import ANNA, BERT, END, START, Journal
from tests.unit.docstore.history.stories import applied, state_of
from tests.unit.docstore.history.test_diff_properties import patched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from docstore.history.content import Content, Node
    from docstore.history.merge import Strategy

few = settings(max_examples=25, deadline=None)


def edited(state: bytes, wanted: Content, client: int) -> bytes:
    """The update of somebody who makes the document say this, by ordinary edits."""
    return reach_content(state, wanted, client_id=client) or b"\x00\x00"


@st.composite
def edits(draw: st.DrawFn, before: Content) -> Content:
    """What a document may say after somebody worked in some of its roots."""
    other = draw(stories.contents)
    wanted = dict(before)
    for name in draw(st.sets(st.sampled_from(sorted(before.keys() | other.keys() | {"events"})))):
        wanted.pop(name, None)
        if name in other:
            wanted[name] = other[name]
    return wanted


def parts(found: Content) -> dict[tuple[str, ...], Node]:
    """Entries of the roots that are maps, and other roots, by their paths."""
    return {
        path: node
        for name, root in found.items()
        for path, node in (
            [((name, key), entry) for key, entry in root.entries.items()]
            if isinstance(root, SharedMap)
            else [((name,), root)]
        )
    }


# ---------------------------------------------------------------- restore


@few
@given(st.data())
def test_a_restore_is_exact_but_for_what_others_touch_meanwhile(data: st.DataObject) -> None:
    kept = data.draw(stories.contents)
    then = data.draw(edits(kept))
    meanwhile = data.draw(edits(then))
    commit = state_of(kept)
    live = applied(commit, edited(commit, then, 20))
    restore = reach(live, commit, client_id=30) or b"\x00\x00"
    assert content.read(applied(live, restore)) == kept
    edit = edited(live, meanwhile, 21)
    found, same = (
        content.read(applied(live, *order)) for order in ((restore, edit), (edit, restore))
    )
    assert found == same
    before, touched, wanted, now = map(parts, (then, meanwhile, kept, found))
    paths = before.keys() | touched.keys() | wanted.keys() | now.keys()
    others = {path for path in paths if before.get(path) != touched.get(path)}
    for path in paths - others:
        root = path[0]
        # Where one of them makes a root another type, all of it is touched.
        if len({type(each[root]) for each in (then, meanwhile, kept) if root in each}) == 1:
            assert now.get(path) == wanted.get(path)


@few
@given(stories.contents, stories.contents)
def test_a_diff_leads_from_the_first_to_the_second(one: Content, other: Content) -> None:
    assert stories.settled(patched(one, diff(one, other))) == other


# ---------------------------------------------------------------- merge


def merged(base: bytes, ours: bytes, theirs: bytes, strategy: Strategy = "crdt") -> bytes:
    """`ours` after a merge."""
    terms = joining.Terms(77, {}, False)
    sides = joining.Sides(None, None)
    outcome = joining.union((base,), ours, theirs, sides, terms, strategy)
    return applied(ours, outcome.update)


@st.composite
def lines(draw: st.DrawFn, count: int) -> tuple[bytes, list[bytes]]:
    """A state, and what it became on so many branches."""
    before = draw(stories.contents)
    base = state_of(before)
    return base, [
        applied(base, edited(base, draw(edits(before)), client)) for client in range(20, 20 + count)
    ]


@few
@given(lines(2))
def test_a_merge_is_commutative_and_idempotent(found: tuple[bytes, list[bytes]]) -> None:
    base, (one, other) = found
    there, back = merged(base, one, other), merged(base, other, one)
    assert content.read(there) == content.read(back)
    assert content.read(merged(base, there, other)) == content.read(there)
    assert content.read(merged(base, there, back)) == content.read(there)
    outcome = joining.union(
        (base,), there, other, joining.Sides(None, None), joining.Terms(77, {}, False), "crdt"
    )
    assert outcome.update is None


@few
@given(lines(3), st.permutations([0, 1, 2]))
def test_a_merge_is_associative(found: tuple[bytes, list[bytes]], order: list[int]) -> None:
    base, (one, two, three) = found
    left = merged(base, merged(base, one, two), three)
    right = merged(base, one, merged(base, two, three))
    assert content.read(left) == content.read(right)
    first, second, third = (found[1][at] for at in order)
    again = merged(base, merged(base, first, second), third)
    assert content.read(again) == content.read(left)


@few
@given(lines(2))
def test_ours_here_is_theirs_there(found: tuple[bytes, list[bytes]]) -> None:
    base, (one, other) = found
    there = content.read(merged(base, one, other, "ours"))
    assert there == content.read(merged(base, other, one, "theirs"))
    # Whichever side is chosen, the outcome can be merged again, and stays.
    mine = merged(base, one, other, "ours")
    assert content.read(merged(other, mine, other)) == content.read(mine)


# ---------------------------------------------------------------- rollback


@few
@given(st.data())
def test_rollback_of_all_is_restore_to_before(data: st.DataObject) -> None:
    before = data.draw(stories.contents)
    state, now = state_of(before), before
    base, journal = state, Journal()
    for number in range(data.draw(st.integers(1, 4))):
        now = data.draw(edits(now))
        update = edited(state, now, 20 + number % 2)
        journal.add((ANNA, BERT)[number % 2], update)
        state = applied(state, update)
    wanted = rolled_back(base, journal, state)
    assert content.read(wanted) == before
    there, back = (reach(state, each, client_id=30) for each in (wanted, base))
    assert content.read(applied(state, there)) == content.read(applied(state, back)) == before
    # And a rollback of the rollback is the state after.
    if there is not None:
        row = journal.add(None, there)
        after = applied(state, there)
        again = undone(
            base,
            journal.rows,
            by=[None],
            since=row.created_at,
            until=END,
            entities=None,
            now_state=after,
        )
        assert content.read(again) == now


def rolled_back(
    base: bytes, journal: Journal, state: bytes, by: Sequence[UUID] | None = None
) -> bytes:
    return undone(base, journal.rows, by=by, since=START, until=END, entities=None, now_state=state)


# ---------------------------------------------------------------- offline

MARK: Final = "§"
KEY: Final = "offline"


def marked(node: Any) -> Any:
    """With an edit in everything that is found by keys: a key in each map, a sign in each text."""
    match node:
        case SharedMap(entries):
            inner = {key: marked(entry) for key, entry in entries.items()}
            return SharedMap({**inner, KEY: content.Plain(1)})
        case SharedText(runs):
            return SharedText(joined([Run(MARK, {}), *runs]))
        case _:
            return node


def unmarked(node: Any) -> Any:
    match node:
        case SharedMap(entries):
            return SharedMap({key: unmarked(one) for key, one in entries.items() if key != KEY})
        case SharedText(runs):
            return SharedText(
                joined(
                    Run(run.insert.replace(MARK, ""), run.attributes)
                    if isinstance(run.insert, str)
                    else run
                    for run in runs
                )
            )
        case _:
            return node


def check_marks(path: str, sides: Sequence[Any], found: Any) -> None:
    """What is of one type on all sides bears the mark now, and so does what is in it."""
    if not all(type(side) is type(sides[0]) for side in sides):
        return
    match sides[0]:
        case SharedMap():
            assert isinstance(found, SharedMap)
            assert KEY in found.entries, path
            for key in sides[0].entries:
                inner = [side.entries.get(key) for side in sides]
                check_marks(f"{path}/{key}", inner, found.entries.get(key))
        case SharedText():
            assert isinstance(found, SharedText)
            assert MARK in "".join(r.insert for r in found.runs if isinstance(r.insert, str)), path
        case _:
            pass


def restore(base: bytes, live: bytes, _other: bytes) -> bytes | None:
    return reach(live, base, client_id=30)


def merge(base: bytes, live: bytes, other: bytes) -> bytes | None:
    sides, terms = joining.Sides(None, None), joining.Terms(30, {}, False)
    return joining.union((base,), live, other, sides, terms, "theirs").update


def cherry_pick(base: bytes, live: bytes, other: bytes) -> bytes | None:
    sides, terms = joining.Sides(None, None), joining.Terms(30, {}, False)
    return joining.carried(base, other, live, sides, terms, "theirs").update


@pytest.mark.parametrize("operation", [restore, merge, cherry_pick])
@few
@given(lines(2))
def test_who_was_offline_loses_nothing_and_doubles_nothing(
    operation: Callable[[bytes, bytes, bytes], bytes | None], found: tuple[bytes, list[bytes]]
) -> None:
    base, (live, other) = found
    update = operation(base, live, other)
    check_offline(base, live, update, content.read(applied(live, update)))


@few
@given(st.data())
def test_nor_does_a_rollback_take_from_who_was_offline(data: st.DataObject) -> None:
    before = data.draw(stories.contents)
    base = state_of(before)
    one = applied(base, edited(base, data.draw(edits(before)), 20))
    events = before.get("events", SharedMap({}))
    assert isinstance(events, SharedMap)
    more = SharedMap({**events.entries, "bert": data.draw(stories.nodes)})
    other = applied(base, edited(base, {**before, "events": more}, 21))
    # Anna's work is taken back; Bert's, who did not see it, stays.
    journal = Journal()
    journal.add(ANNA, one)
    journal.add(BERT, other)
    live = applied(one, other)
    update = reach(live, rolled_back(base, journal, live, [ANNA]), client_id=30)
    check_offline(base, live, update, content.read(other))


def check_offline(base: bytes, live: bytes, update: bytes | None, after: Content) -> None:
    """Of an operation on `live`; somebody knew only `base`, and edited it."""
    assert content.read(applied(live, update)) == after
    edit = edited(base, {name: marked(node) for name, node in content.read(base).items()}, 31)
    here, there = applied(live, update, edit), applied(base, edit, live, update)
    assert content.read(here) == content.read(there)
    now = content.read(here)
    without = {name: unmarked(node) for name, node in now.items()}
    assert stories.settled(without) == stories.settled(after)
    states = [content.read(base), content.read(live), after]
    for name in states[0]:
        check_marks(name, [each.get(name) for each in states], now.get(name))
