"""Who a request comes from, when proxies stand in between (no I/O).

A header says what its sender likes, so only a proxy that the operator named is believed, and of
what it forwards only the part that it or another named proxy wrote. Knows addresses as text; not
requests.
"""

from __future__ import annotations

import ipaddress
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

HOPS_MOST: Final = 64
"""Proxies in a row that are looked at; more is nobody's network, but somebody's header."""

IPV6_SITE_BITS: Final = 64
"""One household or one rented machine has this much; single addresses of it cost nothing."""


class Proxies:
    """The addresses that may say who the client is."""

    def __init__(self, text: str | None) -> None:
        """text: addresses and networks with commas; None: there are none. Raises ValueError."""
        named = [part.strip() for part in (text or "").split(",")]
        self._networks = [ipaddress.ip_network(part) for part in named if part]

    def client(self, peer: str, forwarded: str | None) -> str:
        """The client's address: the peer's, or what trusted proxies say in X-Forwarded-For.

        forwarded: several headers are joined with commas, in their order. Never raises; "" for a
        peer without an address (a Unix socket).
        """
        found = _address(peer)
        if found is None:
            return ""
        hops = (forwarded or "").rsplit(",", HOPS_MOST)[-HOPS_MOST:]
        # Each hop was written by the one to its right; the first that nobody vouches for ends it.
        while hops and self._trusts(found):
            hop = _address(_bare(hops.pop()))
            if hop is None:
                break
            found = hop
        return str(found)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def group(ip: str) -> str:
    """What one party is counted by: an IPv4 address, the /64 of an IPv6 one, "unknown" without."""
    address = _address(ip)
    if address is None:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, IPV6_SITE_BITS), strict=False))


def _bare(hop: str) -> str:
    """A hop without its port, quotes and brackets."""
    hop = hop.strip().strip('"')
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    # One colon: IPv4 and a port. More of them are IPv6.
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _address(text: str) -> Address | None:
    """Without a zone, which means something on one machine only; IPv4 never dressed as IPv6."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
