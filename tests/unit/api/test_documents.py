"""Downloads: their names, and when a client's copy is current."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.documents import disposition, is_current

TAG = '"abc-yjs"'


@pytest.mark.parametrize(
    ("held", "current"),
    [
        (None, False),
        ("", False),
        ('"abc-yjs"', True),
        ('W/"abc-yjs"', True),
        ('"other", "abc-yjs"', True),
        ("*", True),
        ("abc-yjs", False),
        ('"abc-json"', False),
        ('"ABC-YJS"', False),
    ],
)
def test_a_copy_is_current_when_its_tag_is_named(held: str | None, current: bool) -> None:
    assert is_current(held, TAG) is current


def test_a_download_is_named_after_its_project() -> None:
    assert disposition("Night drive", "json") == (
        "attachment; filename=\"Night drive.json\"; filename*=UTF-8''Night%20drive.json"
    )
    assert disposition('Ночь "1"/2', "yjs") == (
        "attachment; filename=\"____ _1__2.yjs\"; filename*=UTF-8''"
        "%D0%9D%D0%BE%D1%87%D1%8C%20%221%22%2F2.yjs"
    )


@given(st.text(max_size=200))
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    header = disposition(name.encode("utf-8", "replace").decode(), "yjs")
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
