"""Whose address a request counts for, when anybody may write a header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.addresses import Proxies, group

OURS = "127.0.0.1, 10.0.0.0/8, fd00::/8"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7:50123", "198.51.100.7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("127.0.0.1", '"[2001:db8::7]"', "2001:db8::7"),
        ("127.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("fd00::2", "10.0.0.5", "10.0.0.5"),
    ],
)
def test_a_trusted_proxy_says_who_the_client_is(
    peer: str, forwarded: str | None, client: str
) -> None:
    assert Proxies(OURS).client(peer, forwarded) == client


def test_a_stranger_who_claims_another_address_keeps_their_own() -> None:
    assert Proxies(OURS).client("203.0.113.9", "10.0.0.1") == "203.0.113.9"
    assert Proxies(None).client("127.0.0.1", "198.51.100.7") == "127.0.0.1"


def test_what_a_client_wrote_before_the_proxy_is_not_believed() -> None:
    spoofed = "1.1.1.1, 10.9.9.9, 198.51.100.7"
    assert Proxies(OURS).client("127.0.0.1", spoofed) == "198.51.100.7"


@pytest.mark.parametrize(
    "garbage", ["", "unknown", "_hidden", "999.1.1.1", "[", "a, b", "1.1.1.1,"]
)
def test_garbage_counts_for_the_proxy_that_passed_it_on(garbage: str) -> None:
    assert Proxies(OURS).client("127.0.0.1", garbage) == "127.0.0.1"


def test_a_unix_socket_has_no_address() -> None:
    assert Proxies(OURS).client("", "198.51.100.7") == ""


@given(st.text(), st.text())
def test_no_header_raises(peer: str, forwarded: str) -> None:
    Proxies(OURS).client(peer, forwarded)
    Proxies(OURS).client("127.0.0.1", forwarded)
    group(peer)


@pytest.mark.parametrize("text", ["nobody", "10.0.0.1/8", "10.0.0.0/99", "127.0.0.1; ::1"])
def test_a_wrong_setting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Proxies(text)


def test_everybody_in_one_ipv6_network_counts_as_one() -> None:
    assert group("2001:db8:1:2::1") == group("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert group("2001:db8:1:3::1") != group("2001:db8:1:2::1")
    assert group("::ffff:198.51.100.7") == group("198.51.100.7") == "198.51.100.7"
    assert group("") == group("garbage") == "unknown"
