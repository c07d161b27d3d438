"""The command line: settings as options, mistakes in one sentence."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from base import settings
from base.settings import Settings
from syncserver import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("command", ["serve", "migrate", "doctor"])
def test_every_setting_is_an_option_of_every_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for field in dataclasses.fields(Settings):
        assert f"{settings.option(field.name)} " in said


def test_without_a_command_the_commands_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == cli.BAD_USAGE
    assert "COMMAND" in capsys.readouterr().err


def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", "--por", "1"])
    assert ended.value.code == cli.BAD_USAGE
    assert "--por" in capsys.readouterr().err


def test_a_bad_value_is_one_sentence_that_names_its_variable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["serve", "--port", "many"]) == cli.BAD_USAGE
    said = capsys.readouterr().err
    assert said.startswith("syncsphere: SYNCSPHERE_PORT is 'many'")
    assert said.count("\n") == 1


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("syncsphere ")


def test_help_shows_the_unit_or_the_kind_of_every_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["serve", "--help"])
    said = capsys.readouterr().out
    for shown in (
        "--connections-per-user N",
        "--database-url URL",
        "--data PATH",
        "--auth-timeout-seconds SECONDS",
        "--outbox-bytes BYTES",
        "--log-format console|json",
        "--host ADDRESS",
    ):
        assert re.search(rf"{re.escape(shown)}\s", said)


def test_an_address_that_cannot_be_used_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNCSPHERE_DATABASE_URL", "mysql://ada:hush@db/music")
    assert cli.main(["serve"]) == cli.BAD_USAGE
    said = capsys.readouterr().err
    assert said.startswith("syncsphere: SYNCSPHERE_DATABASE_URL is 'mysql://ada:***@db/music'")
    assert said.count("\n") == 1


def test_what_a_person_can_mend_is_one_sentence_without_a_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["migrate", "--data", str(tmp_path / "file" / "data")]) == 1
    said = capsys.readouterr().err
    assert "cannot be made" in said
    assert "Traceback" not in said
