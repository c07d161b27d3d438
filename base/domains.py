"""Names of hosts as DNS knows them (no I/O)."""

from __future__ import annotations

import idna


def ascii_name(name: str) -> str:
    """A host's name in ASCII: IDNA 2008 as browsers read it (UTS 46, non-transitional).

    Raises ValueError for what is no name of a host.
    """
    return idna.encode(name, uts46=True, transitional=False, std3_rules=True).decode()
