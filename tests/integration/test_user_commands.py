"""`syncsphere user …` on real servers: made, raised, locked, unlocked, listed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from syncserver import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def user(
    database_url: str,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Runs `syncsphere user …` with a password on its standard input; what it said."""

    def run(*words: str, password: str = "correct horse", code: int = 0) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
        given = ("--database-url", database_url, "--redis-url", redis_url, "--bcrypt-cost", "4")
        assert cli.main(["user", *words, *given]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


def test_an_account_is_made_and_listed(user: Callable[..., str]) -> None:
    assert user("create", "ada", "Ada@Example.org", "--admin") == "Made ada, an administrator.\n"
    assert user("create", "bob", "bob@example.org") == "Made bob.\n"
    second, first = user("list").splitlines()
    assert first.startswith("bob <bob@example.org>")
    assert second.startswith("ada <ada@example.org>")
    assert "administrator" in second
    assert "administrator" not in first


def test_an_account_is_locked_and_unlocked_by_name_or_address(user: Callable[..., str]) -> None:
    user("create", "ada", "ada@example.org")
    assert user("disable", "ADA") == "ada is disabled and signed out.\n"
    assert "disabled" in user("list")
    assert user("enable", "ada@example.org") == "ada may sign in again.\n"
    assert "disabled" not in user("list")
    assert user("admin", "ada") == "ada is an administrator.\n"
    assert user("demote", "ada") == "ada is no administrator.\n"


def test_a_mistake_is_one_sentence(user: Callable[..., str]) -> None:
    assert user("disable", "nobody", code=1).startswith("syncsphere: No account has this name")
    assert "at least 8" in user("create", "ada", "ada@example.org", password="short", code=1)
    user("create", "ada", "ada@example.org")
    assert "e-mail" in user("create", "eve", "ada@example.org", code=1)


def test_the_empty_password_of_a_closed_pipe_makes_no_account(user: Callable[..., str]) -> None:
    user("create", "ada", "ada@example.org", password="", code=1)
    assert user("list") == ""


def test_a_folder_without_a_server_gets_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["user", "list", "--data", str(tmp_path / "stray")]) == 1
    assert "is not the data folder of a server" in capsys.readouterr().err
    assert not (tmp_path / "stray").exists()
