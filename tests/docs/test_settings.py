"""docs/settings.md and base/settings.py say the same."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from base import settings
from base.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| (\S.*?) \| (\S.*?) \|$", PAGE, re.MULTILINE)


def test_every_setting_has_exactly_one_line() -> None:
    assert sorted(name for name, _, _ in ROWS) == sorted(
        field.name for field in dataclasses.fields(Settings)
    )


def test_every_documented_default_is_the_default() -> None:
    default = Settings()
    for name, shown, _ in ROWS:
        if shown != "unset":
            environ = {settings.variable(name): shown.strip("`")}
            assert getattr(Settings.load(environ), name) == getattr(default, name), name
        else:
            assert getattr(default, name) is None, name


def test_every_variable_and_option_named_in_the_text_exists() -> None:
    names = [field.name for field in dataclasses.fields(Settings)]
    assert set(re.findall(r"SYNCSPHERE_[A-Z_]*[A-Z]", PAGE)) <= set(map(settings.variable, names))
    assert set(re.findall(r"--[a-z-]+[a-z]", PAGE)) <= set(map(settings.option, names))
