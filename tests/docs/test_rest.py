"""docs/rest.md names the routes that exist, all of them and no others."""

from __future__ import annotations

import re
from pathlib import Path

from api.routes import ROUTES
from api.shapes import common as shapes
from auth import identifiers, passwords

PAGE = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()


def test_every_route_has_a_line_and_every_line_is_a_route() -> None:
    lines = re.findall(r"^\| `([A-Z]+) (/[^` ]+)` \|", PAGE, re.MULTILINE)
    assert sorted(lines) == sorted((route.method, route.path) for route in ROUTES)


def test_every_address_in_an_example_is_a_route() -> None:
    known = [re.sub(r"{\w+}", "[^/]+", route.path) for route in ROUTES]
    for used in re.findall(r"\$API(/[\w/$]+)", PAGE):
        assert any(re.fullmatch(path, f"/api{used}") for path in known), used


def test_the_limits_in_the_text_are_the_limits() -> None:
    for limit in (
        f"{identifiers.USERNAME_SHORTEST} to {identifiers.USERNAME_LONGEST} letters",
        f"at least {passwords.SHORTEST} characters and at most {passwords.LONGEST} bytes",
        f"1 to {shapes.NAME_LONGEST} characters",
        f"up to {shapes.DESCRIPTION_LONGEST:,}",
        f"(1 to {shapes.PAGE_MOST}, {shapes.PAGE_USUAL})",
    ):
        assert limit in PAGE
