"""What others do meanwhile, and what they did while they were offline, survives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from docstore import crdt
from docstore.errors import DocumentTooDeep
from docstore.history import content
from docstore.history.content import Plain, Run, SharedArray, SharedMap, SharedText
from docstore.history.reach import ContentUnreachable, reach, reach_content
from tests.unit.docstore.history import stories
from tests.unit.docstore.history.stories import applied, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from docstore.history.content import Content, Node


def reached(live: Doc[Any], wanted: Doc[Any], **options: Any) -> Doc[Any]:
    update = reach(live.get_update(), wanted.get_update(), client_id=77, **options)
    assert update is not None
    live.apply_update(update)
    return live


def copy_of(doc: Doc[Any]) -> Doc[Any]:
    copy: Doc[Any] = Doc()
    copy.apply_update(doc.get_update())
    return copy


def project() -> Doc[Any]:
    return Doc(
        {
            "stems": Map({"bass": Map({"name": "Bass", "volume": 1}), "drums": Map({"name": "D"})}),
            "notes": Text("a song about rain"),
            "chat": Array([Map({"id": 1, "text": Text("hello")}), Map({"id": 2})]),
            "page": XmlFragment([XmlElement("p", {"k": "v"}, [XmlText("first")]), XmlText("tail")]),
        }
    )


def test_nothing_to_do_is_none() -> None:
    live = project()
    assert reach(live.get_update(), copy_of(live).get_update(), client_id=7) is None


def test_what_stays_is_changed_inside_so_that_offline_edits_find_it() -> None:
    live = project()
    before, offline = copy_of(live), copy_of(live)
    live["stems"]["bass"]["name"] = "Sub"
    live["notes"].insert(0, "not ")
    live["chat"][0]["text"].insert(0, "oh ")
    live["page"].children[0].children.insert(0, XmlText("zero"))
    offline.get("stems", type=Map)["bass"]["volume"] = 0.5
    offline.get("notes", type=Text).insert(17, " and sun")
    offline.get("chat", type=Array)[0]["text"].insert(5, "!")
    offline.get("page", type=XmlFragment).children[0].attributes["k"] = "w"
    reached(live, before)
    assert content.read_doc(live) == content.read_doc(before)
    live.apply_update(offline.get_update())
    assert content.read_doc(live) == content.read_doc(offline)


def test_an_element_that_is_gone_does_not_make_the_others_move_into_each_other() -> None:
    live = Doc({"chat": Array([Map({"id": at, "text": Text(f"{at}")}) for at in range(6)])})
    wanted, offline = copy_of(live), copy_of(live)
    chat = wanted.get("chat", type=Array)
    del chat[1]
    chat[3]["text"].insert(0, "changed ")
    chat.insert(0, Map({"id": "new"}))
    offline.get("chat", type=Array)[4]["text"].insert(1, "!")
    reached(live, wanted)
    live.apply_update(offline.get_update())
    found = crdt.to_json(live.get_update())["chat"]
    assert {"id": 4, "text": "changed 4!"} in found  # type: ignore[operator]


def test_a_text_is_changed_where_it_differs() -> None:
    live = Doc({"notes": Text("höher 🎹 than the sky, and so on")})
    wanted, offline = copy_of(live), copy_of(live)
    text = wanted.get("notes", type=Text)
    del text[6 + 1 : 6 + 5]
    offline.get("notes", type=Text).insert(25, "blue ")
    reached(live, wanted)
    live.apply_update(offline.get_update())
    assert "sky" in str(live.get("notes", type=Text))
    assert "blue" in str(live.get("notes", type=Text))
    assert "🎹" not in str(live.get("notes", type=Text))


def test_the_update_is_as_small_as_the_change() -> None:
    live = Doc({"events": Map({str(at): [at, 1, 60] for at in range(5_000)})})
    for at in range(0, 5_000, 2):
        del live["events"][str(at)]
    wanted = copy_of(live)
    wanted.get("events", type=Map)["1"] = [2, 2, 2]
    update = reach(live.get_update(), wanted.get_update(), client_id=7)
    assert update is not None
    assert len(update) < 60


def test_only_what_is_asked_for_is_touched() -> None:
    live, wanted = project(), project()
    wanted["stems"]["bass"]["name"] = "Sub"
    wanted["stems"]["bass"]["volume"] = 0
    wanted["stems"]["keys"] = Map({"name": "Keys", "volume": 3})
    del wanted["stems"]["drums"]
    wanted["notes"].insert(0, "x")
    paths = [("stems", "bass", "volume"), ("stems", "drums"), ("stems", "keys", "name")]
    reached(live, wanted, only=paths)
    assert crdt.to_json(live.get_update())["stems"] == {
        "bass": {"name": "Bass", "volume": 0},
        "keys": {"name": "Keys"},
    }
    assert str(live["notes"]) == "a song about rain"
    assert reach(live.get_update(), wanted.get_update(), client_id=8, only=paths) is None
    assert reach(live.get_update(), wanted.get_update(), client_id=8, only=[]) is None


def test_elements_of_arrays_can_be_asked_for() -> None:
    live, wanted = Doc({"chat": Array([1, 2, 3, 4])}), Doc({"chat": Array([1, 20, 30])})
    reached(live, wanted, only=[("chat", 1), ("chat", 3), ("chat", 9)])
    assert list(live["chat"]) == [1, 20, 3]


def test_a_root_may_become_another_type() -> None:
    kinds: list[Any] = [Map({"a": 1}), Array([1, 2]), Text("t é🎹"), XmlFragment([XmlText("x")])]
    states = [Doc({"theirs": kind}).get_update() for kind in kinds]
    for live in states:
        for wanted in states:
            update = reach(live, wanted, client_id=9)
            assert (update is None) == (live is wanted)
            assert content.read(applied(live, update)) == content.read(wanted)


WRAPS: list[Callable[[Node], Node]] = [
    lambda node: SharedMap({"k": node}),
    lambda node: SharedArray([node, Plain(0)]),
    lambda node: SharedText((Run(node, {}),)),
]


@pytest.mark.parametrize("wrap", WRAPS)
def test_what_can_be_read_can_be_written_however_deep(wrap: Callable[[Node], Node]) -> None:
    node: Node = Plain(1)
    for _ in range(content.DEEPEST - 1):
        node = wrap(node)
    wanted: Content = {"stems": SharedMap({"k": node})}
    assert content.read(state_of(wanted)) == wanted
    with pytest.raises(DocumentTooDeep):
        state_of({"stems": SharedMap({"k": wrap(node)})})


def test_a_plain_root_is_refused() -> None:
    with pytest.raises(ContentUnreachable):
        reach_content(b"\x00\x00", {"stems": Plain(1)}, client_id=7)


def test_what_does_not_show_is_cleared_out_of_the_way() -> None:
    # Letters that are a value in a text look like any others, but take less room.
    live = Doc({"notes": Text("abc")})
    live["notes"].insert_embed(1, "hidden")
    wanted = Doc({"notes": Text("abcd")})
    reached(live, wanted)
    assert content.read_doc(live) == content.read_doc(wanted)


@settings(max_examples=80, deadline=None)
@given(stories.contents, stories.contents, st.data())
def test_edits_made_meanwhile_survive_and_all_copies_agree(
    one: Content, other: Content, data: st.DataObject
) -> None:
    live = state_of(one)
    meanwhile: Doc[Any] = Doc()
    meanwhile.apply_update(live)
    value = data.draw(st.integers(0, 100))
    # In places that the change does not touch: a root of its own, and a new key of a shared one.
    meanwhile.get("assets", type=Map)["new"] = value
    meanwhile.get("events", type=Map)["theirs"] = Map({"v": value})
    update = reach_content(live, other, client_id=12)
    edited = meanwhile.get_update()
    copies = [applied(live, update, edited), applied(live, edited, update)]
    first, second = map(content.read, copies)
    assert first == second
    assert first["assets"] == SharedMap({"new": Plain(value)})
    events = first["events"]
    assert isinstance(events, SharedMap)
    assert events.entries["theirs"] == SharedMap({"v": Plain(value)})
    for name, node in other.items():
        if name != "events":
            assert first[name] == node
