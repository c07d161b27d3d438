"""Which pages may call us, and which may use cookies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.origins import Origins

HOST = "sync.example"


def _listed(text: str = "https://studio.example, http://localhost:5173") -> Origins:
    return Origins(text, public_url="https://sync.example")


@pytest.mark.parametrize(
    "origin",
    [
        "https://studio.example",
        "https://STUDIO.example",
        "https://studio.example:443",
        "http://localhost:5173",
        "https://sync.example",
    ],
)
def test_a_listed_page_and_our_own_are_trusted_however_they_are_written(origin: str) -> None:
    assert _listed().allows(origin, HOST)
    assert _listed().trusts(origin, HOST)


@pytest.mark.parametrize(
    "origin",
    [
        "http://studio.example",
        "https://studio.example:8443",
        "https://evil.studio.example",
        "https://studio.example.evil.example",
        "https://studio.example@evil.example",
        "https://studio.example/",
        "https://studio.example https://evil.example",
        "http://sync.example",
        "null",
        "*",
        "",
    ],
)
def test_whoever_only_resembles_a_listed_page_is_refused(origin: str) -> None:
    assert not _listed().allows(origin, HOST)
    assert not _listed().trusts(origin, HOST)


def test_anybody_may_call_but_not_with_cookies() -> None:
    anybody = Origins("*", public_url=None)
    for origin in ("https://evil.example", "null", "chrome-extension://abc"):
        assert anybody.allows(origin, HOST)
        assert not anybody.trusts(origin, HOST)


def test_anybody_may_call_and_a_few_with_cookies() -> None:
    both = Origins("*, https://studio.example", public_url=None)
    assert both.allows("https://evil.example", HOST)
    assert both.trusts("https://studio.example", HOST)
    assert not both.trusts("https://evil.example", HOST)


def test_the_page_of_the_same_host_and_port_is_our_own() -> None:
    none = Origins("", public_url=None)
    assert none.trusts("http://127.0.0.1:8000", "127.0.0.1:8000")
    assert none.trusts("http://[::1]:8000", "[::1]:8000")
    assert none.trusts("https://sync.example", "SYNC.example")
    assert not none.trusts("http://127.0.0.1:8001", "127.0.0.1:8000")
    assert not none.trusts("http://sync.example", "sync.example:8000")


def test_our_own_name_without_tls_is_not_our_page() -> None:
    assert not _listed("*").trusts("http://sync.example", HOST)


def test_no_origin_is_no_page() -> None:
    assert _listed().allows(None, HOST)
    assert not _listed().trusts(None, HOST)


def test_letters_of_a_name_are_written_as_browsers_send_them() -> None:
    assert _listed("https://bücher.example").trusts("https://xn--bcher-kva.example", HOST)


@pytest.mark.parametrize(
    "text", ["studio.example", "null", "https://", "https://a.example/path", "https://a b", "ftp:x"]
)
def test_a_wrong_setting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        Origins(text, public_url=None)


@given(st.text(), st.text())
def test_no_header_raises_and_nothing_random_is_trusted(origin: str, host: str) -> None:
    _listed().allows(origin, host)
    assert not _listed().trusts(origin, "")
