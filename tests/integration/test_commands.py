"""`migrate` and `doctor` on real servers: given, embedded, running, and away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from base.embedded import EmbeddedPostgres, EmbeddedRedis
from docstore import migrate
from syncserver import cli

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that is not there yet."""
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-test-"))
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


def test_migrate_brings_a_given_database_to_the_newest_schema_once(
    empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for expected in (f"at {migrate.head()}.", "as it was."):
        assert cli.main(["migrate", "--database-url", empty_database_url]) == 0
        assert capsys.readouterr().out.rstrip().endswith(expected)
    assert migrate.current(empty_database_url) == migrate.head()


def test_migrate_and_doctor_use_the_embedded_servers_running_or_not(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["migrate", "--data", str(data)]) == 0
    assert "applied 0001" in capsys.readouterr().out
    assert cli.main(["doctor", "--data", str(data)]) == 0
    report = capsys.readouterr().out
    assert "embedded, not running; started for this check" in report
    assert f"{migrate.head()}, the newest" in report
    postgres, keeper = EmbeddedPostgres(data), EmbeddedRedis(data)
    postgres.start()
    keeper.start()
    try:
        pids = postgres.pid, keeper.pid
        assert cli.main(["migrate", "--data", str(data)]) == 0
        assert cli.main(["doctor", "--data", str(data)]) == 0
        report = capsys.readouterr().out
        assert report.count(f"embedded, running in process {os.getpid()}") == 2
        assert (postgres.pid, keeper.pid) == pids
    finally:
        keeper.stop()
        postgres.stop()


def test_doctor_leaves_a_fresh_folder_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--data", str(data)]) == 0
    report = capsys.readouterr().out
    assert "will be made" in report
    assert "tried in a temporary folder" in report
    for name in ("Python", "pycrdt", "PostgreSQL", "Redis"):
        assert f" {name} " in report
    assert not data.exists()


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_that_is_away_is_one_sentence(data: Path, command: str) -> None:
    given = {
        "SYNCSPHERE_DATABASE_URL": "postgresql://ada:hush@127.0.0.1:1/music",
        "SYNCSPHERE_REDIS_URL": "redis://:hush@127.0.0.1:1/0",
    }
    # Not in this process: serving changes its limits.
    ended = subprocess.run(
        [sys.executable, "-m", "syncserver", command, "--data", str(data), "--port", "0"],
        env=os.environ | given,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    said = ended.stderr
    assert said.startswith(
        "syncsphere: cannot reach PostgreSQL at postgresql://ada:***@127.0.0.1:1/music ("
    )
    assert said.endswith("; start it, or correct SYNCSPHERE_DATABASE_URL\n")
    assert said.count("\n") == 1


def test_doctor_fails_when_a_server_is_away_and_shows_no_password(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCSPHERE_DATABASE_URL", "postgresql://ada:hush1@127.0.0.1:1/music")
    monkeypatch.setenv("SYNCSPHERE_REDIS_URL", "redis://:hush2@127.0.0.1:1/0")
    monkeypatch.setenv("SYNCSPHERE_SECRET", "hush3" * 10)
    monkeypatch.setenv("SYNCSPHERE_POTR", "1")
    assert cli.main(["doctor", "--data", str(data)]) == 1
    report = capsys.readouterr().out
    assert report.count("  FAIL  ") == 2
    assert "SYNCSPHERE_POTR" in report
    assert "SYNCSPHERE_PORT?" in report
    assert "hush" not in report
