"""What holds of branches that a squash has parted: they merge by content as they would have before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from docstore import crdt
from docstore.history import anew, content, joining, merge
from docstore.history.content import (
    Plain,
    Run,
    SharedArray,
    SharedMap,
    SharedText,
    Subdocument,
    node_digest,
)
from docstore.history.directory import at
from docstore.history.joining import Sides, Terms
from tests.unit.docstore.history import contents, stories
from tests.unit.docstore.history.stories import applied, state_of
from tests.unit.docstore.history.test_laws import edited, edits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docstore.history.content import Content, Node, Path
    from docstore.history.merge import Side, Strategy

NOBODY: Final = Sides(None, None)
some = settings(max_examples=25, deadline=None)


def across(
    base: Sequence[bytes],
    ours: bytes,
    theirs: bytes,
    strategy: Strategy = "crdt",
    *,
    client: int = 77,
    **taken: Side,
) -> joining.Outcome:
    paths: dict[Path, Side] = {("stems", key, "volume"): side for key, side in taken.items()}
    terms = Terms(client, paths, is_preview=False)
    return joining.across(base, ours, theirs, NOBODY, terms, strategy)


def merged(
    base: bytes, ours: bytes, theirs: bytes, strategy: Strategy = "crdt", *, client: int = 77
) -> bytes:
    return applied(ours, across([base], ours, theirs, strategy, client=client).update)


def unordered(node: Node | None) -> object:
    """A content in which of a list only counts what is in it: both sides may have added to one."""
    match node:
        case SharedMap(entries):
            return {key: unordered(one) for key, one in entries.items()}
        case SharedArray(elements):
            return frozenset(node_digest(one) for one in elements)
        case None:
            return None
        case _:
            return node_digest(node)


def said(found: Content) -> dict[str, object]:
    return {name: unordered(root) for name, root in found.items()}


def both_inside(was: Node | None, mine: Node | None, other: Node | None) -> bool:
    """Whether both sides edited one text, or what is in one list.

    Where both typed the same, that is no conflict. A union then has it twice, what is merged by
    content once, and rightly so.
    """
    if isinstance(mine, SharedMap) and isinstance(other, SharedMap):
        had = was.entries if isinstance(was, SharedMap) else {}
        keys = mine.entries.keys() & other.entries.keys()
        return any(both_inside(had.get(key), mine.entries[key], other.entries[key]) for key in keys)
    if mine in (was, None) or other in (was, None) or isinstance(mine, Plain | Subdocument):
        return False
    return not isinstance(was, SharedArray) or not all(
        isinstance(one, Plain) for one in was.elements
    )


class Parted:
    """A story of two branches, as it is and after a squash."""

    def __init__(self, was: Content, ours: Content, theirs: Content) -> None:
        self.base = state_of(was)
        self.ours = applied(self.base, edited(self.base, ours, 20))
        self.theirs = applied(self.base, edited(self.base, theirs, 21))
        self.new_ours, self.new_theirs = anew.begin(self.ours, 30), anew.begin(self.theirs, 31)
        self.conflicts = merge.conflicts(was, ours, theirs)
        self.both_inside = any(
            both_inside(was.get(name), ours[name], theirs[name])
            for name in ours.keys() & theirs.keys()
        )


@st.composite
def stories_of_two(draw: st.DrawFn) -> Parted:
    was = draw(stories.contents)
    return Parted(was, draw(edits(was)), draw(edits(was)))


@some
@given(stories_of_two())
def test_without_conflict_they_merge_to_what_the_union_was(parted: Parted) -> None:
    assume(not parted.conflicts and not parted.both_inside)
    union = content.read(applied(parted.ours, parted.theirs))
    for ours, theirs in (
        (parted.new_ours, parted.new_theirs),
        (parted.new_theirs, parted.new_ours),
        # One of them is from before: a commit, or what came in a bundle.
        (parted.new_ours, parted.theirs),
    ):
        assert said(content.read(merged(parted.base, ours, theirs))) == said(union)


@some
@given(stories_of_two(), st.sampled_from(["crdt", "ours", "theirs"]))
def test_what_is_in_conflict_stands_as_was_asked(parted: Parted, strategy: Strategy) -> None:
    outcome = across([parted.base], parted.new_ours, parted.new_theirs, strategy)
    told = msgspec.json.decode(outcome.told)
    assert len(told["conflicts"]) + told["more"] == len(parted.conflicts)
    after = content.read(applied(parted.new_ours, outcome.update))
    wanted = "theirs" if strategy == "theirs" else "ours"
    for each in parted.conflicts:
        # A text or a list that both edited holds the edits of both, unless a side is asked for.
        is_whole = strategy != "crdt" or each.kind in {"value", "deleted"}
        if is_whole and not each.needed:
            assert at(after, each.path) == getattr(each, wanted)


@some
@given(stories_of_two())
def test_there_and_back_both_say_the_same(parted: Parted) -> None:
    """After the first merge, what both had is what the side says, which is that merge's parent."""
    main = merged(parted.base, parted.new_ours, parted.new_theirs)
    side = merged(parted.new_theirs, parted.new_theirs, main, client=78)
    assert content.read(side) == content.read(main)
    # And then neither brings anything more.
    assert across([main], main, side).update is None
    assert across([main], side, main).update is None


