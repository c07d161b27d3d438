"""docs/history.md: every line of it, run on a server as it is started for people."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest

if TYPE_CHECKING:
    from tests.e2e.harness import Server

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "history.md").read_text()


@pytest.mark.timeout(300)
async def test_the_guide_works_line_by_line(own_server: Server, tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("jq") is None:
        pytest.skip("curl or jq is not installed")
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 8
    script = "set -euo pipefail\n" + "\n".join(blocks)
    script, fields = _strict(script)
    assert fields > 20
    script = script.replace("http://127.0.0.1:8000", own_server.url)
    # The files that it writes belong into a folder of the test.
    script = script.replace(".venv/bin/python", str(ROOT / ".venv/bin/python"))
    run = partial(
        subprocess.run,
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    done = await anyio.to_thread.run_sync(run)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert (tmp_path / "graph.svg").read_text().startswith("<svg")
    said = done.stdout
    assert '"F minor"' in said  # theirs, in the preview of the merge
    assert "Up a tone" in said
    await _read_beside(own_server, tmp_path)


PROGRAM = re.compile(r"\bjq((?: -\w+)*) ('[^']+'|\.\w*)")
FIELDS = re.compile(r"{[\w, ]+}|(?:\.[a-zA-Z]+(?:\[\d*\])?)+")
"""Of a program of jq's: `{several, at, once}`, and `.one[0].below.another`."""

KNOWN = 'def known(f): if has(f) then .[f] else error("there is no \\(f)") end; '


def _strict(script: str) -> tuple[str, int]:
    """The same, but a field that is not there is an error of jq's instead of null; and how many are named."""
    fields = 0

    def known(match: re.Match[str]) -> str:
        nonlocal fields
        names = re.findall(r"([a-zA-Z]\w*)(\[\d*\])?", match[0])
        fields += len(names)
        if match[0].startswith("{"):
            return "{" + ", ".join(f'{name}: known("{name}")' for name, _ in names) + "}"
        return "(" + " | ".join(f'known("{name}"){items}' for name, items in names) + ")"

    def program(match: re.Match[str]) -> str:
        text = FIELDS.sub(known, match[2].strip("'"))
        return f"jq{match[1]} '{KNOWN}{text}'"

    return PROGRAM.sub(program, script), fields


def test_a_field_that_is_not_there_is_noticed() -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    given = json.dumps({"items": [{"a": None, "b": 1}], "one": {"two": 2}})

    def jq(line: str) -> subprocess.CompletedProcess[str]:
        strict, _ = _strict(line)
        return subprocess.run(
            ["bash", "-c", strict], input=given, capture_output=True, text=True, check=False
        )

    for line in ("jq .", "jq -c '.items[] | {a, b}'", "jq '.one.two, .items[0].a'", "jq -r .one"):
        assert jq(line).returncode == 0, jq(line).stderr
    for line in ("jq '.items[0] | {a, c}'", "jq .two", "jq -r '.one.three'", "jq '[.items[].c]'"):
        assert "there is no" in jq(line).stderr


async def _read_beside(server: Server, folder: Path) -> None:
    """The operator's commands, on the database of the server that is running."""

    async def command(*words: str) -> subprocess.CompletedProcess[str]:
        run = partial(
            subprocess.run,
            [sys.executable, "-m", "syncserver", *words, "--data", str(server.data)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return await anyio.to_thread.run_sync(run)

    log = await command("log", "Night drive", "--graph", "--all")
    assert log.returncode == 0, log.stderr
    assert "|\\" in log.stdout  # a merge
    assert "tag: demo" in log.stdout
    live = await command("export", "Night drive", str(folder / "live.json"))
    assert live.returncode == 0, live.stderr
    assert json.loads((folder / "live.json").read_bytes())["project"]["key"]
    assert server.alive
