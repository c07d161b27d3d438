"""Children end as asked, and with the reason in their log, which stays small."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from base.embedded import child
from base.embedded.child import Child
from base.embedded.places import ServerFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Says what it does with every signal that it is sent: whoever runs the tests in a script's background
# hands down SIGINT and SIGQUIT as ignored.
STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
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
