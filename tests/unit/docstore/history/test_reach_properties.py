"""Whatever a document says, and whatever it is to say: it gets there, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings

from docstore.history import content
from docstore.history.reach import reach, reach_content
from tests.unit.docstore.history import stories
from tests.unit.docstore.history.stories import applied, state_of

if TYPE_CHECKING:
    from docstore.history.content import Content

EXAMPLES = settings(max_examples=60, deadline=None)


@EXAMPLES
@given(stories.contents)
def test_what_was_made_from_nothing_reads_as_it_was_wanted(wanted: Content) -> None:
    assert content.read(state_of(wanted)) == wanted


@EXAMPLES
@given(stories.contents, stories.contents)
def test_any_content_is_reached_from_any_other_and_back(one: Content, other: Content) -> None:
    live = state_of(one)
    update = reach_content(live, other, client_id=12)
    after = applied(live, update)
    assert content.read(after) == other
    assert (update is None) == (one == other)
    assert reach(after, state_of(other), client_id=13) is None
    assert content.read(applied(after, reach(after, live, client_id=14))) == one


@EXAMPLES
@given(stories.odd_contents, stories.odd_contents)
def test_also_where_yrs_cannot_make_what_yjs_can(one: Content, other: Content) -> None:
    live = state_of(one)
    assert content.read(live) == one
    after = applied(live, reach_content(live, other, client_id=12))
    assert content.read(after) == other
