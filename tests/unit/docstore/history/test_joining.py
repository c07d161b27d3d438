"""What a merge comes to: one update that brings a live document there, whoever edits beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycrdt import Map

from docstore.history import content, joining
from docstore.history.content import SharedArray, SharedMap, SharedText
from docstore.history.joining import MOST_SHOWN, Mark, Sides, Terms, Told
from docstore.history.merge import UnknownConflict
from docstore.history.reach import reach_content
from docstore.segments import Row
from tests.unit.docstore.history import contents
from tests.unit.docstore.history.contents import of, state, together

if TYPE_CHECKING:
    from docstore.history.content import Path
    from docstore.history.merge import Side

EMPTY: Final = b"\x00\x00"
NOBODY: Final = Sides(None, None)
NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def terms(client_id: int = 77, *, preview: bool = False, **taken: Any) -> Terms:
    """`bass="ours"` settles the volume of that stem."""
    paths: dict[Path, Side] = {("stems", key, "volume"): side for key, side in taken.items()}
    return Terms(client_id, paths, preview)


def said(outcome: joining.Outcome) -> Any:
    return msgspec.json.decode(outcome.told)


def volumes(onto: bytes | None = None, **values: Any) -> bytes:
    def fill(doc: Any) -> None:
        stems = doc.get("stems", type=Map)
        for key, value in values.items():
            if key in stems:
                stems[key]["volume"] = value
            else:
                stems[key] = Map({"volume": value})

    return state(fill, onto)


def towards(live: bytes, wanted: Any, client: int) -> bytes:
    update = reach_content(live, wanted, client_id=client)
    return live if update is None else together(live, update)


def test_a_side_that_brings_nothing_changes_nothing() -> None:
    ours = volumes(bass=1)
    outcome = joining.union([ours], ours, ours, NOBODY, terms(), "crdt")
    assert (outcome.update, outcome.summary) == (None, "nothing changed")
    assert said(outcome) == {"conflicts": [], "more": 0}
    newer = volumes(ours, bass=2)
    assert joining.union([ours], newer, ours, NOBODY, terms(), "crdt").update is None
    assert joining.carried(ours, newer, newer, NOBODY, terms(), "theirs").update is None


def test_the_update_holds_what_the_other_side_did_and_what_settles_it() -> None:
    base = volumes(bass=0, lead=0)
    ours, theirs = volumes(base, bass=1, lead=1), volumes(base, bass=2, lead=2)
    outcome = joining.union([base], ours, theirs, NOBODY, terms(bass="base"), "theirs")
    assert outcome.update is not None
    merged = together(ours, outcome.update)
    assert content.read(merged) == of(stems={"bass": {"volume": 0}, "lead": {"volume": 2}})
    # All that the other side did is in it: whoever merges once more merges nothing.
    assert together(merged, theirs) == merged
    # What somebody wrote beside it stays.
    beside = together(volumes(ours, drums=1), outcome.update)
    stems = content.to_json(content.read(beside))["stems"]
    assert stems == {"bass": {"volume": 0}, "drums": {"volume": 1}, "lead": {"volume": 2}}


def test_several_bases_count_together() -> None:
    base = volumes(bass=0, lead=0)
    one, other = volumes(base, bass=1), volumes(base, lead=1)
    ours = volumes(together(one, other), bass=5)
    theirs = volumes(together(one, other), lead=5)
    outcome = joining.union([one, other], ours, theirs, NOBODY, terms(), "crdt")
    assert said(outcome)["conflicts"] == []
    # With either alone, a side would seem to have changed what it only got.
    theirs = volumes(theirs, bass=6)
    (found,) = said(joining.union([one, other], ours, theirs, NOBODY, terms(), "crdt"))["conflicts"]
    assert found["base"] == 1


def test_who_wrote_which_side_is_looked_up_also_of_what_was_taken_away() -> None:
    anna, bert = UUID(int=1), UUID(int=2)
    base = volumes(bass=0, lead=0)
    ours = volumes(base, bass=1)

    def delete(doc: Any) -> None:
        del doc.get("stems", type=Map)["lead"]

    ours = state(delete, ours)
    theirs = volumes(base, bass=2, lead=2)
    later = NOON + timedelta(minutes=1)
    sides = Sides(
        Told(base, lambda: [Row(1, anna, ours, NOON)]),
        Told(base, lambda: [Row(7, bert, theirs, later)]),
    )
    found = said(joining.union([base], ours, theirs, sides, terms(), "crdt"))["conflicts"]
    assert [each["kind"] for each in found] == ["value", "deleted"]
    for each in found:
        assert each["ourChange"] == {"by": str(anna), "at": "2026-01-01T12:00:00Z"}
        assert each["theirChange"] == {"by": str(bert), "at": "2026-01-01T12:01:00Z"}
    # Of what is older than the journal, nobody knows.
    sides = Sides(Told(ours, list), Mark(bert, later))
    found = said(joining.union([base], ours, theirs, sides, terms(), "crdt"))["conflicts"]
    assert [each["ourChange"] for each in found] == [None, None]
    assert [each["theirChange"]["by"] for each in found] == [str(bert)] * 2


def test_what_is_told_is_bounded() -> None:
    def values(value: int) -> Any:
        return {f"s{at}": value for at in range(MOST_SHOWN + 3)}

    base = volumes(**values(0))
    ours, theirs = (volumes(base, **values(value)) for value in (1, 2))
    told = said(joining.union([base], ours, theirs, NOBODY, terms(preview=True), "theirs"))
    assert (len(told["conflicts"]), told["more"]) == (MOST_SHOWN, 3)
    assert (len(told["changes"]), told["moreChanges"]) == (MOST_SHOWN, 3)


def test_what_is_no_conflict_cannot_be_settled() -> None:
    base = volumes(bass=0)
    theirs = volumes(base, bass=1)
    with pytest.raises(UnknownConflict):
        joining.carried(base, theirs, base, NOBODY, terms(bass="ours"), "theirs")
    with pytest.raises(UnknownConflict):
        joining.union([base], base, theirs, NOBODY, terms(bass="ours"), "crdt")


def test_a_change_is_carried_between_documents_that_share_nothing() -> None:
    base, theirs = volumes(bass=0), volumes(bass=1, drums=1)
    ours = volumes(bass=0, lead=0)
    outcome = joining.carried(base, theirs, ours, NOBODY, terms(), "theirs")
    assert outcome.update is not None
    found = content.read(together(ours, outcome.update))
    wanted = {"bass": {"volume": 1}, "drums": {"volume": 1}, "lead": {"volume": 0}}
    assert found == of(stems=wanted)


# ---------------------------------------------------------------- by luck

slow: Final = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def lines(draw: st.DrawFn, number: int = 2) -> tuple[bytes, list[bytes]]:
    """A document, and what becomes of it in some hands that do not know of each other."""
    found = _expected(draw(contents.contents))
    base = towards(EMPTY, found, 1)
    sides = [
        towards(base, _expected(draw(contents.variants(found))), 2 + at) for at in range(number)
    ]
    return base, sides


def _expected(found: Any) -> Any:
    """Roots of the types they are known to have: of others a document does not always tell."""
    types = {"chat": SharedArray, "description": SharedText}
    return {
        root: node for root, node in found.items() if isinstance(node, types.get(root, SharedMap))
    }


def into(
    base: bytes, ours: bytes, theirs: bytes, strategy: Any = "crdt", client: int = 99
) -> bytes:
    outcome = joining.union([base], ours, theirs, NOBODY, terms(client), strategy)
    return ours if outcome.update is None else together(ours, outcome.update)


@slow
@given(lines())
def test_it_does_not_matter_which_is_merged_into_which(found: Any) -> None:
    base, (one, other) = found
    assert content.read(into(base, one, other)) == content.read(into(base, other, one))
    assert content.read(into(base, one, other, "ours")) == content.read(
        into(base, other, one, "theirs")
    )


@slow
@given(lines(), st.sampled_from(["crdt", "ours", "theirs"]))
def test_what_was_merged_once_is_merged(found: Any, strategy: Any) -> None:
    base, (ours, theirs) = found
    merged = into(base, ours, theirs, strategy)
    again = joining.union([theirs], merged, theirs, NOBODY, terms(98), strategy)
    assert again.update is None
    # Who is merged gets the same by merging back.
    back = joining.union([theirs], theirs, merged, NOBODY, terms(97), "crdt")
    assert said(back)["conflicts"] == []
    there = theirs if back.update is None else together(theirs, back.update)
    assert content.read(there) == content.read(merged)


@slow
@given(lines(3))
def test_the_order_of_merges_does_not_matter(found: Any) -> None:
    base, (one, other, third) = found
    first = into(base, into(base, one, other), third)
    second = into(base, one, into(base, other, third))
    assert content.read(first) == content.read(second)


@slow
@given(lines(), st.sampled_from(["ours", "theirs"]))
def test_a_change_that_was_carried_can_be_carried_back(found: Any, favour: Any) -> None:
    base, (theirs, _) = found
    outcome = joining.carried(base, theirs, base, NOBODY, terms(), favour)
    there = base if outcome.update is None else together(base, outcome.update)
    assert content.read(there) == content.read(theirs)
    back = joining.carried(theirs, base, there, NOBODY, terms(76), favour)
    again = there if back.update is None else together(there, back.update)
    assert content.read(again) == content.read(base)
