"""Types that yrs cannot make find their places by order, among whatever looks the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docstore.history import completing, content, passages
from docstore.history.content import (
    Content,
    Node,
    Plain,
    Run,
    SharedArray,
    SharedMap,
    SharedText,
    SharedXmlElement,
    SharedXmlText,
)
from docstore.history.reach import reach_content
from tests.unit.docstore.history.stories import applied, state_of

XML_TEXT = SharedXmlText((), {})
ITEM = SharedXmlElement("li", {}, [])
EMPTY = SharedText(())


def text_of(*inserts: str | Node) -> SharedText:
    return SharedText(tuple(Run(insert, {}) for insert in inserts))


def a_in(node: Node) -> SharedMap:
    return SharedMap({"a": node})


TRAPS: dict[str, Node] = {
    "the wrong one of two texts looks right": SharedArray(
        [text_of(XML_TEXT), EMPTY, text_of(a_in(ITEM))]
    ),
    "two maps of which one is to hold more": text_of(SharedMap({}), a_in(ITEM)),
    "the one that holds more comes first": text_of(a_in(ITEM), SharedMap({})),
    "letters between": text_of("a", XML_TEXT, "a", ITEM, "a"),
    "several in one place": SharedArray([ITEM, XML_TEXT, ITEM, Plain(1), XML_TEXT, ITEM]),
    "within each other": SharedArray(
        [
            SharedXmlElement("p", {}, [SharedXmlText((Run(text_of(ITEM), {}),), {})]),
            SharedArray([SharedXmlText((Run(SharedArray([ITEM, EMPTY]), {}),), {}), EMPTY]),
            SharedArray([EMPTY]),
        ]
    ),
    "formatted": SharedText(
        (
            Run("a", {"bold": Plain(True)}),
            Run(XML_TEXT, {"color": Plain("é")}),
            Run("b", {"bold": Plain(True)}),
            Run(text_of("x", ITEM), {}),
        )
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_it_is_reached_from_nothing_and_from_every_other(name: str) -> None:
    wanted: Content = {"events": a_in(TRAPS[name])}
    assert content.read(state_of(wanted)) == wanted
    for other in TRAPS.values():
        live = state_of({"events": a_in(other)})
        after = applied(live, reach_content(live, wanted, client_id=12))
        assert content.read(after) == wanted


def test_what_is_there_is_paired_by_order_and_the_rest_is_missing() -> None:
    have: list[Node] = [EMPTY, ITEM, EMPTY]
    want: list[Node] = [XML_TEXT, text_of(ITEM), ITEM, XML_TEXT, text_of(XML_TEXT)]
    assert completing.pairs(have, want, odd=True) == [(0, 1), (1, 2), (2, 4)]


def test_where_more_is_missing_it_does_not_say() -> None:
    assert completing.pairs([EMPTY], [EMPTY, Plain(1)], odd=True) is None
    assert completing.pairs([Plain(2)], [Plain(1)], odd=True) is None
    # Two that are there, and of those that are wanted none is like the second.
    assert completing.pairs([ITEM, XML_TEXT], [ITEM, ITEM, ITEM], odd=True) is None
    # Where XML can be made it is like everything else.
    assert completing.pairs([], [ITEM], odd=False) is None


def test_places_in_a_text_count_bytes_and_things() -> None:
    have = (Run("é", {}), Run(EMPTY, {}), Run("b", {}))
    want = (Run("é", {}), Run(ITEM, {}), Run(text_of(ITEM), {}), Run("b", {}), Run(XML_TEXT, {}))
    assert completing.edits(have, want, odd=True) == [
        passages.Replace(2, 0, [want[1]]),
        passages.Within(0, EMPTY, text_of(ITEM)),
        passages.Replace(4, 0, [want[4]]),
    ]
    assert completing.edits((), want, odd=True) is None


twins: st.SearchStrategy[Node] = st.recursive(
    st.sampled_from([EMPTY, XML_TEXT, ITEM]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda nodes: text_of(*nodes)),
        st.lists(inner, max_size=3).map(SharedArray),
        inner.map(a_in),
        st.lists(inner, max_size=2).map(lambda nodes: SharedXmlText(text_of(*nodes).runs, {})),
    ),
    max_leaves=8,
)
"""Few kinds, so that much looks like something else as long as something is missing."""


@settings(max_examples=60, deadline=None)
@given(st.lists(twins, max_size=4), st.lists(twins, max_size=4))
def test_among_things_that_all_look_the_same(one: list[Node], other: list[Node]) -> None:
    wanted: Content = {"events": SharedMap({"a": SharedArray(other), "b": text_of(*other)})}
    live = state_of({"events": SharedMap({"a": SharedArray(one), "b": text_of(*one)})})
    after = applied(live, reach_content(live, wanted, client_id=12))
    assert content.read(after) == wanted
