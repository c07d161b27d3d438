"""The commands that the documents name are there, and `make` alone lists them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_commands_that_we_promise_are_there() -> None:
    assert {"serve", "test", "check", "bench"} <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_commands_that_exist(page: Path) -> None:
    # In code only: in a sentence, "make sure" is no command.
    code = re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.DOTALL)
    named = {target for piece in code for target in re.findall(r"\bmake ([a-z-]+)", piece)}
    assert named <= TARGETS


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_lists_every_command_with_its_meaning() -> None:
    # A folder of its own: the list must not depend on an environment that is there already.
    listed = subprocess.run(
        ["make", "-f", "Makefile"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    documented = set(re.findall(r"^([a-z-]+):.*?## ", MAKEFILE, re.MULTILINE))
    assert documented == set(re.findall(r"^  make ([a-z-]+) +\S", listed, re.MULTILINE))
    assert {"serve", "test", "check", "bench"} <= documented


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_without_a_usable_python_make_says_so(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "rm", "echo", "touch", "awk"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "setup"],
        cwd=tmp_path,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_pinned_requirements_carry_hashes_and_no_addresses() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text()
        pins = re.findall(
            r"^([\w-]+)==\S+(?: ; [^\\]+)? \\\n {4}--hash=sha256:", text, re.MULTILINE
        )
        packages = re.findall(r"^[\w-]+==", text, re.MULTILINE)
        assert pins, path.name
        assert len(pins) == len(packages), path.name
        assert "://" not in text, path.name
