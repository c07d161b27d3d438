"""`syncsphere export`: states as files, whole or not at all."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from docstore.history import content
from tests.integration.history_shell import Terminal, parted

if TYPE_CHECKING:
    from pathlib import Path

    from docstore.history import commits


@pytest.fixture
def shell(database_url: str, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal.beside(database_url, capsys)


@pytest.fixture
def made(shell: Terminal) -> list[commits.Commit]:
    return shell.does(lambda database: parted(database, shell.project))


def test_a_commit_a_tag_a_moment_and_what_is_live_become_files(
    shell: Terminal, made: list[commits.Commit], tmp_path: Path
) -> None:
    song = str(shell.project.id)
    for at, (words, commit) in enumerate(
        [(("--commit", str(made[0].id)), made[0]), (("--tag", "v1"), made[3])]
    ):
        file = tmp_path / f"{at}.yjs"
        told = shell("export", song, str(file), *words)
        assert (told.code, told.out) == (0, "")
        assert str(commit.id) in told.err
        assert content.digest(content.read(file.read_bytes())) == commit.content_sha256
    live, moment = tmp_path / "live.JSON", tmp_path / "then"
    assert shell("export", song, str(live)).code == 0
    assert set(json.loads(live.read_bytes())["stems"]) == {"bass", "drums", "keys", "lead"}
    words = ("--time", "2026-08-22", "--format", "json")
    assert shell("export", song, str(moment), *words).code == 0
    assert json.loads(moment.read_bytes()) == json.loads(live.read_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["0.yjs", "1.yjs", "live.JSON", "then"]
    )


def test_the_output_is_a_file_too(
    shell: Terminal, made: list[commits.Commit], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    told = shell("export", str(shell.project.id), "-", "--tag", "v1", "--format", "yjs")
    assert told.code == 0, told.err
    written = out.buffer.getvalue()  # pyright: ignore[reportAttributeAccessIssue] (a BytesIO)
    assert content.digest(content.read(written)) == made[3].content_sha256


def test_nothing_is_replaced_unasked_and_nothing_is_left_of_what_failed(
    shell: Terminal, made: list[commits.Commit], tmp_path: Path
) -> None:
    song, file = str(shell.project.id), tmp_path / "a.json"
    file.write_text("mine")
    told = shell("export", song, str(file))
    assert told.code == 1
    assert "--force" in told.err
    assert shell("export", song, str(file), "--tag", "v9", "--force").code == 1
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert shell("export", song, str(file), "--tag", "v1", "--force").code == 0
    assert set(json.loads(file.read_bytes())["stems"]) == {"bass", "drums", "keys"}
    assert shell("export", song, str(tmp_path), "--format", "json", "--force").code == 1
    assert tmp_path.is_dir()


def test_what_cannot_be_written_is_one_sentence(shell: Terminal, tmp_path: Path) -> None:
    song = str(shell.project.id)
    told = shell("export", song, str(tmp_path / "no" / "a.json"))
    assert told.code == 1
    assert "cannot be written: No such file or directory" in told.err
    assert told.err.count("\n") == 1
    assert shell("export", song, str(tmp_path / "a.mid")).code == 2
    assert shell("export", song, str(tmp_path / "a"), "--format", "mid").code == 2
    assert shell("export", song, str(tmp_path / "a.json"), "--commit", "live").code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_brings_its_history(
    shell: Terminal, made: list[commits.Commit], tmp_path: Path
) -> None:
    song, file = str(shell.project.id), tmp_path / "song.zip"
    told = shell("export", song, str(file))
    assert told.code == 0, told.err
    with zipfile.ZipFile(file) as packed:
        history = json.loads(packed.read("history.json"))
        assert set(json.loads(packed.read("project.json"))["stems"]) > {"lead"}
    assert {each["id"] for each in history["commits"]} == {str(each.id) for each in made}
    assert "eve" in {each["author"] for each in history["commits"]}
    told = shell("export", song, str(tmp_path / "song.odb"))
    assert told.code == 1
    assert "--format zip" in told.err
    told = shell("export", song, str(tmp_path / "then.zip"), "--time", "2026-08-22")
    assert told.code == 1
    assert "yjs or json" in told.err
    assert not (tmp_path / "then.zip").exists()
