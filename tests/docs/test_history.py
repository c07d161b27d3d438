"""docs/history.md names routes, commands and pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.routes import ROUTES
from syncserver import cli

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "history.md").read_text()


def test_every_address_is_a_route() -> None:
    known = [re.sub(r"{\w+}", "[^/?]+", route.path) for route in ROUTES]
    used = set(re.findall(r"\$API(/[\w/$.-]+)", PAGE))
    assert len(used) > 15
    for address in used:
        assert any(re.fullmatch(path, f"/api{address}") for path in known), address


def test_every_route_of_history_is_shown() -> None:
    used = [f"/api{each}" for each in re.findall(r"\$API(/[\w/$.-]+)", PAGE)]
    for route in ROUTES:
        if route.tag in {"history", "bundles"} and route.method != "DELETE":
            path = re.sub(r"{\w+}", "[^/?]+", route.path)
            assert any(re.fullmatch(path, each) for each in used), route.path


@pytest.mark.parametrize("words", re.findall(r"^\$ syncsphere (\w+)", PAGE, re.MULTILINE))
def test_every_command_is_one(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([words, "--help"])
    assert ended.value.code == 0
    assert f"syncsphere {words}" in capsys.readouterr().out


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([\w/-]+\.md)[)#]", PAGE))))
def test_every_page_that_is_linked_is_there(link: str) -> None:
    assert (DOCS / link).is_file()
