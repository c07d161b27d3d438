"""`syncsphere import`: what was exported comes back, and what was not is refused whole."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from typing import TYPE_CHECKING, LiteralString

import pytest

from tests.integration.history_shell import Terminal, parted

if TYPE_CHECKING:
    from pathlib import Path

    from base.db import Database
    from docstore.history import commits


@pytest.fixture
def shell(database_url: str, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal.beside(database_url, capsys)


@pytest.fixture
def made(shell: Terminal) -> list[commits.Commit]:
    return shell.does(lambda database: parted(database, shell.project))


@pytest.fixture
def bundle(shell: Terminal, made: list[commits.Commit], tmp_path: Path) -> str:
    file = tmp_path / "song.zip"
    assert shell("export", str(shell.project.id), str(file)).code == 0
    return str(file)


def graph(shell: Terminal, project: str) -> list[tuple[str, list[str], str, list[str]]]:
    """A log without ids: message, messages of the parents, content, labels."""
    found = json.loads(shell("log", project, "--all", "--json").out)
    messages = {each["id"]: each["message"] for each in found}
    return [
        (
            each["message"],
            [messages[parent] for parent in each["parents"]],
            each["contentHash"],
            each["labels"],
        )
        for each in found
    ]


def rows(shell: Terminal) -> tuple[int, ...]:
    """How many projects, documents, commits and states there are."""
    count: LiteralString = """SELECT (SELECT count(*) FROM projects),
        (SELECT count(*) FROM documents), (SELECT count(*) FROM commits),
        (SELECT count(*) FROM states)"""

    async def counted(database: Database) -> tuple[int, ...]:
        async with database.connection() as tx:
            found = await (await tx.execute(count)).fetchone()
        assert found is not None
        return found

    return shell.does(counted)


def test_a_project_comes_back_with_its_history(shell: Terminal, bundle: str) -> None:
    told = shell("import", bundle, "--owner", "ANNA@example.org", "--name", "Song again")
    assert told.code == 0, told.err
    assert told.out.startswith("Made project 'Song again' with 4 commits, 2 branches, 1 tag: id ")
    again, song = "Song again", str(shell.project.id)
    assert graph(shell, again) == graph(shell, song)
    # What was live came too, and those who made it are named.
    shown = [json.loads(shell("diff", name, "tag:v1", "--json").out) for name in (again, song)]
    assert shown[0] == shown[1]
    assert "+ Lead" in shell("diff", again, "tag:v1").out
    assert " eve" in shell("log", again, "--all").out


def test_a_bundle_from_a_pipe_becomes_a_branch(
    shell: Terminal, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(bundle, "rb") as file:  # noqa: PTH123 (a file as the shell gives it)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        told = shell("import", "-", "--owner", "eve", "--project", "Song", "--branch", "back")
    assert told.code == 0, told.err
    assert f"room {shell.project.room_id}@back" in told.out
    assert "back" in shell("branches", "Song").out
    same = json.loads(shell("diff", "Song", "branch:main", "branch:back", "--json").out)
    assert same["changes"] == []
    again = ("import", bundle, "--owner", "eve", "--project", "Song", "--branch", "back")
    told = shell(*again)
    assert (told.code, told.err.count("\n")) == (1, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--owner", "nobody"), "No account has this name"),
        (("--owner", "eve", "--project", "None", "--branch", "b"), "No project"),
        (("--owner", "eve", "--project", "Song", "--branch", "a/b"), "has none of"),
        (("--owner", "eve", "--project", "Song", "--branch", "main"), "branch"),
    ],
)
def test_a_mistake_makes_nothing(
    shell: Terminal, bundle: str, words: tuple[str, ...], said: str
) -> None:
    before = rows(shell)
    told = shell("import", bundle, *words)
    assert told.code == 1
    assert said in told.err
    assert rows(shell) == before


def test_what_is_no_bundle_is_refused_in_one_sentence(
    shell: Terminal, bundle: str, tmp_path: Path
) -> None:
    before = rows(shell)
    (tmp_path / "text").write_text("no bundle")
    with zipfile.ZipFile(tmp_path / "other", "w") as packed:
        packed.writestr("../readme\x1b[2J", "hello")
    cut = tmp_path / "cut"
    with open(bundle, "rb") as whole:  # noqa: PTH123 (bytes are bytes)
        cut.write_bytes(whole.read()[:-100])
    for name in ("text", "other", "cut", "missing"):
        told = shell("import", str(tmp_path / name), "--owner", "anna")
        assert told.code == 1
        assert "Traceback" not in told.err
        assert told.err.replace("\n", "").isprintable()
    assert rows(shell) == before


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--owner", "eve", "--project", "Song"),
        ("--owner", "eve", "--branch", "b"),
        ("--owner", "eve", "--name", "a", "--project", "Song", "--branch", "b"),
        ("--owner", "eve", "--name", ""),
        ("--owner", "eve", "--name", "a\x07"),
        ("--owner", "eve", "--name", "a" * 201),
    ],
)
def test_what_cannot_be_meant_is_bad_usage(
    shell: Terminal, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert shell("import", str(tmp_path / "any"), *words).code == 2
