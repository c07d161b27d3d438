"""Bytes as text: one spelling each."""

from __future__ import annotations

import pytest

from base import text64


@pytest.mark.parametrize("raw", [b"", b"\xff", b"ab", b"abc", bytes(range(256))])
def test_what_was_written_is_read(raw: bytes) -> None:
    text = text64.write(raw)
    assert text64.read(text) == raw
    assert "=" not in text


@pytest.mark.parametrize(
    "text",
    ["YQ==", "YR", "Y", "Y Q", "YQ\n", "é", "a+b/", "_-é"],
    ids=[
        "padded",
        "other bits",
        "one letter",
        "blank",
        "line",
        "letter",
        "other alphabet",
        "mixed",
    ],
)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        text64.read(text)
