"""The shape of the code: files of a size to live in, each says its job, nothing speaks to stdout."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "auth", "base", "docstore", "syncserver")
OURS = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
EVERYTHING = [
    *OURS,
    *sorted(
        path
        for name in ("tests", "benchmarks")
        for path in (ROOT / name).rglob("*.py")
        if "node_modules" not in path.parts
    ),
]

MOST_LINES = 600
"""A file over this needs to become two; most have 100 to 300."""

SPEAKS = {"syncserver/cli.py"}
"""Where printing is the job."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_a_room_to_live_in() -> None:
    lines = {named(path): len(path.read_text().splitlines()) for path in EVERYTHING}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_every_file_opens_with_its_job_in_a_sentence() -> None:
    first = {
        named(path): (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
        for path in EVERYTHING
    }
    assert [name for name, said in first.items() if not said.endswith((".", ":", "`"))] == []


def test_nothing_but_the_command_prints() -> None:
    printing = {
        named(path)
        for path in OURS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    }
    assert printing <= SPEAKS


def test_every_package_is_in_the_wheel_and_nothing_else_is() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {named(path.parent).replace("/", ".") for path in OURS}
    assert set(listed) == folders
