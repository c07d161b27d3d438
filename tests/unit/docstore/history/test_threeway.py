"""Changes between two contents made to a third: kept apart where they are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docstore.history import content
from docstore.history.content import (
    Plain,
    Run,
    SharedArray,
    SharedMap,
    SharedText,
    SharedXmlElement,
    SharedXmlFragment,
    SharedXmlText,
)
from docstore.history.reach import reach_content
from docstore.history.threeway import applied
from tests.unit.docstore.history import contents
from tests.unit.docstore.history.contents import of, text, without_empty

if TYPE_CHECKING:
    from docstore.history.content import Node

slow: Final = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)


def stem(**fields: Any) -> Any:
    return of(stems={"s1": {"name": "Bass", "volume": 1, **fields}})


def chat(*elements: Any) -> Any:
    return of(chat=elements)


def test_what_the_third_changed_elsewhere_stays() -> None:
    found = applied(stem(), stem(volume=0.5), stem(name="Sub", pan=1))
    assert found == stem(volume=0.5, name="Sub", pan=1)
    assert applied(stem(), of(), stem()) == of()
    assert applied(of(), stem(), of(notes=text("a"))) == stem() | of(notes=text("a"))


def test_who_is_favoured_stands_where_both_changed_the_same() -> None:
    theirs, ours = stem(volume=0.5), stem(volume=0.2, pan=1)
    assert applied(stem(), theirs, ours) == stem(volume=0.5, pan=1)
    assert applied(stem(), theirs, ours, "ours") == ours
    for theirs, ours in ((of(), stem(volume=2)), (stem(volume=2), of())):
        assert applied(stem(), theirs, ours) == theirs
        assert applied(stem(), theirs, ours, "ours") == ours


def test_a_change_that_is_there_already_is_not_made_twice() -> None:
    assert applied(chat(1), chat(1, 2), chat(1, 2)) == chat(1, 2)
    assert applied(chat(1), chat(1, 2), chat(1, 2, 3)) == chat(1, 2, 3)
    assert applied(chat(1), chat(1, 2, 3), chat(1, 2)) == chat(1, 2, 3)
    assert applied(chat(1), chat(1, 3), chat(1, 2, 3)) == chat(1, 2, 3)
    assert applied(stem(), of(), of()) == of()


@pytest.mark.parametrize(
    ("base", "theirs", "ours", "both"),
    [
        ((1, 2, 3), (1, 3), (1, 2, 3, 4), (1, 3, 4)),
        ((1, 2, 3), (0, 1, 2, 3), (1, 2, 4), (0, 1, 2, 4)),
        ((1, 2, 3, 4), (1, 9, 3, 4), (1, 2, 8, 4), (1, 9, 8, 4)),
        ((1, 2, 3, 4), (), (5, 1, 2, 3, 4), (5,)),
        ((), (1,), (2,), (2, 1)),
        ((1, 2), (1, 7, 2), (1, 8, 2), (1, 8, 7, 2)),
        ((1, 2, 3, 4), (1, 4), (1, 2, 5, 3, 4), (1, 4)),
        ((1, 2, 3), (1, 5, 6, 3), (1, 3), (1, 5, 6, 3)),
    ],
)
def test_lists_are_changed_piece_by_piece(base: Any, theirs: Any, ours: Any, both: Any) -> None:
    assert applied(chat(*base), chat(*theirs), chat(*ours)) == without_empty(chat(*both))


def test_of_a_piece_of_a_list_that_both_changed_the_favoured_one_stands() -> None:
    sides = chat(1, 2, 3), chat(1, 5, 6, 3), chat(1, 7, 3)
    assert applied(*sides) == chat(1, 5, 6, 3)
    assert applied(*sides, "ours") == chat(1, 7, 3)


def test_things_in_a_list_are_changed_inside() -> None:
    base, theirs, ours = (
        chat({"say": "a", "by": 1}, {"say": "b"}),
        chat({"say": "c", "by": 1}, {"say": "b"}),
        chat({"say": "a", "by": 2}, {"say": "b"}, {"say": "new"}),
    )
    assert applied(base, theirs, ours) == chat({"say": "c", "by": 2}, {"say": "b"}, {"say": "new"})


def test_texts_are_changed_by_words() -> None:
    base, theirs, ours = (
        text("A slow song in D."),
        text("A fast song in D."),
        text("A slow song in ", ("E", {"bold": True}), ". Or F."),
    )
    both = text("A fast song in ", ("E", {"bold": True}), ". Or F.")
    assert applied(of(notes=base), of(notes=theirs), of(notes=ours)) == of(notes=both)
    theirs, ours = text("A fast song in D."), text("A very quick song in D.")
    sides = of(notes=base), of(notes=theirs), of(notes=ours)
    assert applied(*sides) == of(notes=theirs)
    assert applied(*sides, "ours") == of(notes=ours)


def test_formatting_is_a_change_of_the_words_that_have_it() -> None:
    sides = (
        of(notes=text("loud and long")),
        of(notes=text(("loud", {"bold": True}), " and long")),
        of(notes=text("loud and short")),
    )
    assert applied(*sides) == of(notes=text(("loud", {"bold": True}), " and short"))


def test_what_is_embedded_in_a_text_stays_with_it() -> None:
    def page(word: str, *more: Run) -> Any:
        embedded = Run(SharedMap({"src": Plain("a.png")}), {})
        return of(notes=SharedText((Run(word, {}), embedded, *more)))

    found = applied(page("one"), page("two"), page("one", Run(" end", {})))
    assert found == page("two", Run(" end", {}))


def test_xml_is_changed_inside() -> None:
    def page(first: str, bold: bool | None, *more: str) -> Any:
        words = SharedXmlText((Run(first, {}),), {})
        attributes: Any = {} if bold is None else {"bold": Plain(bold)}
        rest = [SharedXmlElement(tag, {}, []) for tag in more]
        return {"page": SharedXmlFragment([SharedXmlElement("p", attributes, [words]), *rest])}

    found = applied(page("one", None), page("two", None), page("one", True, "hr"))
    assert found == page("two", True, "hr")


def test_other_types_are_other_things() -> None:
    sides = of(mine={"a": 1}), of(mine=(1,)), of(mine={"a": 2})
    assert applied(*sides) == sides[1]
    assert applied(*sides, "ours") == sides[2]
    sides = of(mine={"a": 1}), of(mine={"a": (1,)}), of(mine={"a": {"b": 1}})
    assert applied(*sides) == sides[1]


# ---------------------------------------------------------------- by luck


@slow
@given(contents.contents, contents.contents, st.sampled_from(["ours", "theirs"]))
def test_on_what_it_began_with_a_change_is_the_change(base: Any, theirs: Any, side: Any) -> None:
    assert applied(base, theirs, base, side) == theirs
    assert applied(base, base, theirs, side) == theirs
    assert applied(base, theirs, theirs, side) == theirs


@slow
@given(contents.contents.flatmap(lambda base: st.tuples(st.just(base), contents.variants(base))))
def test_a_change_that_is_undone_leaves_nothing(found: Any) -> None:
    base, changed = found
    # Doing it, then undoing it; and the other way round.
    assert applied(changed, base, applied(base, changed, base)) == base
    assert applied(base, changed, applied(changed, base, changed)) == changed


@st.composite
def apart(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """A list or a text, of which two change different pieces, with something between them."""
    left, middle, right = (
        draw(st.lists(st.integers(at, at + 9), min_size=least, max_size=4, unique=True))
        for at, least in ((0, 0), (100, 1), (200, 0))
    )
    new_left = draw(st.lists(st.integers(300, 309), max_size=3, unique=True))
    new_right = draw(st.lists(st.integers(400, 409), max_size=3, unique=True))
    made = (left + middle + right, new_left + middle + right, left + middle + new_right)
    if draw(st.booleans()):
        return tuple(without_empty(chat(*each)) for each in made)  # pyright: ignore[reportReturnType]
    words = ("".join(f"{number} " for number in each) for each in made)
    return tuple(without_empty(of(notes=text(*filter(None, [each])))) for each in words)  # pyright: ignore[reportReturnType]


@slow
@given(apart(), apart(), st.sampled_from(["ours", "theirs"]))
def test_changes_of_different_places_commute(one: Any, other: Any, side: Any) -> None:
    base, first, second = one
    done = applied(base, first, second, side)
    assert done == applied(base, second, first, side)
    assert applied(first, done, base, side) == second
    # And of different keys, whatever happens within.
    base, first, second = (
        {"a": {**base}, "b": {**other[0]}},
        {"a": {**first}, "b": {**other[0]}},
        {"a": {**base}, "b": {**other[1]}},
    )
    sides = [
        of(mine={key: SharedMap(inner) for key, inner in each.items()})
        for each in (base, first, second)
    ]
    done = applied(sides[0], sides[1], sides[2], side)
    assert done == applied(sides[0], sides[2], sides[1], side)
    assert done == of(mine={"a": SharedMap(first["a"]), "b": SharedMap(second["b"])})


@slow
@given(
    contents.contents.flatmap(
        lambda base: st.tuples(st.just(base), contents.variants(base), contents.variants(base))
    ),
    st.sampled_from(["ours", "theirs"]),
)
def test_a_document_gets_to_whatever_comes_out(found: Any, side: Any) -> None:
    base, theirs, ours = (
        {
            root: cast("Node", node)
            for root, node in each.items()
            if isinstance(node, SharedText if root == "description" else SharedArray | SharedMap)
            and isinstance(node, SharedArray) == (root == "chat")
        }
        for each in found
    )
    wanted = applied(base, theirs, ours, side)
    live = b"\x00\x00"
    for each in (ours, wanted):
        update = reach_content(live, each, client_id=5)
        live = live if update is None else contents.together(live, update)
    assert content.read(live) == wanted
