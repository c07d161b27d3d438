"""Children end as asked, claims exclude, logs stay small."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from base import child
from base.child import Child, Claim, DataFolderInUse
from base.places import ServerFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Starts a Python program as a child; ends it with the test."""
    started: list[Child] = []

    def begin(program: str, *, lasting: bool = True) -> Child:
        made = Child(
            "tool",
            [sys.executable, "-c", program],
            folder=tmp_path,
            output=tmp_path / "tool.log",
            stop_signal=signal.SIGTERM,
            lasting=lasting,
        )
        started.append(made)
        return made

    yield begin
    for one in started:
        if one.running:
            one.stop(seconds=0.1)


def _said(tmp_path: Path) -> str:
    return (tmp_path / "tool.log").read_text()


def test_a_child_runs_in_its_folder_without_our_environment(
    start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    tool = start("import os; print(os.getcwd(), dict(os.environ), os.umask(0))", lasting=False)
    assert tool.wait(10)
    assert tool.exit_code == 0
    assert _said(tmp_path).startswith(str(tmp_path.resolve()))
    assert "PGHOST" not in _said(tmp_path)
    assert _said(tmp_path).endswith(f"{0o077}\n")


def test_its_process_id_is_the_programs_own(start: Callable[..., Child], tmp_path: Path) -> None:
    tool = start("import os; print(os.getpid())", lasting=False)
    assert tool.wait(10)
    assert int(_said(tmp_path)) == tool.pid


def test_it_is_not_in_our_group_so_ctrl_c_does_not_reach_it(start: Callable[..., Child]) -> None:
    tool = start("import signal; signal.pause()")
    assert psutil.Process(tool.pid).terminal() is None
    assert tool.running
    tool.stop(seconds=10)
    assert not tool.running
    assert tool.exit_code == -signal.SIGTERM


def test_who_does_not_listen_is_asked_harder(start: Callable[..., Child], tmp_path: Path) -> None:
    tool = start(STUBBORN)
    tool.wait_until(lambda: "ready" in _said(tmp_path))
    tool.stop((signal.SIGQUIT, 10.0), seconds=0.05)
    assert tool.exit_code == -signal.SIGQUIT


def test_who_never_listens_is_killed(start: Callable[..., Child], tmp_path: Path) -> None:
    tool = start(STUBBORN)
    tool.wait_until(lambda: "ready" in _said(tmp_path))
    tool.stop(seconds=0.05)
    assert tool.exit_code == -signal.SIGKILL


def test_waiting_for_readiness_ends_with_the_child(start: Callable[..., Child]) -> None:
    tool = start("raise SystemExit(3)", lasting=False)
    tool.wait_until(lambda: False)
    assert tool.exit_code == 3


def test_a_program_that_is_not_there_ends_at_once(tmp_path: Path) -> None:
    tool = Child(
        "tool",
        [str(tmp_path / "nothing")],
        folder=tmp_path,
        output=tmp_path / "tool.log",
        stop_signal=signal.SIGTERM,
        lasting=False,
    )
    assert tool.wait(10)
    assert tool.exit_code == 1
    assert "No such file" in _said(tmp_path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="could not be started"):
        Child(
            "tool",
            ["/bin/true"],
            folder=tmp_path / "nowhere",
            output=tmp_path / "tool.log",
            stop_signal=signal.SIGTERM,
        )


def test_a_large_log_is_set_aside_once(
    start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "LOG_BYTES", 10)
    for word in ("first " * 5, "second " * 5, "third"):
        assert start(f"print({word!r})", lasting=False).wait(10)
    assert "third" in _said(tmp_path)
    assert "second" in (tmp_path / "tool.log.1").read_text()
    assert len(list(tmp_path.glob("tool.log*"))) == 2


def test_a_claim_excludes_every_other_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not child.claimed(path)
    claim = Claim(path)
    assert child.claimed(path)
    with pytest.raises(DataFolderInUse, match="--data"):
        Claim(path)
    claim.release()
    claim.release()
    assert not child.claimed(path)
    Claim(path).release()


def test_a_claim_dies_with_its_process(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from base.child import Claim;"
        "claim = Claim(Path(sys.argv[1])); print('claimed', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a.lock")],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        with pytest.raises(DataFolderInUse, match=str(other.pid)):
            Claim(tmp_path / "a.lock")
        other.kill()
        other.wait()
        Claim(tmp_path / "a.lock").release()


def test_servers_of_an_earlier_run_are_known_by_name_and_folder(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    left = [subprocess.Popen(["sleep", "60"], cwd=folder) for folder in (here, there)]
    try:
        found = child.left_behind(("sleep",), here)
        assert [one.pid for one in found] == [left[0].pid]
        assert child.left_behind(("postgres",), here) == []
        child.end_left_behind(found, (signal.SIGTERM, 10.0))
        assert child.left_behind(("sleep",), here) == []
        assert left[1].poll() is None
    finally:
        for one in left:
            one.kill()
            one.wait()
