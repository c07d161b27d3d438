"""Bytes as text that fits into addresses and headers: base64url without padding (RFC 4648, 5).

One text for each value: what reads as the same bytes but is spelled otherwise is refused, so that
what we gave out cannot come back in disguise. Pure.
"""

from __future__ import annotations

import base64
import binascii


def write(raw: bytes) -> str:
    """The text of these bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read(text: str) -> bytes:
    """The bytes of a text that `write` gave. Raises ValueError for any other."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as wrong:  # letters outside ASCII are a ValueError already
        raise ValueError(str(wrong)) from wrong
    if write(raw) != text:
        raise ValueError("another spelling")
    return raw
