"""Conflicts of a merge, which side stands, and how the other one is made to."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Array, Map, Text

from docstore import plain
from docstore.history import content
from docstore.history.changes_json import diff_json
from docstore.history.content import Plain
from docstore.history.diff import diff
from docstore.history.merge import UnknownConflict, conflicts, put, settled, stands
from docstore.history.reach import reach_content
from docstore.history.render import diff_text
from tests.unit.docstore.history.contents import of, shared, state, text, together, union


def paths(base: Any, ours: Any, theirs: Any) -> Any:
    return [(each.kind, each.path) for each in conflicts(base, ours, theirs)]


def stem(**fields: Any) -> Any:
    return of(stems={"s1": {"name": "Bass", "volume": 1, **fields}})


def test_a_field_that_both_changed_is_one_conflict() -> None:
    base, ours, theirs = stem(), stem(volume=0.5, pan=1), stem(volume=0.2, name="Sub")
    (found,) = conflicts(base, ours, theirs)
    assert found.path == ("stems", "s1", "volume")
    assert (found.entity.type, found.entity.id, found.kind) == ("stem", "s1", "value")
    assert (found.base, found.ours, found.theirs) == (Plain(1), Plain(0.5), Plain(0.2))


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    assert paths(stem(), stem(volume=0.5), stem(volume=0.5)) == []
    assert paths(stem(), stem(), stem(volume=0.5)) == []
    assert paths(stem(), of(), of()) == []


def test_true_is_another_value_than_one() -> None:
    assert paths(stem(), stem(volume=True), stem(volume=2)) == [
        ("value", ("stems", "s1", "volume"))
    ]
    assert paths(stem(), stem(volume=True), stem(volume=1)) == []


def test_a_plain_value_is_one_thing() -> None:
    base, ours, theirs = (of(events={"g": {"n": value}}) for value in ([0, 1], [1, 1], [0, 2]))
    assert paths(base, ours, theirs) == [("value", ("events", "g", "n"))]


def test_who_deletes_what_the_other_changes_is_in_conflict() -> None:
    expected = [("deleted", ("stems", "s1"))]
    assert paths(stem(), of(), stem(volume=0)) == expected
    assert paths(stem(), stem(volume=0), of()) == expected


def test_two_who_make_the_same_key_are_in_conflict_over_all_of_it() -> None:
    assert paths(of(), stem(), stem(volume=0)) == [("value", ("stems", "s1"))]


def test_a_text_is_in_conflict_as_a_whole_and_the_union_holds_both() -> None:
    (found,) = conflicts(of(notes=text("a")), of(notes=text("ab")), of(notes=text("ca")))
    assert (found.kind, found.path, found.entity.type) == ("text", ("notes",), "text")
    assert stands(found, of(notes=text("cab"))) == "both"
    assert stands(found, of(notes=text("ab"))) == "ours"
    assert stands(found, of(notes=text("a"))) == "base"


def test_a_text_that_both_began_is_a_text() -> None:
    assert paths(of(), of(notes=text("a")), of(notes=text("b"))) == [("text", ("notes",))]


def test_a_list_to_which_both_added_is_no_conflict() -> None:
    base, ours, theirs = of(chat=(1, 2)), of(chat=(1, 2, 3)), of(chat=(0, 1, 2))
    assert paths(base, ours, theirs) == []
    assert paths(of(), of(chat=(1,)), of(chat=(2,))) == []
    assert paths(base, of(chat=(1,)), theirs) == [("list", ("chat",))]


def test_roots_of_two_types_are_in_conflict_as_a_whole() -> None:
    assert paths(of(), of(mine={"a": 1}), of(mine=(1,))) == [("value", ("mine",))]


@pytest.mark.parametrize(("side", "volume"), [("ours", 0.5), ("theirs", 0.2), ("base", 1)])
def test_the_chosen_side_stands_and_the_rest_of_the_union_stays(side: Any, volume: float) -> None:
    base, ours, theirs = stem(), stem(volume=0.5, pan=1), stem(volume=0.2, name="Sub")
    found = conflicts(base, ours, theirs)
    merged = stem(volume=0.2, pan=1, name="Sub")
    assert stands(found[0], merged) == "theirs"
    wanted = settled(merged, found, "crdt", {("stems", "s1", "volume"): side})
    assert wanted == stem(volume=volume, pan=1, name="Sub")
    assert stands(found[0], wanted) == side


def test_what_no_resolution_names_goes_by_the_strategy() -> None:
    base, ours, theirs = (of(project={"a": at, "b": at}) for at in range(3))
    found = conflicts(base, ours, theirs)
    assert settled(theirs, found) == theirs
    assert settled(theirs, found, "ours") == ours
    assert settled(ours, found, "theirs") == theirs
    mixed = settled(theirs, found, "ours", {("project", "b"): "base"})
    assert mixed == of(project={"a": 1, "b": 0})
    assert stands(found[0], of(project={"a": 9})) == "neither"


def test_a_deletion_can_be_chosen_and_refused() -> None:
    found = conflicts(stem(), of(), stem(volume=0))
    assert stands(found[0], of()) == "ours"
    assert settled(of(), found, "theirs") == stem(volume=0)
    assert settled(stem(volume=0), found, "ours") == of()


def test_who_settles_what_is_no_conflict_is_told() -> None:
    found = conflicts(stem(), of(), stem(volume=0))
    with pytest.raises(UnknownConflict) as refused:
        settled(of(), found, "ours", {("stems", "s2"): "ours", ("stems", "s1"): "ours"})
    assert refused.value.data == {"path": ["stems", "s2"]}


def test_putting_makes_the_way_and_taking_away_what_is_not_there_changes_nothing() -> None:
    assert put(of(), ("a", "b", "c"), Plain(1)) == of(a={"b": {"c": 1}})
    assert put(of(a={"b": 1}), ("a", "b"), None) == of()
    assert put(of(a={"b": 1}), ("a", "b", "c"), None) == of(a={"b": 1})
    assert put(of(a=(1,)), ("x", "y"), None) == of(a=(1,))
    original = of(a={"b": {"c": 1}})
    put(original, ("a", "b", "c"), shared(2))
    assert original == of(a={"b": {"c": 1}})


# ---------------------------------------------------------------- with documents


def test_real_sides_are_merged_and_settled_by_forward_operations() -> None:
    def begin(doc: Any) -> None:
        doc["stems"] = stems = Map[Any]()
        stems["s1"] = Map({"name": "Bass", "volume": 1})
        stems["s2"] = Map({"name": "Drums", "volume": 1})
        doc["notes"] = notes = Text()
        notes += "loud"
        doc["chat"] = Array(["hi"])

    def ours(doc: Any) -> None:
        doc.get("stems", type=Map)["s1"]["volume"] = 0.5
        del doc.get("stems", type=Map)["s2"]
        notes = doc.get("notes", type=Text)
        notes += "er"
        doc.get("chat", type=Array).append("ours")

    def theirs(doc: Any) -> None:
        doc.get("stems", type=Map)["s1"]["volume"] = 0.2
        doc.get("stems", type=Map)["s2"]["name"] = "Kit"
        notes = doc.get("notes", type=Text)
        notes.insert(0, "not ")
        doc.get("chat", type=Array).append("theirs")

    base = state(begin)
    mine, others = state(ours, base), state(theirs, base)
    merged = union(mine, others)
    found = conflicts(*(content.read(each) for each in (base, mine, others)))
    standing = {each.path: stands(each, merged) for each in found}
    assert set(standing) == {("notes",), ("stems", "s1", "volume"), ("stems", "s2")}
    assert standing["notes",] == "both"
    assert standing["stems", "s2"] == "ours"  # a deleted map takes along what was written in it
    assert standing["stems", "s1", "volume"] in {"ours", "theirs"}

    for strategy, volume, drums, prose in (
        ("ours", 0.5, False, "louder"),
        ("theirs", 0.2, True, "not loud"),
    ):
        wanted = settled(merged, found, strategy)  # pyright: ignore[reportArgumentType]
        live = together(mine, others)
        update = reach_content(live, wanted, client_id=7)
        assert update is not None
        after = union(live, update)
        assert after == wanted
        shown = content.to_json(after)
        stems: Any = shown["stems"]
        assert stems["s1"] == {"name": "Bass", "volume": volume}
        assert ("s2" in stems) == drums
        assert shown["notes"] == prose
        assert sorted(map(str, shown["chat"])) == ["hi", "ours", "theirs"]  # pyright: ignore[reportArgumentType]


def test_the_deepest_documents_there_are_can_be_compared_and_merged() -> None:
    def deep(value: Any) -> Any:
        node: Any = {"end": value}
        for _ in range(plain.DEEPEST - 2):
            node = {"in": node}
        return of(boxes=node, mine=node)

    base, ours, theirs = deep(0), deep(1), deep(2)
    found = conflicts(base, ours, theirs)
    assert [each.path[-1] for each in found] == ["end", "end"]
    assert settled(theirs, found, "ours") == ours
    shown = diff(base, ours)
    assert diff_text(shown)
    assert diff_json(shown)["summary"] == "1 entry changed"
