"""The cookies of a browser's session, by name, and how they are found in a header (no I/O).

Who may use them (our own pages only) is decided by who asks.
"""

from __future__ import annotations

from typing import Final

ACCESS: Final = "syncsphere_access"
REFRESH: Final = "syncsphere_refresh"
CSRF: Final = "syncsphere_csrf"


def value(header: str | None, name: str) -> str | None:
    """A cookie of a Cookie header.

    None also when there are two of one name: a neighbouring host can set one for us, and the order
    does not tell whose is whose.
    """
    pairs = (pair.strip().partition("=") for pair in (header or "").split(";"))
    found = [text for each, _, text in pairs if each == name]
    return found[0] if len(found) == 1 and found[0] else None


def access_token(header: str | None) -> str | None:
    """The access token of a Cookie header."""
    return value(header, ACCESS)
