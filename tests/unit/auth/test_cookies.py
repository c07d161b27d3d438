"""Cookies as they stand in a header."""

from __future__ import annotations

import pytest

from auth import cookies


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        ("other=1", None),
        ("syncsphere_access=a.b.c", "a.b.c"),
        ("other=1; syncsphere_access=a.b.c; more", "a.b.c"),
        ("syncsphere_access=", None),
        ("xsyncsphere_access=a; syncsphere_accessx=b", None),
        ("SYNCSPHERE_ACCESS=a", None),
        ("syncsphere_access=a=b", "a=b"),
    ],
)
def test_the_access_token_is_found_by_its_name(header: str | None, token: str | None) -> None:
    assert cookies.access_token(header) == token


def test_a_cookie_that_a_neighbouring_host_has_planted_beside_ours_makes_both_worthless() -> None:
    assert cookies.access_token("syncsphere_access=theirs; syncsphere_access=ours") is None
