"""Letters: what is in them, and what strangers cannot put there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from auth import letters

TO = "anna@example.com"


def test_a_code_stands_by_itself_in_its_letter() -> None:
    letter = letters.verification(TO, "042137", 10)
    assert letter.to == TO
    assert "Your code is 042137\n" in letter.text
    assert "within 10 minutes" in letter.text


@pytest.mark.parametrize(
    ("minutes", "said"), [(0.01, "a minute"), (1, "a minute"), (1.6, "2 minutes"), (30, "30 min")]
)
def test_time_is_told_in_whole_minutes(minutes: float, said: str) -> None:
    assert f"within {said}" in letters.reset(TO, "https://sync.example/#reset=x", minutes).text


def test_a_link_stands_on_a_line_of_its_own() -> None:
    url = "https://sync.example/#reset=x"
    assert url in letters.reset(TO, url, 30).text.splitlines()
    assert url in letters.invitation(TO, "bert", "Song", "editor", url).text.splitlines()


def test_a_closed_account_is_told_the_day() -> None:
    text = letters.closed(TO, datetime(2027, 1, 5, tzinfo=UTC)).text
    assert "erased on 05 January 2027" in text


def test_names_of_strangers_stay_on_one_line_and_short() -> None:
    long = "Free money!\r\n\r\nBcc: all@example.com\n" + "x" * 500
    letter = letters.invitation(TO, long, long, "viewer", "token")
    assert "\n" not in letter.subject
    assert "\r" not in letter.subject
    assert len(letter.subject) < 120
    assert "Bcc: all@example.com\n" not in letter.text
    assert "x" * 100 not in letter.text


def test_the_notice_of_a_new_password_says_what_to_do() -> None:
    assert "ask for a new password at once" in letters.password_changed(TO).text
