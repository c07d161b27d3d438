"""Logs: one line per event, JSON on request, other libraries through the same door."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Literal

import pytest
import structlog

from base import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_json_lines_carry_event_level_logger_time_and_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("info", "json")
    log.get("a.module").info("room_opened", room="abc")
    [line] = _lines(capsys)
    assert line.pop("timestamp")
    assert line == {"event": "room_opened", "level": "info", "logger": "a.module", "room": "abc"}


def test_less_important_messages_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("warning", "json")
    log.get("m").info("quiet")
    log.get("m").warning("loud")
    assert [line["event"] for line in _lines(capsys)] == ["loud"]


def test_other_libraries_speak_through_the_same_renderer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("info", "json")
    logging.getLogger("uvicorn.error").info("listening on %s", 80)
    assert [line["event"] for line in _lines(capsys)] == ["listening on 80"]


def test_an_exception_becomes_part_of_its_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "json")
    try:
        raise ValueError("broken")
    except ValueError:
        log.get("m").exception("failed")
    [line] = _lines(capsys)
    assert "broken" in json.dumps(line["exception"])


def test_lines_for_people_name_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "console")
    log.get("m").info("room_opened", room="abc")
    assert "room_opened" in capsys.readouterr().err


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_trace_shows_no_values(
    format: Literal["json", "console"],  # noqa: A002 (the setting's own name)
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("info", format)

    def sign_in(password: str) -> None:
        raise RuntimeError(f"failed after {len(password)} characters")

    try:
        sign_in("correct horse")
    except RuntimeError:
        log.get("m").exception("sign_in_failed")
    shown = capsys.readouterr().err
    assert "failed after 13 characters" in shown
    assert "correct horse" not in shown.replace('sign_in("correct horse")', "")