@some
@given(stories_of_two())
def test_a_merge_that_ended_before_its_commit_is_not_done_twice(parted: Parted) -> None:
    assume(not parted.conflicts)
    main = merged(parted.base, parted.new_ours, parted.new_theirs)
    again = merged(parted.base, main, parted.new_theirs, client=78)
    assert said(content.read(again)) == said(content.read(main))


@some
@given(stories_of_two())
def test_a_document_begun_anew_says_the_same_and_has_deleted_nothing(parted: Parted) -> None:
    for old, new, client in (
        (parted.ours, parted.new_ours, 30),
        (parted.theirs, parted.new_theirs, 31),
    ):
        assert content.read(new) == content.read(old)
        assert crdt.decode_state_vector(contents.vector(new)).keys() <= {client}
        assert contents.deleted(new) == b"\x00\x00"


def volumes(**values: float) -> bytes:
    return state_of(contents.of(stems={key: {"volume": value} for key, value in values.items()}))


def test_resolutions_hold_across_lineages_too() -> None:
    base, ours, theirs = (volumes(bass=n, lead=n) for n in (0, 1, 2))
    outcome = across([base], ours, theirs, "theirs", bass="base")
    after = content.read(applied(ours, outcome.update))
    assert after == contents.of(stems={"bass": {"volume": 0}, "lead": {"volume": 2}})
    stands: list[Any] = [each["stands"] for each in msgspec.json.decode(outcome.told)["conflicts"]]
    assert stands == ["base", "theirs"]
    with pytest.raises(merge.UnknownConflict):
        across([base], ours, theirs, drums="ours")


def test_several_bases_of_one_lineage_count_together() -> None:
    begun = volumes(bass=0, lead=0)
    one = applied(begun, edited(begun, content.read(volumes(bass=1, lead=0)), 20))
    other = applied(begun, edited(begun, content.read(volumes(bass=0, lead=1)), 21))
    outcome = across([one, other], volumes(bass=5, lead=1), volumes(bass=1, lead=5))
    assert msgspec.json.decode(outcome.told)["conflicts"] == []
    assert outcome.update is not None


@pytest.mark.parametrize(("strategy", "side"), [("crdt", 1), ("ours", 1), ("theirs", 2)])
def test_where_both_changed_one_place_ours_stands_unless_theirs_is_asked_for(
    strategy: Strategy, side: int
) -> None:
    base, ours, theirs = (volumes(bass=n, lead=n) for n in (0, 1, 2))
    after = merged(base, ours, theirs, strategy)
    assert content.read(after) == content.read(volumes(bass=side, lead=side))
    # Also where one of them took it away.
    gone = volumes(lead=0)
    for one, other in ((gone, theirs), (ours, gone)):
        after = merged(base, one, other, strategy)
        kept = content.read(one if side == 1 else other)["stems"]
        stems = content.read(after)["stems"]
        assert isinstance(stems, SharedMap)
        assert isinstance(kept, SharedMap)
        assert stems.entries.get("bass") == kept.entries.get("bass")


def test_what_both_sides_typed_alike_is_there_once() -> None:
    was: Content = {"notes": SharedText((Run("kick", {}),))}
    both: Content = {"notes": SharedText((Run("kick, snare", {}),))}
    parted = Parted(was, both, both)
    assert not parted.conflicts
    assert content.read(merged(parted.base, parted.new_ours, parted.new_theirs)) == both
