"""Tokens that say nothing: only what was given out opens."""

from __future__ import annotations

from auth import opaque
from base import ids


def test_a_token_opens_what_was_kept_of_it() -> None:
    token_id = ids.new_id()
    token, kept = opaque.make("ssk_", token_id)
    shown = opaque.read("ssk_", token)
    assert shown is not None
    assert shown.id == token_id
    assert shown.opens(kept)
    assert not shown.opens(opaque.make("ssk_", token_id)[1])
    assert shown.secret not in kept


def test_what_is_none_is_not_read() -> None:
    token, _ = opaque.make("ssk_", ids.new_id())
    for other in (
        "",
        "ssk_",
        token[:-4],
        token + "AAAA",
        token + "=",
        "ssl_" + token[4:],
        token[4:],
    ):
        assert opaque.read("ssk_", other) is None
