"""Which web pages may call us: the Origin of a request, judged (no I/O).

Browsers write the Origin, pages cannot; so it tells a stranger's page from our own. Programs send
none and are not meant. Knows text; not requests.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from base import domains

ANY: Final = "*"
OPAQUE: Final = "null"
"""What a browser sends for a page without a home: a file, a sandboxed frame."""

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]/\\?#@:,*]+)(?::([0-9]{1,5}))?")


class Origin(NamedTuple):
    """Where a page comes from, in one spelling."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Origin:
        """From `https://studio.example` or `http://localhost:5173`. Raises ValueError."""
        parts = _ORIGIN.fullmatch(text.strip().lower())
        place = _place(parts[2], _PORTS.get(parts[1])) if parts else None
        if parts is None or place is None:
            raise ValueError(f"{text!r} is not an origin such as https://studio.example")
        return cls(parts[1], *place)


class Origins:
    """The setting `allowed_origins`."""

    def __init__(self, text: str, *, public_url: str | None) -> None:
        """text: origins with commas, or `*`, or both. Raises ValueError."""
        named = [part.strip().removesuffix("/") for part in text.split(",")]
        self._any = ANY in named
        self._listed = frozenset(Origin.parse(part) for part in named if part not in (ANY, ""))
        self._public = home(public_url) if public_url else None

    def allows(self, origin: str | None, host: str) -> bool:
        """Whether a page of this origin may call us at all; no Origin: not a page, allowed."""
        return origin is None or self._any or self.trusts(origin, host)

    def trusts(self, origin: str | None, host: str) -> bool:
        """Whether such a page may use cookies: our own (same host, or `public_url`) or listed.

        host: the request's Host. No Origin says nothing about where a request comes from: False.
        """
        page = _read(origin)
        if page is None:
            return False
        if page in self._listed or page == self._public:
            return True
        if self._public is not None and page.host == self._public.host:
            # Our own name, but not as it should be: without TLS anybody on the way can be it.
            return False
        return _place(host.strip().lower(), _PORTS.get(page.scheme)) == (page.host, page.port)


def home(url: str) -> Origin:
    """The origin of a URL's page. Raises ValueError."""
    scheme, mark, rest = url.strip().partition("://")
    return Origin.parse(scheme + mark + re.split(r"[/?#]", rest, maxsplit=1)[0])


def _read(origin: str | None) -> Origin | None:
    if origin is None or origin == OPAQUE:
        return None
    try:
        return Origin.parse(origin)
    except ValueError:
        return None


def _place(text: str, usual: int | None) -> tuple[str, int | None] | None:
    """Host and port; a name in other letters in the spelling that browsers send."""
    parts = _HOST.fullmatch(text)
    if parts is None:
        return None
    host, port = parts[1], int(parts[2]) if parts[2] else usual
    if not host.isascii():
        try:
            host = domains.ascii_name(host)
        except ValueError:
            return None
    return (host.removesuffix("."), port) if port is None or 0 < port < 1 << 16 else None
